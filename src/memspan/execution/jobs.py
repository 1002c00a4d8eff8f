"""What a worker does, wherever it is: it gets a job and gives back trials."""

import functools
import os
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from memspan._version import __version__
from memspan.errors import MachineFailed
from memspan.runtime.blas import one_blas_thread
from memspan.runtime.notices import MARKS, share_marks
from memspan.study.configuration import Configuration
from memspan.study.fingerprint import changed, fingerprints
from memspan.study.study import Key
from memspan.study.trial import Stopped, Trial, run_group

Watcher = Callable[[int, int, int], None]
"""Hears of a job, by its ticket, that a member of it has done so many updates; may raise `Stopped`."""


class OtherVersion(MachineFailed):
    """A worker has another memspan than the coordinator, or other code: its results could differ."""


@dataclass(frozen=True)
class Job:
    """Repetitions of one configuration and length, to be trained side by side.

    Attributes
    ----------
    ticket : int
        By which the coordinator knows it.
    place : int
        Of the configuration, in `Study.configurations`.
    configuration : Configuration
    length : int
    repetitions : tuple of int
    keep_weights : int
        Repetitions below this number keep their trained weights.
    version : str
        The coordinator's.
    code : tuple of (str, str)
        The coordinator's fingerprints of what the study uses; none are compared if it is empty.
    """

    ticket: int
    place: int
    configuration: Configuration
    length: int
    repetitions: tuple[int, ...]
    keep_weights: int = 0
    version: str = __version__
    code: tuple[tuple[str, str], ...] = ()

    @property
    def keys(self) -> list[Key]:
        """The keys of its trials."""
        return [Key(self.place, self.length, repetition) for repetition in self.repetitions]


def nobody(ticket: int, member: int, updates: int) -> None:
    """A watcher that does not look."""


class _Here(threading.local):
    """What a thread that works knows besides its jobs."""

    watch: Watcher = staticmethod(nobody)
    begin: Callable[[], None] = staticmethod(lambda: None)


HERE = _Here()


def work(job: Job) -> list[Trial]:
    """The trials of a job; none if it was stopped.

    One BLAS thread, whatever else: the bits of a product can depend on their number.

    Raises
    ------
    OtherVersion
        Before anything is computed.
    """
    demand_version(job.version)
    demand_code(job)

    def observe(repetition: int, updates: int) -> None:
        HERE.watch(job.ticket, job.repetitions.index(repetition), updates)

    try:
        with one_blas_thread():
            found = run_group(
                job.configuration, job.length, job.repetitions, observe, keep_weights=job.keep_weights
            )
    except Stopped:
        return []
    return [trial.model_copy(update={"configuration": job.place}) for trial in found]


def demand_version(version: str) -> None:
    """Refuse to work for another memspan."""
    if version != __version__:
        raise OtherVersion(
            f"the worker {_this_worker()} has memspan {__version__}, and the study is run by {version}"
        )


def demand_code(job: Job) -> None:
    """Refuse to work with a cell or a task that was edited after the coordinator had imported it, or before."""
    one = job.configuration
    if differing := _differing(one.cell, one.task, one.init, job.code):
        advice = "restart the workers and the study with the same files"
        raise OtherVersion(f"the worker {_this_worker()} has other code of {', '.join(differing)}: {advice}")


@functools.lru_cache(maxsize=1000)
def _differing(cell: str, task: str, init: str | None, code: tuple[tuple[str, str], ...]) -> list[str]:
    """What has other code in this process; looked at once for each study."""
    return changed(dict(code), fingerprints(Configuration(cell=cell, task=task, init=init))) if code else []


def _this_worker() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


def groups_of(keys: Iterable[Key], width: Callable[[Key], int]) -> Iterator[list[Key]]:
    """Repetitions of a configuration and length together, as many as `width` says of the first."""
    group: list[Key] = []
    for key in keys:
        if group and (key[:2] != group[0][:2] or len(group) >= width(group[0])):
            yield group
            group = []
        group.append(key)
    if group:
        yield group


class Board:
    """A row of numbers for each worker process, in shared memory, without a lock that one killed could keep.

    A row holds the worker's process, the ticket of its job, and the updates done by each member of the job.
    The ticket is 0 before the worker has begun, and -1 before the first update. The first number of all is 1 when
    the workers are to stop.
    """

    MEMBERS = 256

    def __init__(self, workers: int, context: Any) -> None:
        self.numbers = context.RawArray("q", 1 + workers * (2 + self.MEMBERS))
        self.marks = context.RawArray("Q", MARKS)  # of what any worker has said on standard error

    def stop(self) -> None:
        """Let every worker end within an update."""
        self.numbers[0] = 1

    def process(self, worker: int) -> int:
        """The identity of a worker's process; 0 before it has begun."""
        return int(self.numbers[self._row(worker)])

    def read(self, worker: int) -> tuple[int, list[int]]:
        """The ticket of a worker's job, and what its members have done."""
        row = self._row(worker)
        ticket, *updates = self.numbers[row + 1 : row + 2 + self.MEMBERS]
        return ticket, updates

    def leave(self, worker: int) -> None:
        """Called when a worker has died."""
        self.numbers[self._row(worker)] = 0

    def clear(self, worker: int) -> None:
        """Called before a worker gets its next job."""
        self.numbers[self._row(worker) + 1] = 0

    def begun(self, worker: int) -> bool:
        """Whether it has begun with that job."""
        return bool(self.numbers[self._row(worker) + 1])

    def join(self, worker: int) -> None:
        """Called in a worker: from now on, it writes here."""
        row, numbers = self._row(worker), self.numbers
        numbers[row] = os.getpid()
        share_marks(self.marks)

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
