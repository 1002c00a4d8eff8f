"""What a worker does, wherever it is: it gets an order and gives back trials."""

import os
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from memspan._version import __version__
from memspan.errors import MachineFailed
from memspan.runtime.blas import one_blas_thread
from memspan.study.study import Study
from memspan.study.trial import Stopped, Trial, run_group

Watcher = Callable[[int, int, int], None]
"""Hears of an order, by its ticket, that a member of it has done so many updates; may raise `Stopped`."""


class OtherVersion(MachineFailed):
    """A worker has another memspan than the coordinator: its results could be other ones."""


@dataclass(frozen=True)
class Order:
    """Repetitions of one configuration and length, to be trained side by side.

    Attributes
    ----------
    ticket : int
        By which the coordinator knows it.
    configuration : int
        Its place in the study.
    study : Study
        That configuration.
    length : int
    repetitions : tuple of int
    version : str
        The coordinator's.
    """

    ticket: int
    configuration: int
    study: Study
    length: int
    repetitions: tuple[int, ...]
    version: str = __version__


def nobody(ticket: int, member: int, updates: int) -> None:
    """A watcher that does not look."""


class _Here(threading.local):
    """What a thread that works knows besides its orders."""

    watch: Watcher = staticmethod(nobody)
    begin: Callable[[], None] = staticmethod(lambda: None)


HERE = _Here()


def work(order: Order) -> list[Trial]:
    """The trials of an order; none if it was stopped.

    One BLAS thread, whatever else: the bits of a product can depend on their number.

    Raises
    ------
    OtherVersion
        Before anything is computed.
    """
    demand_version(order.version)

    def observe(repetition: int, updates: int) -> None:
        HERE.watch(order.ticket, order.repetitions.index(repetition), updates)

    try:
        with one_blas_thread():
            found = run_group(order.study, order.length, order.repetitions, observe)
    except Stopped:
        return []
    return [trial.model_copy(update={"configuration": order.configuration}) for trial in found]


def demand_version(version: str) -> None:
    """Refuse to work for another memspan."""
    if version != __version__:
        here = f"{socket.gethostname()}:{os.getpid()}"
        raise OtherVersion(f"the worker {here} has memspan {__version__}, and the study is run by {version}")


class Board:
    """A row of numbers for each worker process, in shared memory, without a lock that one killed could keep.

    A row holds the worker's process, the ticket of its order, and the updates done by each member of the order.
    The ticket is 0 before the worker has begun, and -1 before the first update. The first number of all is 1 when
    the workers are to stop.
    """

    MEMBERS = 256

    def __init__(self, workers: int, context: Any) -> None:
        self.numbers = context.RawArray("q", 1 + workers * (2 + self.MEMBERS))

    def stop(self) -> None:
        """Let every worker end within an update."""
        self.numbers[0] = 1

    def process(self, worker: int) -> int:
        """The identity of a worker's process; 0 before it has begun."""
        return int(self.numbers[self._row(worker)])

    def read(self, worker: int) -> tuple[int, list[int]]:
        """The ticket of a worker's order, and what its members have done."""
        row = self._row(worker)
        ticket, *updates = self.numbers[row + 1 : row + 2 + self.MEMBERS]
        return ticket, updates

    def leave(self, worker: int) -> None:
        """Called when a worker has died."""
        self.numbers[self._row(worker)] = 0

    def clear(self, worker: int) -> None:
        """Called before a worker gets its next order."""
        self.numbers[self._row(worker) + 1] = 0

    def begun(self, worker: int) -> bool:
        """Whether it has begun with that order."""
        return bool(self.numbers[self._row(worker) + 1])

    def join(self, worker: int) -> None:
        """Called in a worker: from now on, it writes here."""
        row, numbers = self._row(worker), self.numbers
        numbers[row] = os.getpid()

        def watch(ticket: int, member: int, updates: int) -> None:
            if numbers[0]:
                raise Stopped
            if numbers[row + 1] != ticket:
                numbers[row + 2 : row + 2 + self.MEMBERS] = [0] * self.MEMBERS
                numbers[row + 1] = ticket
            numbers[row + 2 + member] = updates

        def begin() -> None:
            if numbers[0]:
                raise Stopped
            numbers[row + 1] = -1

        HERE.watch, HERE.begin = watch, begin

    def _row(self, worker: int) -> int:
        return 1 + worker * (2 + self.MEMBERS)
