"""Processes on this machine that carry out jobs; one that dies takes only its own job with it."""

import contextlib
import multiprocessing
import os
import queue
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from memspan.errors import InvalidArgument
from memspan.execution.jobs import HERE, Board
from memspan.execution.memory import available
from memspan.execution.teams import ExecutorFailed, Team
from memspan.runtime.interrupts import ENDS, ignore_interrupts

MOST_FALSE_STARTS = 20
MOST_FALSE_STARTS_AT_FIRST = 6  # as long as no process has begun
FILES_OF_A_POOL = 12  # measured: 9
OTHER_FILES = 200


@dataclass
class _Call:
    """What was submitted to `Processes`, and how often a process died before it began with it."""

    future: "Future[Any]"
    work: Callable[[], Any]
    false_starts: int = 0


class Processes(Executor):
    """Processes on this machine, each in a pool of its own: one that dies takes only its own job with it.

    One that dies before it has begun is replaced, and nobody hears of it: that was not the job's fault.
    """

    def __init__(self, workers: int) -> None:
        _make_room_for_files(workers)
        self._context = multiprocessing.get_context("spawn")
        self.board = Board(workers, self._context)
        self._lock = threading.RLock()
        self._waiting: deque[_Call] = deque()
        self._pools = [self._new_pool(k) for k in range(workers)]
        self._idle = list(reversed(range(workers)))
        self._closed = False
        self._handed = 0
        self._proven = False  # whether any process has begun to work
        self._ended: queue.SimpleQueue[tuple[int, _Call, Future[Any]] | None] = queue.SimpleQueue()
        threading.Thread(target=self._see_to_ends, daemon=True).start()

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        """As of any executor."""
        call = _Call(Future(), partial(function, *args, **kwargs))
        with self._lock:
            if self._closed:
                raise RuntimeError("cannot schedule new futures after shutdown")
            self._waiting.append(call)
            self._dispatch()
        return call.future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """As of any executor."""
        with self._lock:
            self._closed = True
            if cancel_futures:
                for call in self._waiting:
                    call.future.cancel()
                self._waiting.clear()
            pools = list(self._pools)
        for pool in pools:
            pool.shutdown(wait=wait, cancel_futures=cancel_futures)
        self._ended.put(None)

    def kill(self) -> None:
        """End the workers at once; those that are still starting, when they have."""
        self.board.stop()
        with self._lock:
            self._closed = True
            self._waiting.clear()
        for worker in range(len(self._pools)):
            if process := self.board.process(worker):
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(process, getattr(signal, "SIGKILL", signal.SIGTERM))

    def _dispatch(self) -> None:
        """Give what waits to those who are idle; called with the lock held."""
        while self._idle and self._waiting:
            call = self._waiting.popleft()
            if not call.future.running() and not call.future.set_running_or_notify_cancel():
                continue
            worker = self._idle.pop()
            self.board.clear(worker)
            try:
                inner = self._submit(worker, call.work)
            except Exception as error:  # no process, thread or file can be had any more
                self._idle.append(worker)
                call.future.set_exception(ExecutorFailed(f"a process cannot be started: {error}"))
                continue
            self._handed += 1
            inner.add_done_callback(partial(self._note_end, worker, call))

    def _submit(self, worker: int, work: Callable[[], Any]) -> "Future[Any]":
        with _spared_from_interrupts():
            try:
                return self._pools[worker].submit(_begun, work)
            except BrokenExecutor:  # it died while it had nothing to do
                self._pools[worker] = self._new_pool(worker)
                return self._pools[worker].submit(_begun, work)

    def _note_end(self, worker: int, call: _Call, inner: "Future[Any]") -> None:
        """Called by a pool, which may hold a lock of its own: nothing may be asked of it here."""
        self._ended.put((worker, call, inner))

    def _see_to_ends(self) -> None:
        """In a thread of its own: until there is nothing more to come."""
        closing = False
        while not (closing and self._handed == 0):
            ended = self._ended.get()
            if ended is None:
                closing = True
                continue
            self._finished(*ended)

    def _finished(self, worker: int, call: _Call, inner: "Future[Any]") -> None:
        error: BaseException | None = CancelledError() if inner.cancelled() else inner.exception()
        with self._lock:
            died = isinstance(error, BrokenExecutor)
            self._proven |= not died or self.board.begun(worker)
            again = False
            if died and not self._closed:
                error = self._replace(worker) or error
                again = isinstance(error, BrokenExecutor) and not self.board.begun(worker)
            if again and (failure := self._give_again(call)):
                error, again = failure, False
            self._handed -= 1
            self._idle.append(worker)
            if error is None:
                call.future.set_result(inner.result())
            elif not again:
                call.future.set_exception(error)
            if not self._closed:
                self._dispatch()

    def _replace(self, worker: int) -> ExecutorFailed | None:
        """A new pool for one that broke; or what to say if none can be had."""
        self._pools[worker].shutdown(wait=False)
        self.board.leave(worker)
        try:
            self._pools[worker] = self._new_pool(worker)
        except OSError as error:
            return ExecutorFailed(f"a process that died cannot be replaced: {error}")
        return None

    def _give_again(self, call: _Call) -> ExecutorFailed | None:
        """Put it back to be given to another process; or what to say if that does not help."""
        call.false_starts += 1
        most = MOST_FALSE_STARTS if self._proven else MOST_FALSE_STARTS_AT_FIRST
        if call.false_starts < most:
            self._waiting.appendleft(call)
            return None
        why = "is there memory enough?"
        if not self._proven:
            why = "a script must call this under `if __name__ == '__main__':`; or is there too little memory?"
        return ExecutorFailed(f"{most} processes died before they began to work: {why}")

    def _new_pool(self, worker: int) -> ProcessPoolExecutor:
        with _spared_from_interrupts():  # the first one starts Python's resource tracker, which SIGHUP would end
            return ProcessPoolExecutor(
                1, mp_context=self._context, initializer=_begin_worker, initargs=(self.board, worker)
            )


class Local(Team):
    """Processes on this machine."""

    exact = True
    executor: Processes

    def __init__(self, workers: int) -> None:
        _demand_importable_script()
        super().__init__(lambda: Processes(workers), workers)

    def memory(self) -> int | None:
        """As in `Team`."""
        return available()

    def progress(self) -> list[tuple[int, list[int]]]:
        """As in `Team`."""
        return [self.executor.board.read(worker) for worker in range(self.slots)]

    def stop(self) -> None:
        """As in `Team`: they end within an update."""
        self.executor.board.stop()

    def close(self, *, at_once: bool = False) -> None:
        """As in `Team`."""
        if at_once:
            self.executor.kill()
        super().close(at_once=at_once)


def end_quietly_in_a_starting_worker() -> None:
    """End this process if it is a worker that runs its script again to start.

    It would start workers of its own, and so on: Python refuses that with pages of tracebacks from every worker.
    """
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        os._exit(1)  # whoever started it says why


def _demand_importable_script() -> None:
    """Refuse workers to a program that they cannot read again, such as one on standard input."""
    main = sys.modules.get("__main__")
    script = getattr(main, "__file__", None)
    if script and getattr(main, "__spec__", None) is None and not os.path.exists(script):
        rule = "0 for a program that is not in a file: each worker reads it again. Save it as a script"
        raise InvalidArgument("workers", rule, script)


def _make_room_for_files(workers: int) -> None:
    """Let this process open as many files as that many pools take; systems allow few unless they are asked.

    Raises
    ------
    InvalidArgument
        When they do not allow as many.
    """
    try:
        import resource
    except ModuleNotFoundError:  # Windows has no such limit
        return
    needed = OTHER_FILES + FILES_OF_A_POOL * workers
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        most = max(1, (hard - OTHER_FILES) // FILES_OF_A_POOL)
        raise InvalidArgument("workers", f"at most {most}, as {hard} files may be open (ulimit -n)", workers)
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def _begun(work: Callable[[], Any]) -> Any:
    """Called in a worker."""
    HERE.begin()
    return work()


def _begin_worker(board: Board, worker: int) -> None:
    """Signals are the coordinator's affair; and when it is gone, nobody wants what is computed here."""
    ignore_interrupts()
    board.join(worker)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: Any) -> None:
    from multiprocessing.connection import wait

    wait([sentinel])
    os._exit(1)


@contextmanager
def _spared_from_interrupts() -> Iterator[None]:
    """Let a process that is started meanwhile hear of no end: Ctrl-C reaches all, but only one decides."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
