"""The code of a worker: it receives a job and returns trials."""

import functools
import os
import socket
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self

from memspan._version import __version__
from memspan.errors import MachineFailed
from memspan.runtime.blas import one_blas_thread
from memspan.runtime.imports import NotImported
from memspan.runtime.notices import MARKS, share_marks
from memspan.study.configuration import Configuration
from memspan.study.fingerprint import changed, fingerprints, fingerprints_of, with_distributions
from memspan.study.group import Stopped, run_group
from memspan.study.search import Search
from memspan.study.study import Key, Study
from memspan.study.trial import Trial

Watcher = Callable[[int, int, int], None]
"""Called with a job's ticket, the number of a member, and the updates it has done. It may raise `Stopped`."""


class OtherVersion(MachineFailed):
    """A worker's version of memspan or code differs from the coordinator's, so its results could differ."""


@dataclass(frozen=True)
class Assignment:
    """What the jobs of a study or of several searches have in common.

    Attributes
    ----------
    configurations : sequence of Configuration
        A key's `configuration` is an index in it.
    keep_weights : int
        Repetitions below this number keep their trained weights.
    test_lengths : tuple of int
        Lengths at which the trained networks are also scored.
    code : tuple of (str, str)
        The fingerprints of the code of the configurations.
    engines : sequence of str or None
        The name of the engine of each configuration, as in `Trial.engine`; None for the configuration's own.
        Nothing means that all have their own.
    """

    configurations: Sequence[Configuration]
    keep_weights: int
    test_lengths: tuple[int, ...]
    code: tuple[tuple[str, str], ...]
    engines: Sequence[str | None] = ()

    @classmethod
    def of_study(cls, study: Study, engines: Sequence[str | None] = ()) -> Self:
        """Return the assignment of a study."""
        code = tuple(sorted(fingerprints(study).items()))
        return cls(study.configurations, study.keep_weights, study.test_lengths, code, engines)

    @classmethod
    def of_searches(cls, searches: Sequence[Search], engines: Sequence[str | None] = ()) -> Self:
        """Return the assignment of searches. The weights are kept that any of them keeps."""
        code = {name: text for search in searches for name, text in fingerprints(search).items()}
        configurations = [search.configuration for search in searches]
        kept = max(search.keep_weights for search in searches)
        return cls(configurations, kept, (), tuple(sorted(code.items())), engines)

    def job(self, ticket: int, keys: Sequence[Key]) -> "Job":
        """Return the job of some trials of one configuration and length."""
        place, length, _ = keys[0]
        repetitions, one = tuple(key.repetition for key in keys), self.configurations[place]
        kept = self.keep_weights, self.test_lengths
        engine = self.engines[place] if self.engines else None
        return Job(ticket, place, one, length, repetitions, *kept, code=self.code, engine=engine)


@dataclass(frozen=True)
class Job:
    """Repetitions of one configuration and length, which are trained side by side.

    Attributes
    ----------
    ticket : int
        The coordinator's number of this job.
    place : int
        The index of the configuration in `Study.configurations`.
    configuration : Configuration
    length : int
    repetitions : tuple of int
    keep_weights : int
        Repetitions below this number keep their trained weights.
    test_lengths : tuple of int
        Lengths at which the trained networks are also scored.
    version : str
        The coordinator's version of memspan.
    code : tuple of (str, str)
        The coordinator's fingerprints of the code that the study uses. If it is empty, code is not compared.
    engine : str or None
        The name of the engine, as in `Trial.engine`; None for the configuration's own.
    """

    ticket: int
    place: int
    configuration: Configuration
    length: int
    repetitions: tuple[int, ...]
    keep_weights: int = 0
    test_lengths: tuple[int, ...] = ()
    version: str = __version__
    code: tuple[tuple[str, str], ...] = ()
    engine: str | None = None

    @property
    def keys(self) -> list[Key]:
        """The keys of the job's trials."""
        return [Key(self.place, self.length, repetition) for repetition in self.repetitions]


def ignore_updates(ticket: int, member: int, updates: int) -> None:
    """A watcher that does nothing."""


class _Here(threading.local):
    """The callbacks of a thread that runs jobs: after an update, and at the beginning of a job."""

    watch: Watcher = staticmethod(ignore_updates)
    begin: Callable[[], None] = staticmethod(lambda: None)


HERE = _Here()


def work(job: Job) -> list[Trial]:
    """Run a job and return its trials, or none if it was stopped.

    BLAS uses one thread, because the bits of a matrix product can depend on the number of threads.

    Raises
    ------
    OtherVersion
        If the coordinator has another version or other code; nothing is computed.
    """
    demand_version(job.version)
    demand_code(job)

    def observe(repetition: int, updates: int) -> None:
        HERE.watch(job.ticket, job.repetitions.index(repetition), updates)

    try:
        with one_blas_thread():
            found = run_group(
                job.configuration,
                job.length,
                job.repetitions,
                observe,
                keep_weights=job.keep_weights,
                test_lengths=job.test_lengths,
                engine=job.engine,
            )
    except Stopped:
        return []
    return [trial.model_copy(update={"configuration": job.place}) for trial in found]


def demand_version(version: str) -> None:
    """Raise `OtherVersion` if the coordinator has another version of memspan."""
    if version != __version__:
        raise OtherVersion(f"The worker {_this_worker()} has memspan {__version__}, the coordinator {version}.")


def demand_code(job: Job) -> None:
    """Raise `OtherVersion` if this worker has imported other code of a cell, task or init than the coordinator.

    What it cannot import is not compared: the trials of that cell or task fail, and those of others go on.
    """
    one = job.configuration
    try:
        differing = _differing(one.cell, one.task, one.init, job.code)
    except NotImported:
        return
    if differing:
        raise OtherVersion(
            f"The worker {_this_worker()} and the coordinator have different code of {', '.join(differing)}. "
            "Restart the workers and the study with the same files."
        )


@functools.lru_cache(maxsize=1000)
def _differing(cell: str, task: str, init: str | None, code: tuple[tuple[str, str], ...]) -> list[str]:
    """Return the parts whose code differs in this process; compared once for each study."""
    if not code:
        return []
    names = [f"cell {cell}", f"task {task}", *([] if init is None else [f"init {init}"])]
    return changed(dict(code), fingerprints_of(with_distributions(names)))


def _this_worker() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


def groups_of(keys: Iterable[Key], width: Callable[[Key], int]) -> Iterator[list[Key]]:
    """Group consecutive keys of one configuration and length, at most `width(first key)` in a group."""
    group: list[Key] = []
    for key in keys:
        if group and (key[:2] != group[0][:2] or len(group) >= width(group[0])):
            yield group
            group = []
        group.append(key)
    if group:
        yield group


class Board:
    """Shared memory with a row of numbers for each worker process.

    It has no lock, because a killed worker could never release one. A row holds the worker's process ID, the
    ticket of its job, and the updates done by each member of the job. The ticket is 0 before the worker has begun
    the job, and -1 until its first update. The first number, before all rows, is 1 if the workers are to stop.
    """

    MEMBERS = 256
    """The largest number of networks in a job."""

    def __init__(self, workers: int, context: Any) -> None:
        self.numbers = context.RawArray("q", 1 + workers * (2 + self.MEMBERS))
        self.marks = context.RawArray("Q", MARKS)  # the lines that any worker has printed on standard error

    def stop(self) -> None:
        """Let every worker stop after its current update."""
        self.numbers[0] = 1

    def process(self, worker: int) -> int:
        """The process ID of a worker; 0 before it has started."""
        return int(self.numbers[self._row(worker)])

    def read(self, worker: int) -> tuple[int, list[int]]:
        """The ticket of a worker's job, and the updates done by its members."""
        row = self._row(worker)
        ticket, *updates = self.numbers[row + 1 : row + 2 + self.MEMBERS]
        return ticket, updates

    def leave(self, worker: int) -> None:
        """Forget the process of a worker that was killed."""
        self.numbers[self._row(worker)] = 0

    def clear(self, worker: int) -> None:
        """Reset a worker's ticket before it receives its next job."""
        self.numbers[self._row(worker) + 1] = 0

    def begun(self, worker: int) -> bool:
        """Whether a worker has begun its job."""
        return bool(self.numbers[self._row(worker) + 1])

    def join(self, worker: int) -> None:
        """Called in a worker process: let it write its progress into its row from now on."""
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
