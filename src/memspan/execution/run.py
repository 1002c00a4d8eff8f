"""Running a study: what is missing is planned, handed out and kept."""

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from memspan.errors import InvalidArgument, MemspanError, shown, truth, whole_number
from memspan.execution.coordinator import Coordinator
from memspan.execution.dask import Dask
from memspan.execution.events import Ended, Event, Listener, Planned, Waiting
from memspan.execution.listeners import KINDS, listening
from memspan.execution.local import Local, end_quietly_in_a_starting_worker
from memspan.execution.plan import Plan, make_plan
from memspan.execution.teams import Alone, Team
from memspan.runtime.interrupts import noted_interrupts
from memspan.runtime.renamed import checked_keywords
from memspan.store.database import NoStore
from memspan.store.entry import Entry
from memspan.store.store import Store
from memspan.store.transactions import database
from memspan.study.identity import default_name
from memspan.study.results import MOST_WITH_CURVES, StudyResult, StudySummary
from memspan.study.study import Key, Study
from memspan.study.trial import Trial

MOST_WORKERS = 10_000
"""Processes, or jobs at once; each takes about 200 MB."""


@checked_keywords()
def run_study(
    study: Study,
    store: str | Path | None = None,
    *,
    workers: int = 0,
    scheduler: str | None = None,
    executor: Executor | Callable[[], Executor] | None = None,
    retry_failed: bool = False,
    progress: bool | str = True,
    listen: Listener | None = None,
) -> StudyResult:
    """Run every trial of a study that is not in its store yet.

    A trial's result is a function of its configuration, length and repetition: it does not depend on where, with
    which others or how often it was run. So after any interruption the same call goes on where the last one ended.

    Parameters
    ----------
    study : Study
        What to run. More lengths, repetitions or values than last time are added to what is there.
    store : path or str, optional
        A SQLite file, which is made if it is not there, or the URL of a PostgreSQL database. Without one, the
        results are only returned.
    workers : int
        Processes; 0 for none but this one. With more, a script must call this under
        `if __name__ == "__main__":`, as for everything that starts processes.
    scheduler : str, optional
        The address of a Dask scheduler, or the `.json` file that it writes: its workers are used instead.
    executor : Executor, or a callable that makes one, optional
        Any other place to work; `workers` is then how many jobs it works on at once. One that is made can be
        replaced when the death of a worker breaks it.
    retry_failed : bool
        Whether trials that failed, by the machine's fault, are run again.
    progress : bool or str
        Whether to show it, or a kind from `memspan.execution.listeners.KINDS`.
    listen : callable, optional
        Called with each event (`memspan.execution.events`).

    Raises
    ------
    KeyboardInterrupt
        On Ctrl-C or SIGTERM; what was finished is in the store.
    AnotherStudy
        When the name belongs to another study.
    TooLarge
        When memory cannot suffice.
    StoreFailed, ExecutorFailed
        When the disk is full, or the scheduler gone; what was finished is in the store.
    """
    make_team = team_of(workers, scheduler, executor)
    if not isinstance(progress, bool | str):
        raise InvalidArgument("progress", f"True, False or one of {', '.join(KINDS)}", shown(progress))
    kind = progress if isinstance(progress, str) else "auto" if progress else "none"
    with (
        listening(kind, listen) as tell,
        StudyRun(study, store, make_team, retry_failed=retry_failed, tell=tell) as running,
    ):
        running.run()
        return running.result()


def team_of(
    workers: int = 0, scheduler: str | None = None, executor: Executor | Callable[[], Executor] | None = None
) -> Callable[[], Team]:
    """What makes the team that `run_study` describes; nothing is started yet."""
    workers = whole_number("workers", workers, least=0, most=MOST_WORKERS)
    if scheduler == "" or not isinstance(scheduler, str | None):
        rule = "the address of a Dask scheduler, such as 'tcp://10.0.0.1:8786', or the .json file that it writes"
        raise InvalidArgument("scheduler", rule, shown(scheduler))
    if not (executor is None or isinstance(executor, Executor) or callable(executor)):
        raise InvalidArgument("executor", "an Executor, or a callable that makes one", shown(executor))
    if scheduler is not None and executor is not None:
        raise InvalidArgument("scheduler", "left out where there is an executor", shown(scheduler))
    if scheduler is not None and workers:
        raise InvalidArgument("workers", "left out where there is a scheduler, which has its own", workers)
    if scheduler is not None:
        return lambda: Dask(scheduler)
    if isinstance(executor, Executor):
        return lambda: Team(lambda: executor, max(workers, 1), renewable=False)
    if executor is not None:
        return lambda: Team(executor, max(workers, 1))
    if workers:
        end_quietly_in_a_starting_worker()
    return (lambda: Local(workers)) if workers else Alone


def _silent(event: Event) -> None:
    """A listener that shows nothing."""


class StudyRun:
    """A study on its way: what there is to do, doing it, and what it comes to.

    A context: interrupts are noted and the store is open until its end. Without a store, trials are in memory.

    Parameters
    ----------
    study : Study
    store : path or str, optional
    make_team : callable
        As `team_of` returns it.
    retry_failed : bool
        Whether trials that failed, by the machine's fault, are run again.
    tell : Listener
        Called with each event.

    Examples
    --------
    >>> with StudyRun(Study(lengths=[2], repetitions=1, hidden=4, updates=5)) as running:
    ...     running.run()
    ...     running.summary().done
    1
    """

    def __init__(
        self,
        study: Study,
        store: str | Path | None = None,
        make_team: Callable[[], Team] = Alone,
        *,
        retry_failed: bool = False,
        tell: Listener = _silent,
    ) -> None:
        if not isinstance(study, Study):
            raise InvalidArgument("study", "a Study", shown(study))
        retry_failed = truth("retry_failed", retry_failed)
        if store is not None:
            database(store)  # is it a place at all?
        self.study, self.place, self.name = study, store, study.name or default_name(study)
        self._make_team, self._retry_failed, self._tell = make_team, retry_failed, tell
        self._trials: dict[Key, Trial] = {}
        self._entry: Entry | None = None
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._interrupts = self._stack.enter_context(noted_interrupts(terminations=True))
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    def plan(self) -> Plan:
        """What there is to do; nothing is made or run but what must be measured."""
        keys: Sequence[Key] = self.study.keys
        if self.place is not None:
            keys = self._missing_from(self._existing_store())
        if not keys:
            return Plan.of_nothing()
        team = self._new_team()
        try:
            return make_plan(self.study, keys, team, self._interrupts)
        finally:
            team.close()

    def run(self) -> None:
        """Run what is missing; the study is entered in its store once it is known that it can be run at all.

        Raises
        ------
        KeyboardInterrupt, AnotherStudy, TooLarge, StoreFailed, ExecutorFailed
            As `run_study` says.
        """
        store = self._existing_store()
        keys = self._missing_from(store)
        try:
            if keys:
                self._run(keys, store)
            else:
                self._entry = self._existing_entry(store)
                self._tell(Planned(self.study, self.name, Plan.of_nothing(), self._counts()))
            self._tell(Ended(True))
        except (KeyboardInterrupt, MemspanError) as error:
            self._tell(Ended(False, str(error) or "interrupted"))
            raise

    def summary(self) -> StudySummary:
        """What the trials come to."""
        if self._entry is None:
            return self.result()
        with self._interrupts.raised(1):
            return self._entry.summary()

    def result(self) -> StudyResult:
        """All trials; of many without their curves."""
        if self._entry is None:
            return StudyResult.of(self.study, self._trials.values())
        with self._interrupts.raised(1):
            return self._entry.result(curves=self.study.size <= MOST_WITH_CURVES)

    def _existing_store(self) -> Store | None:
        """The store, if it exists; a place where none could be made is refused."""
        if self.place is None:
            return None
        try:
            return self._opened(self.place, create=False)
        except NoStore:
            database(self.place).demand_place()
            return None

    def _opened(self, place: str | Path, *, create: bool) -> Store:
        store = self._stack.enter_context(Store(place, create=create))
        store.transact.waiting = lambda reason, seconds: self._tell(Waiting(reason, seconds))
        return store

    def _missing_from(self, store: Store | None) -> Sequence[Key]:
        """All keys that are not done; those that failed count as done, or not."""
        if store is None:
            return self.study.keys
        with self._interrupts.raised(2):
            return store.missing(self.study, but_failed=self._retry_failed)

    def _new_team(self) -> Team:
        with self._interrupts.raised(1):  # a scheduler may take long to answer
            return self._make_team()

    def _run(self, keys: Sequence[Key], store: Store | None) -> None:
        team = self._new_team()
        coordinator = Coordinator(self.study, team, self._keep, self._missing, self._tell, self._interrupts)
        at_once = True
        try:
            plan = make_plan(self.study, keys, team, self._interrupts)
            self._enter(store)
            self._tell(Planned(self.study, self.name, plan, self._counts()))
            coordinator.run(plan.groups)
            at_once = False
        finally:
            team.close(at_once=at_once)

    def _existing_entry(self, store: Store | None) -> Entry | None:
        """The study in its store, of which nothing is missing: it may be on a disk that cannot be written."""
        with self._interrupts.raised(2):
            return None if store is None else store.existing(self.study)

    def _enter(self, store: Store | None) -> None:
        """Make the study known to its store, and make that if there is none."""
        if self.place is not None:
            with self._interrupts.raised(2):
                self._entry = (store or self._opened(self.place, create=True)).enter(self.study)
                self.name = self._entry.name
                if self._retry_failed:
                    self._entry.forget_failed()

    def _missing(self, keys: Sequence[Key]) -> Sequence[Key]:
        """Those of a job that nobody else has done meanwhile."""
        with self._interrupts.raised(2):
            return keys if self._entry is None else self._entry.missing(keys)

    def _keep(self, trials: Sequence[Trial]) -> None:
        """Put them where they are safe; a database may take long, and cannot look at a flag."""
        if self._entry is None:
            self._trials |= {trial.key: trial for trial in trials}
            return
        with self._interrupts.raised(2):
            self._entry.keep(trials)

    def _counts(self) -> dict[int, dict[str, int]]:
        """For each length, how many have ended in which way."""
        return {} if self._entry is None else self._entry.counts()
