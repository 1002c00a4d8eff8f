"""Worker processes on this machine. If one is killed, only its own job is lost."""

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
"""Processes that may end before they begin a job, until the job fails."""
MOST_FALSE_STARTS_AT_FIRST = 6  # before any process has begun a job
FILES_OF_A_POOL = 12  # measured: 9
OTHER_FILES = 200  # open files besides those of the pools


@dataclass
class _Call:
    """A submitted call, and the number of processes that ended before they began it."""

    future: "Future[Any]"
    work: Callable[[], Any]
    false_starts: int = 0


class Processes(Executor):
    """Worker processes on this machine, each in its own pool, so that a killed process loses only its own job.

    A process that ends before it has begun its job is replaced, and another process gets the job: the job was not
    the cause.

    Parameters
    ----------
    workers : int
        The number of processes.

    Raises
    ------
    InvalidArgument
        If the system does not allow enough open files for that many processes.
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
        self._handed = 0  # calls that a pool is running
        self._proven = False  # whether any process has begun a job
        self._ended: queue.SimpleQueue[tuple[int, _Call, Future[Any]] | None] = queue.SimpleQueue()
        threading.Thread(target=self._see_to_ends, daemon=True).start()

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        """As in `Executor`."""
        call = _Call(Future(), partial(function, *args, **kwargs))
        with self._lock:
            if self._closed:
                raise RuntimeError("cannot schedule new futures after shutdown")
            self._waiting.append(call)
            self._dispatch()
        return call.future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """As in `Executor`."""
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
        """End the workers at once. Those that are still starting end before their first job."""
        self.board.stop()
        with self._lock:
            self._closed = True
            self._waiting.clear()
        for worker in range(len(self._pools)):
            if process := self.board.process(worker):
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(process, getattr(signal, "SIGKILL", signal.SIGTERM))

    def _dispatch(self) -> None:
        """Give waiting calls to idle workers. The caller holds the lock."""
        while self._idle and self._waiting:
            call = self._waiting.popleft()
            if not call.future.running() and not call.future.set_running_or_notify_cancel():
                continue
            worker = self._idle.pop()
            self.board.clear(worker)
            try:
                inner = self._submit(worker, call.work)
            except Exception as error:  # the system allows no more processes, threads or files
                self._idle.append(worker)
                call.future.set_exception(ExecutorFailed(f"A worker process could not be started: {error}."))
                continue
            self._handed += 1
            inner.add_done_callback(partial(self._note_end, worker, call))

    def _submit(self, worker: int, work: Callable[[], Any]) -> "Future[Any]":
        with _spared_from_interrupts():
            try:
                return self._pools[worker].submit(_begun, work)
            except BrokenExecutor:  # the process ended while it was idle
                self._pools[worker] = self._new_pool(worker)
                return self._pools[worker].submit(_begun, work)

    def _note_end(self, worker: int, call: _Call, inner: "Future[Any]") -> None:
        """Queue the end of a call. A pool calls this, perhaps holding its lock, so no pool may be used here."""
        self._ended.put((worker, call, inner))

    def _see_to_ends(self) -> None:
        """Handle the ends of calls, in a separate thread, until the executor is closed and no call is running."""
        closing = False
        while not (closing and self._handed == 0):
            ended = self._ended.get()
            if ended is None:
                closing = True
                continue
            self._finished(*ended)

    def _finished(self, worker: int, call: _Call, inner: "Future[Any]") -> None:
        """Pass the result of a call to its future, or repeat the call if its process never began it."""
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
        """Replace the broken pool of a worker; return the error if that fails."""
        self._pools[worker].shutdown(wait=False)
        self.board.leave(worker)
        try:
            self._pools[worker] = self._new_pool(worker)
        except OSError as error:
            return ExecutorFailed(f"A worker process ended and could not be replaced: {error}.")
        return None

    def _give_again(self, call: _Call) -> ExecutorFailed | None:
        """Queue the call for another process; return the error after too many false starts."""
        call.false_starts += 1
        most = MOST_FALSE_STARTS if self._proven else MOST_FALSE_STARTS_AT_FIRST
        if call.false_starts < most:
            self._waiting.appendleft(call)
            return None
        advice = "There may be too little memory."
        if not self._proven:
            guard = "A script must start a study under `if __name__ == '__main__':`"
            advice = f"{guard}. If it does, there may be too little memory."
        return ExecutorFailed(f"{most} worker processes ended before they began a job. {advice}")

    def _new_pool(self, worker: int) -> ProcessPoolExecutor:
        with _spared_from_interrupts():  # the first pool starts Python's resource tracker, which SIGHUP would end
            return ProcessPoolExecutor(
                1, mp_context=self._context, initializer=_begin_worker, initargs=(self.board, worker)
            )


class Local(Team):
    """A team of worker processes on this machine.

    Raises
    ------
    InvalidArgument
        If workers cannot import the running program, or the system allows too few open files.
    """

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
        """As in `Team`: each job ends after its current update."""
        self.executor.board.stop()

    def close(self, *, at_once: bool = False) -> None:
        """As in `Team`."""
        if at_once:
            self.executor.kill()
        super().close(at_once=at_once)


def end_quietly_in_a_starting_worker() -> None:
    """End this process if it is a worker that is importing the user's script.

    Without a `__main__` guard the script would start workers again. Python refuses that with a traceback of
    several pages from every worker.
    """
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        os._exit(1)  # the parent process prints the reason


def _demand_importable_script() -> None:
    """Refuse workers for a program that they cannot import, such as one on standard input."""
    main = sys.modules.get("__main__")
    script = getattr(main, "__file__", None)
    if script and getattr(main, "__spec__", None) is None and not os.path.exists(script):
        rule = "0 for a program that is not in a file, because every worker imports it (save it as a script)"
        raise InvalidArgument("workers", rule, script)


def _make_room_for_files(workers: int) -> None:
    """Raise this process's limit of open files to what the pools need.

    Raises
    ------
    InvalidArgument
        If the system does not allow that many.
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
        rule = f"at most {most}, because the system allows {hard} open files (ulimit -n)"
        raise InvalidArgument("workers", rule, workers)
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def _begun(work: Callable[[], Any]) -> Any:
    """Called in a worker: mark the job as begun, and run it."""
    HERE.begin()
    return work()


def _begin_worker(board: Board, worker: int) -> None:
    """Called in a new worker: leave signals to the coordinator, and end together with it."""
    ignore_interrupts()
    board.join(worker)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: Any) -> None:
    """Wait until the parent process has ended, then end this one."""
    from multiprocessing.connection import wait

    wait([sentinel])
    os._exit(1)


@contextmanager
def _spared_from_interrupts() -> Iterator[None]:
    """Start processes with SIGINT, SIGTERM and SIGHUP blocked.

    The terminal sends Ctrl-C to all processes, but only the coordinator decides when workers end.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
