"""An engine in worker processes that wait for requests, so that engines can be timed in turns.

A library fixes its number of threads when it is imported, so each engine runs in separate processes, started with
the right environment.

A process on one core is timed by processor time. On an idle machine this equals wall time; on a busy one it leaves
out the time of other processes. (Wall time would also favour passes so short that they are rarely interrupted.)
Threads are timed by wall time.
"""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any, NamedTuple, Self

from memspan.bench.case import Case, Passes, Result
from memspan.errors import MemspanError

Clock = Callable[[], float]

FEWEST = 3  # the least number of calls in one timing, unless they take PATIENCE times the planned duration
PATIENCE = 10
LIBRARIES = ("OPENBLAS", "OMP", "MKL", "NUMBA")
ONE_THREAD_XLA = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"


class EngineFailed(MemspanError):
    """An engine is not installed, or cannot run the case."""


class Way(NamedTuple):
    """One way to run a pass: the number of models per call, and the result."""

    models: float
    result: Result | None


class EngineProcesses:
    """One engine in several processes, which run the same pass at the same time.

    Parameters
    ----------
    make : callable
        An importable function from a case to its passes.
    cores : list of set of int
        The cores that each process may use; it gets as many threads.
    """

    def __init__(self, make: Callable[[Case], Passes], cores: list[set[int]]) -> None:
        context = multiprocessing.get_context("spawn")
        self.ways: dict[str, Way] = {}
        self._connections: list[Connection] = []
        self._processes = []
        for allowed in cores:
            ours, theirs = context.Pipe()
            process = context.Process(target=serve, args=(make, theirs, allowed), daemon=True)
            with environment(len(allowed)):
                process.start()
            theirs.close()
            self._connections.append(ours)
            self._processes.append(process)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        for connection in self._connections:
            connection.close()
        for process in self._processes:
            process.join()

    def prepare(self, case: Case) -> dict[str, Way]:
        """Prepare the case: import, compile and warm up. Return the result of each way."""
        self.ways = self._ask(case)[0]
        return self.ways

    def seconds(self, way: str, duration: float) -> float:
        """Return the time per model, from passes repeated for `duration`: 1 over the sum of all rates."""
        medians = self._ask((way, duration))
        return 1 / sum(self.ways[way].models / median for median in medians)

    def _ask(self, request: Any) -> list[Any]:
        """Send a request to all processes at once and return their answers."""
        try:
            for connection in self._connections:
                connection.send(request)
            answers = [connection.recv() for connection in self._connections]
        except (EOFError, OSError):
            raise EngineFailed("a worker process was killed (out of memory?)") from None
        for answer in answers:
            if isinstance(answer, EngineFailed):
                raise answer
        return answers


@contextmanager
def environment(threads: int) -> Iterator[None]:
    """Return the environment variables of a process with this number of threads."""
    before = dict(os.environ)
    os.environ.update({f"{library}_NUM_THREADS": str(threads) for library in LIBRARIES})
    if threads == 1:
        os.environ["XLA_FLAGS"] = f"{before.get('XLA_FLAGS', '')} {ONE_THREAD_XLA}".strip()
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def serve(make: Callable[[Case], Passes], connection: Connection, cores: set[int]) -> None:
    """Run in the worker process: answer requests until the other end closes the pipe."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches this process too; it ends when the parent ends
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores)
    clock = time.process_time if len(cores) == 1 else time.perf_counter
    passes: Passes = {}
    while True:
        try:
            request = connection.recv()
        except EOFError:
            return
        try:
            if isinstance(request, Case):
                passes = make(request)
                answer: Any = warmed_up(passes)
            else:
                way, duration = request
                answer = median_seconds(passes[way].run, duration, clock)
        except ModuleNotFoundError as error:
            answer = EngineFailed(f"{error.name} is not installed")
        except Exception as error:
            answer = EngineFailed(f"{error}" if isinstance(error, MemspanError) else repr(error))
        connection.send(answer)


def warmed_up(passes: Passes) -> dict[str, Way]:
    """Run each way once, and return the results by name."""
    ways = {}
    for name, each in passes.items():
        if each.result is None:
            each.run()
        ways[name] = Way(each.models, each.result() if each.result else None)
    return ways


def median_seconds(run: Callable[[], object], duration: float, clock: Clock = time.process_time) -> float:
    """Return the median time of a call, from calls repeated for `duration` seconds."""
    times: list[float] = []
    before = clock()
    end = before + duration
    latest = end + PATIENCE * duration
    while not times or before < end or (len(times) < FEWEST and before < latest):
        run()
        after = clock()
        times.append(after - before)
        before = after
    return sorted(times)[len(times) // 2]
