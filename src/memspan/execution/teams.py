"""The workers: in this process, in others on this machine, on a Dask cluster, or in any other executor.

A `Team` is a `concurrent.futures.Executor` together with what the coordinator must know about it, such as the
number of jobs that it runs at once, and whether a broken future identifies the job that killed a worker.
"""

import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from functools import partial
from typing import Any, Self, TypeVar

from memspan.errors import MachineFailed
from memspan.execution.jobs import HERE, ignore_updates
from memspan.execution.memory import available
from memspan.runtime.blas import with_one_blas_thread
from memspan.runtime.interrupts import Interrupts

Result = TypeVar("Result")

SECONDS_BETWEEN_LOOKS = 0.2  # between two checks for ended jobs, progress and interrupts


class ExecutorFailed(MachineFailed):
    """The executor has ended, or cannot run the jobs. All stored trials are kept."""


def available_cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Team:
    """An executor and its properties.

    Use it as a context manager: it closes the team at the end of the `with` block, after an exception at once.

    Parameters
    ----------
    make : callable
        Makes the executor, and makes it again after it has broken.
    slots : int
        The number of jobs that it runs at once.
    renewable : bool
        Whether `make` returns a new executor each time.
    """

    exact = False
    """Whether a killed worker breaks only the future of the job that it was running."""
    here = False
    """Whether `submit` runs the job in this process. It then calls `look` between updates, which may raise
    `Stopped`."""
    look: Callable[[], None]
    """Called a few times per second while the coordinator waits for the team. Replace it to show progress."""

    def __init__(self, make: Callable[[], Executor], slots: int, *, renewable: bool = True) -> None:
        self._make, self.slots, self.renewable = make, slots, renewable
        self.executor = make()
        self.look = lambda: None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, error: object, *rest: object) -> None:
        self.close(at_once=error is not None)

    def call_each(
        self, function: Callable[..., Result], calls: Iterable[tuple[Any, ...]], interrupts: Interrupts
    ) -> Iterator[tuple[int, "Future[Result]"]]:
        """Call an importable function with each tuple of arguments, and use all slots.

        Every call uses one BLAS thread, because the bits of a matrix product can depend on the number of threads.

        Yields
        ------
        (int, Future)
            The index of a call and its finished future. The future holds the error if the call failed, and a
            `BrokenExecutor` if its worker was killed.

        Raises
        ------
        KeyboardInterrupt
            After an interrupt. Running calls are requested to stop.
        ExecutorFailed
            If no worker is left.
        """
        waiting, running = deque(enumerate(calls)), dict[Future[Result], int]()
        call = partial(with_one_blas_thread, function)
        while waiting or running or interrupts:
            if interrupts:
                self.stop()
                raise KeyboardInterrupt
            if waiting and len(running) < self.slots:
                number, arguments = waiting.popleft()
                try:
                    future = self.submit(call, *arguments)
                except BrokenExecutor as error:
                    future = Future()
                    future.set_exception(error)
                running[future] = number
                continue
            done, _ = wait(running, timeout=SECONDS_BETWEEN_LOOKS, return_when=FIRST_COMPLETED)
            self.check()
            for future in done:
                yield running.pop(future), future
            self.look()

    def submit(self, function: Callable[..., Any], *arguments: Any) -> "Future[Any]":
        """Submit a call, as in `Executor`."""
        return self.executor.submit(function, *arguments)

    def renew(self) -> None:
        """Replace a broken executor.

        Raises
        ------
        ExecutorFailed
            If the user passed the executor itself, which memspan cannot make again.
        """
        if not self.renewable:
            raise ExecutorFailed(
                "A worker was killed, which broke the executor. All finished trials are kept. Pass a function "
                "that makes an executor, so that memspan can replace a broken one."
            )
        self.executor.shutdown(wait=False, cancel_futures=True)
        self.executor = self._make()

    def progress(self) -> list[tuple[int, list[int]]]:
        """Return the ticket and the updates of each member for the running jobs whose progress is known."""
        return []

    def memory(self) -> int | None:
        """Return the bytes that all its processes together may use; None if unknown."""
        return None

    def check(self) -> None:
        """Raise `ExecutorFailed` if no worker is left."""

    def stop(self) -> None:
        """Stop the running jobs soon, if the team can do that."""

    def close(self, *, at_once: bool = False) -> None:
        """Shut down the executor, unless the user passed the executor itself."""
        if self.renewable:
            self.executor.shutdown(wait=not at_once, cancel_futures=True)


def deaths(error: BaseException) -> int:
    """Return the number of killed workers that an error reports; 0 for other errors."""
    if type(error).__name__ == "KilledWorker":  # Dask's error; Dask need not be installed
        return int(getattr(error, "allowed_failures", 0)) + 1
    return 1 if isinstance(error, BrokenExecutor) else 0


class Serial(Executor):
    """Runs each call in this process, inside `submit`."""

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        """Run the call and return its finished future."""
        future: Future[Any] = Future()
        try:
            future.set_result(function(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


class Alone(Team):
    """The coordinator's own process as the only worker. `look` is called inside `submit`."""

    exact = here = True

    def __init__(self) -> None:
        super().__init__(Serial, 1)
        self._ticket, self._updates, self._looked = 0, dict[int, int](), time.monotonic()
        HERE.watch = self._watch

    def _watch(self, ticket: int, member: int, updates: int) -> None:
        if ticket != self._ticket:
            self._ticket, self._updates = ticket, {}
        self._updates[member] = updates
        if time.monotonic() - self._looked >= SECONDS_BETWEEN_LOOKS:
            self._looked = time.monotonic()
            self.look()

    def progress(self) -> list[tuple[int, list[int]]]:
        """As in `Team`."""
        return [(self._ticket, [self._updates.get(k, 0) for k in range(max(self._updates, default=-1) + 1)])]

    def memory(self) -> int | None:
        """As in `Team`."""
        return available()

    def close(self, *, at_once: bool = False) -> None:
        """As in `Team`."""
        HERE.watch = ignore_updates
