"""Where jobs are carried out: in this process, in others on this machine, on a Dask cluster, or elsewhere.

`concurrent.futures.Executor` is all that the coordinator knows of it, and a `Team` is an executor with what the
coordinator has to know besides: how many jobs it works on at once, and whose death a broken future tells of.
"""

import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from functools import partial
from typing import Any, Self, TypeVar

from memspan.errors import MachineFailed
from memspan.execution.jobs import HERE, nobody
from memspan.execution.memory import available
from memspan.runtime.blas import with_one_blas_thread
from memspan.runtime.interrupts import Interrupts

Result = TypeVar("Result")

SECONDS_BETWEEN_LOOKS = 0.2  # at what has ended, and at how far the rest is


class ExecutorFailed(MachineFailed):
    """What carries out the jobs is gone, or cannot do it. What is stored is kept."""


def available_cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Team:
    """An executor, as the coordinator sees it.

    A context: at its end the team is closed, and after an exception at once.

    Parameters
    ----------
    make : callable
        Makes the executor; again, when it broke.
    slots : int
        How many jobs it works on at once.
    renewable : bool
        Whether `make` gives a new one each time.
    """

    exact = False
    """Whether a death breaks the future of the job that was worked on, and no other."""
    here = False
    """Whether jobs are worked on in this process, while `submit` is called; now and then it calls `look`, which
    may raise `Stopped`."""
    look: Callable[[], None]
    """Called a few times in a second by whatever waits for the team; replace it to show progress."""

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
        """Call an importable function with each tuple of arguments, as many at once as there are slots.

        Every call has one BLAS thread: so its result does not depend on where it runs.

        Yields
        ------
        (int, Future)
            The number of a call and its future, as soon as that is done. The future holds the error if the call
            failed; a `BrokenExecutor` if its worker died.

        Raises
        ------
        KeyboardInterrupt
            After an interrupt. The calls that are running are told to stop.
        ExecutorFailed
            When no worker is left.
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
        """Of the jobs that are worked on, as far as it is known: ticket, and updates of each member."""
        return []

    def memory(self) -> int | None:
        """Bytes that all its processes together may take, if that is known."""
        return None

    def check(self) -> None:
        """Raise ExecutorFailed if there is nobody left to work."""

    def stop(self) -> None:
        """Let the jobs that are worked on end soon, if that can be."""

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
    """The coordinator's own process: no worker can die, and `look` is called while `submit` is."""

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
        HERE.watch = nobody
