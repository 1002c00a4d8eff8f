"""Running a study: plan the missing trials, run them on workers, and store the results."""

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
"""The most processes, or jobs at once; each takes about 200 MB."""


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

    A trial's result is a function of its configuration, length and repetition. It does not depend on the other
    trials, their order, or the number of processes. So after an interruption the same call resumes the study.

    Parameters
    ----------
    study : Study
        The study. If it is in the store with fewer lengths, repetitions or values, only the new trials are run.
    store : path or str, optional
        A SQLite file, which is created if it does not exist, or the URL of a PostgreSQL database. Without a store,
        the results are only returned.
    workers : int
        The number of worker processes; 0 runs all trials in this process. A script that uses workers must call
        this function under `if __name__ == "__main__":`, like everything that starts processes.
    scheduler : str, optional
        The address of a Dask scheduler, or the `.json` file that it writes. The trials run on its workers.
    executor : Executor, or a callable that makes one, optional
        Another executor for the trials; `workers` is then the number of jobs that it runs at once. If a callable
        is given, memspan can replace an executor that breaks because a worker was killed.
    retry_failed : bool
        Whether to run failed trials again. A trial fails only if the machine fails.
    progress : bool or str
        Whether to show progress, or a kind from `memspan.execution.listeners.KINDS`.
    listen : callable, optional
        Called with each event (`memspan.execution.events`).

    Returns
    -------
    StudyResult
        All trials of the study, including those that were already in the store.

    Raises
    ------
    KeyboardInterrupt
        On Ctrl-C or SIGTERM. All finished trials are in the store.
    AnotherStudy
        If the name belongs to another study.
    TooLarge
        If the memory does not suffice.
    StoreFailed, ExecutorFailed
        If the machine fails: the disk is full, for example, or the scheduler has ended. All finished trials are in
        the store.
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
    """Return a function that makes the team described in `run_study`; nothing is started yet.

    Raises
    ------
    InvalidArgument
        If an argument is wrong, or contradicts another one.
    """
    workers = whole_number("workers", workers, least=0, most=MOST_WORKERS)
    if scheduler == "" or not isinstance(scheduler, str | None):
        rule = "the address of a Dask scheduler, such as 'tcp://10.0.0.1:8786', or the .json file that it writes"
        raise InvalidArgument("scheduler", rule, shown(scheduler))
    if not (executor is None or isinstance(executor, Executor) or callable(executor)):
        raise InvalidArgument("executor", "an Executor, or a callable that makes one", shown(executor))
    if scheduler is not None and executor is not None:
        raise InvalidArgument("scheduler", "left out if an executor is given", shown(scheduler))
    if scheduler is not None and workers:
        raise InvalidArgument("workers", "left out with a scheduler, which has its own workers", workers)
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
    """A listener that does nothing."""


class StudyRun:
    """The run of a study: its plan, its execution and its results.

    Use it as a context manager. Inside the `with` block the store is open, and interrupts set a flag. Without a
    store, trials are kept in memory.

    Parameters
    ----------
    study : Study
    store : path or str, optional
    make_team : callable
        Makes the team, as returned by `team_of`.
    retry_failed : bool
        Whether to run failed trials again. A trial fails only if the machine fails.
    tell : Listener
        Called with each event.

    Raises
    ------
    InvalidArgument
        If an argument has the wrong type, or `store` is not the place of a store.

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
            database(store)  # refuses what cannot be the place of a store
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
        """Return the plan of the missing trials. Nothing is written, and only measurements are run."""
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
        """Run the missing trials. The study is entered in its store once its plan shows that it can be run.

        Raises
        ------
        KeyboardInterrupt, AnotherStudy, TooLarge, StoreFailed, ExecutorFailed
            As in `run_study`.
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
        """Return a summary of the trials."""
        if self._entry is None:
            return self.result()
        with self._interrupts.raised(1):
            return self._entry.summary()

    def result(self) -> StudyResult:
        """Return all trials; in a large study (`MOST_WITH_CURVES`) without their curves."""
        if self._entry is None:
            return StudyResult.of(self.study, self._trials.values())
        with self._interrupts.raised(1):
            return self._entry.result(curves=self.study.size <= MOST_WITH_CURVES)

    def _existing_store(self) -> Store | None:
        """Return the store if it exists; raise if none could be created there."""
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
        """Return the keys of all missing trials; failed trials are missing if they are to be retried."""
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
        """Return a finished study without writing to its store, which may be on a read-only disk."""
        with self._interrupts.raised(2):
            return None if store is None else store.existing(self.study)

    def _enter(self, store: Store | None) -> None:
        """Enter the study in its store, and create the store if it does not exist."""
        if self.place is not None:
            with self._interrupts.raised(2):
                self._entry = (store or self._opened(self.place, create=True)).enter(self.study)
                self.name = self._entry.name
                if self._retry_failed:
                    self._entry.forget_failed()

    def _missing(self, keys: Sequence[Key]) -> Sequence[Key]:
        """Return the keys that no other coordinator has stored meanwhile."""
        with self._interrupts.raised(2):
            return keys if self._entry is None else self._entry.missing(keys)

    def _keep(self, trials: Sequence[Trial]) -> None:
        """Store trials. A slow database cannot check a flag, so a second interrupt raises."""
        if self._entry is None:
            self._trials |= {trial.key: trial for trial in trials}
            return
        with self._interrupts.raised(2):
            self._entry.keep(trials)

    def _counts(self) -> dict[int, dict[str, int]]:
        """Count the trials of each length by outcome."""
        return {} if self._entry is None else self._entry.counts()
