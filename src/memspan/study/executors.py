"""Where orders are carried out: in this process, in others on this machine, on a Dask cluster, or elsewhere.

`concurrent.futures.Executor` is all that the coordinator knows of it, and a `Team` is an executor with what the
coordinator has to know besides: how many orders it works on at once, and whose death a broken future tells of.
"""

import asyncio
import contextlib
import logging
import multiprocessing
import os
import queue
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from memspan._version import __version__
from memspan.errors import InvalidArgument, MachineFailed
from memspan.study.memory import SHARE, available
from memspan.study.work import HERE, Board, OtherVersion, Watcher, nobody


class ExecutorFailed(MachineFailed):
    """What carries out the orders is gone, or cannot do it. What is stored is kept."""


def available_cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Team:
    """An executor, as the coordinator sees it.

    Parameters
    ----------
    make : callable
        Makes the executor; again, when it broke.
    slots : int
        How many orders it works on at once.
    renewable : bool
        Whether `make` gives a new one each time.
    """

    exact = False
    """Whether a death breaks the future of the order that was worked on, and no other."""
    here = False
    """Whether orders are worked on in this process, while `submit` is called."""

    def __init__(self, make: Callable[[], Executor], slots: int, *, renewable: bool = True) -> None:
        self._make, self.slots, self.renewable = make, slots, renewable
        self.executor = make()

    def submit(self, function: Callable[..., Any], *arguments: Any) -> "Future[Any]":
        """As of an executor."""
        return self.executor.submit(function, *arguments)

    def renew(self) -> None:
        """Replace an executor that broke."""
        if not self.renewable:
            rule = "pass what makes an executor instead of one, and it can be replaced"
            raise ExecutorFailed(
                f"a worker died and took the executor with it ({rule}); what was finished is kept"
            )
        self.executor.shutdown(wait=False, cancel_futures=True)
        self.executor = self._make()

    def progress(self) -> list[tuple[int, list[int]]]:
        """Of the orders that are worked on, as far as it is known: ticket, and updates of each member."""
        return []

    def memory(self) -> int | None:
        """Bytes that all its processes together may take, if that is known."""
        return None

    def check(self) -> None:
        """Raise ExecutorFailed if there is nobody left to work."""

    def stop(self) -> None:
        """Let the orders that are worked on end soon, if that can be."""

    def close(self, *, at_once: bool = False) -> None:
        """Let go of the executor; one that was given belongs to whoever gave it."""
        if self.renewable:
            self.executor.shutdown(wait=not at_once, cancel_futures=True)


def deaths(error: BaseException) -> int:
    """Of how many workers an error tells."""
    if type(error).__name__ == "KilledWorker":  # Dask's, which need not be installed
        return int(getattr(error, "allowed_failures", 0)) + 1
    return 1 if isinstance(error, BrokenExecutor) else 0


class Serial(Executor):
    """Works in this process, while `submit` is called."""

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        """A future that is done."""
        future: Future[Any] = Future()
        try:
            future.set_result(function(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


class Alone(Team):
    """The coordinator's own process: no worker can die, and progress is told while `submit` is called."""

    exact = here = True

    def __init__(self, watch: Watcher) -> None:
        super().__init__(Serial, 1)
        HERE.watch = watch

    def memory(self) -> int | None:
        """As in `Team`."""
        return available()

    def close(self, *, at_once: bool = False) -> None:
        """As in `Team`."""
        HERE.watch = nobody


@dataclass
class _Call:
    """What was submitted to `Processes`, and how often a process died before it began with it."""

    future: "Future[Any]"
    work: Callable[[], Any]
    false_starts: int = 0


class Processes(Executor):
    """Processes on this machine, each in a pool of its own: one that dies takes only its own order with it.

    One that dies before it has begun is replaced, and nobody hears of it: that was not the order's fault.
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
        return ProcessPoolExecutor(
            1, mp_context=self._context, initializer=_begin_worker, initargs=(self.board, worker)
        )


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


class Local(Team):
    """Processes on this machine."""

    exact = True
    executor: Processes

    def __init__(self, workers: int) -> None:
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


def _begin_worker(board: Board, worker: int) -> None:
    """Signals are the coordinator's affair; and when it is gone, nobody wants what is computed here."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
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
    """Let a process that is started meanwhile never hear of Ctrl-C: it reaches all, but only one decides."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class Dask(Team):
    """The workers of a Dask scheduler, which may be on many machines: by its address, or the file that it writes.

    A scheduler lets a task begin again on another worker when one dies, as often as its setting `allowed-failures`
    says, and blames every task that the worker had. So a death that it reports is its own only where it was alone.
    """

    def __init__(self, address: str) -> None:
        try:
            import distributed  # noqa: F401
        except ModuleNotFoundError:
            rule = "left out, unless Dask is installed: pip install 'memspan[dask]'"
            raise InvalidArgument("scheduler", rule, repr(address)) from None
        _demand_address(address)
        self._log = logging.getLogger("distributed.client")
        self._level = self._log.level
        self._log.setLevel(logging.CRITICAL)  # what goes wrong is said here, and in one line
        try:
            self.client = _client(address)
        except (OSError, ValueError) as error:
            raise InvalidArgument("scheduler", "the address of a Dask scheduler that answers", address) from error
        self.address = address
        try:
            slots = self._demand_workers()
        except BaseException:
            self.close()
            raise
        self._counted = self._manned = time.monotonic()
        self._count: Future[dict[str, int]] | None = None
        super().__init__(lambda: self.client.get_executor(pure=False), slots)

    def renew(self) -> None:
        """As in `Team`; here it is the scheduler that replaces workers."""

    def memory(self) -> int | None:
        """As in `Team`: the least of all workers, for each thread; a limit of 0 is none."""
        workers = self.client.scheduler_info(n_workers=-1)["workers"].values()
        each = [worker["memory_limit"] / worker["nthreads"] for worker in workers if worker["memory_limit"]]
        return int(min(each) * self.slots * SHARE) if each else None

    def check(self) -> None:
        """As in `Team`."""
        comm = self.client.scheduler_comm
        now = time.monotonic()
        late = self._count is not None and now - self._counted > SECONDS_TO_ANSWER
        if late or self.client.status != "running" or comm is None or comm.comm.closed():
            raise ExecutorFailed(self._silent())
        if self._count is not None and self._count.done():
            self._note_workers(self._count)
            self._count = None
        elif self._count is None and now - self._counted > SECONDS_BETWEEN_COUNTS:  # workers come and go
            self._counted = now
            ask = self.client.scheduler.ncores()
            self._count = asyncio.run_coroutine_threadsafe(ask, self.client.loop.asyncio_loop)

    def _note_workers(self, count: "Future[dict[str, int]]") -> None:
        try:
            threads = sum(count.result().values())
        except OSError as error:  # Dask's CommClosedError is one
            raise ExecutorFailed(self._silent()) from error
        self.slots = max(1, threads)
        if threads:
            self._manned = time.monotonic()
        elif time.monotonic() - self._manned > SECONDS_WITHOUT_WORKERS:
            raise ExecutorFailed(
                f"the scheduler {self.address} has had no workers for {SECONDS_WITHOUT_WORKERS:.0f} s; what was "
                "finished is kept"
            )

    def _silent(self) -> str:
        return f"the scheduler {self.address} does not answer any more; what was finished is kept"

    def close(self, *, at_once: bool = False) -> None:
        """As in `Team`."""
        with contextlib.suppress(Exception):  # it may be gone
            self.client.close(timeout=2)
        self._log.setLevel(self._level)

    def _demand_workers(self) -> int:
        """Threads of all workers; each has this memspan."""
        threads = self.client.nthreads()
        if not threads:
            rule = "the address of a Dask scheduler with workers"
            raise InvalidArgument("scheduler", rule, f"{self.address}, which has none")
        versions = self.client.run(_version, on_error="return")
        for worker, version in versions.items():
            if isinstance(version, Exception):
                raise OtherVersion(f"the worker {worker} cannot import memspan: {version}")
            if version != __version__:
                raise OtherVersion(
                    f"the worker {worker} has memspan {version}, and the study is run by {__version__}"
                )
        return sum(threads.values())


SECONDS_TO_CONNECT = 10
SECONDS_BETWEEN_COUNTS = 2.0
SECONDS_TO_ANSWER = 6.0
SECONDS_WITHOUT_WORKERS = 60.0
MOST_FALSE_STARTS = 20
MOST_FALSE_STARTS_AT_FIRST = 6  # as long as no process has begun
FILES_OF_A_POOL = 12  # measured: 9
OTHER_FILES = 200


def _demand_address(address: str) -> None:
    """Dask waits for ever for a file that does not come, and long for a host of any name."""
    if address.endswith(".json"):
        if not Path(address).is_file():
            raise InvalidArgument("scheduler", "a file that a scheduler has written", address)
    elif ":" not in address:
        raise InvalidArgument("scheduler", "an address such as tcp://host:8786, or a .json file", address)


def _client(address: str) -> Any:
    from distributed import Client

    where = {"scheduler_file" if address.endswith(".json") else "address": address}
    options = {"timeout": SECONDS_TO_CONNECT, "set_as_default": False}
    return Client(**where, **options)  # type: ignore[no-untyped-call]


def _version() -> str:
    return __version__
