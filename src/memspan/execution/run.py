"""Running a study: plan the missing trials, run them on workers, and store the results."""

import itertools
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from functools import partial
from pathlib import Path

from memspan.errors import InvalidArgument, shown, truth
from memspan.execution.coordinator import Coordinator
from memspan.execution.engines import Choice, choose_engines, engines_event
from memspan.execution.events import Listener, Planned, SpanFound
from memspan.execution.jobs import Assignment
from memspan.execution.listeners import listening, progress_kind
from memspan.execution.plan import Plan, make_plan
from memspan.execution.running import Run, silent, team_of
from memspan.execution.teams import Alone, Team
from memspan.runtime.renamed import checked_keywords
from memspan.span import estimate_span
from memspan.store.database import StoreFailed
from memspan.store.entry import Entry
from memspan.store.store import Store
from memspan.study.engines import recorded
from memspan.study.identity import default_name
from memspan.study.results import MOST_WITH_CURVES, StudyResult, StudySummary
from memspan.study.study import Key, Study
from memspan.study.trial import Trial

COPIED_AT_ONCE = 1000  # trials of one transaction


@checked_keywords()
def run_study(
    study: Study,
    store: str | Path | None = None,
    *,
    workers: int = 0,
    scheduler: str | None = None,
    executor: Executor | Callable[[], Executor] | None = None,
    retry_failed: bool = False,
    reuse: bool = False,
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
    reuse : bool
        Whether to copy the missing trials that another study or search of the same store has: those with the same
        configuration, length, repetition and code. They are those that would be trained, to the last bit.
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
    with (
        listening(progress_kind(progress), listen) as tell,
        StudyRun(study, store, make_team, retry_failed=retry_failed, reuse=reuse, tell=tell) as running,
    ):
        running.run()
        return running.result()


class StudyRun(Run):
    """The run of a study: its plan, its execution and its results. See `Run` for the parameters.

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
        reuse: bool = False,
        tell: Listener = silent,
    ) -> None:
        if not isinstance(study, Study):
            raise InvalidArgument("study", "a Study", shown(study))
        if truth("reuse", reuse) and store is None:
            raise InvalidArgument("reuse", "left out without a store", shown(reuse))
        super().__init__(store, make_team, retry_failed=retry_failed, tell=tell)
        self.study, self.name = study.loaded(), study.name or default_name(study)
        self._reuse = reuse
        self._engines: dict[str, str] = {}  # as in `memspan.study.engines`
        self._entry: Entry | None = None
        self._sources: dict[Entry, set[Key]] = {}  # trials that will be copied, by the entry that has them

    def plan(self) -> Plan:
        """Return the plan of the missing trials. Nothing is written, and only measurements are run."""
        keys: Sequence[Key] = self.study.keys
        if self.place is not None:
            keys = self._missing_from(self._existing_store())
        if not keys:
            return Plan.of_nothing()
        team = self._new_team()
        try:
            self._choose_engines(team)
            return make_plan(self.study, keys, team, self._interrupts, self._engine_names())
        finally:
            team.close()

    def _prepared(self, store: Store | None) -> Callable[[], None]:
        """As in `Run`."""
        keys = self._missing_from(store)
        return partial(self._train, keys, store) if keys else partial(self._show, store)

    def _show(self, store: Store | None) -> None:
        """Tell that every trial is in the store, after copying what is to be copied."""
        if self._sources:
            self._enter(store)
        else:
            self._entry = self._existing_entry(store)
        self._tell(Planned(self.study, self.name, Plan.of_nothing(), self._counts(), self._copied()))

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

    def _missing_from(self, store: Store | None) -> Sequence[Key]:
        """Return the keys of the trials to run; failed trials are among them if they are to be retried."""
        if store is None:
            return self.study.keys
        with self._interrupts.raised(2):
            missing = store.missing(self.study, but_failed=self._retry_failed)
            self._sources = _shared_out(missing, store.sources(self.study)) if self._reuse and missing else {}
            entry = store.existing(self.study)
        for one in (*([] if entry is None else [entry]), *self._sources):  # the sources agree with each other
            self._engines = {**one.engines, **self._engines}
        copied = set[Key]().union(*self._sources.values())
        return [key for key in missing if key not in copied]

    def _train(self, keys: Sequence[Key], store: Store | None) -> None:
        team = self._new_team()
        at_once = True
        try:
            chosen = self._choose_engines(team)
            plan = make_plan(self.study, keys, team, self._interrupts, self._engine_names())
            self._enter(store)
            self._tell(Planned(self.study, self.name, plan, self._counts(), self._copied()))
            if chosen:
                self._tell(engines_event(self.study.configurations, self._engine_names(), [chosen]))
            # The stored study may keep more weights.
            study = self.study if self._entry is None else self._entry.study
            assignment = Assignment.of_study(study, self._engine_names())
            arguments = self._keep, self._missing, self._tell, self._interrupts
            Coordinator(assignment, team, *arguments).run(plan.groups)
            at_once = False
        finally:
            team.close(at_once=at_once)

    def _choose_engines(self, team: Team) -> dict[str, Choice]:
        """Choose the engines of models of another library that are not recorded yet."""
        (chosen,) = choose_engines([self.study], [self._engines], team, self._interrupts, self._tell)
        self._engines = {key: choice.engine for key, choice in chosen.items()}
        return chosen

    def _engine_names(self) -> list[str | None]:
        """The engine of each configuration; None for memspan's cells."""
        return [recorded(self._engines, one) for one in self.study.configurations]

    def _existing_entry(self, store: Store | None) -> Entry | None:
        """Return the entry of a finished study without writing to its store, which may be on a read-only disk."""
        with self._interrupts.raised(2):
            return None if store is None else store.existing(self.study)

    def _enter(self, store: Store | None) -> None:
        """Enter the study in its store, and create the store if it does not exist."""
        if self.place is not None:
            with self._interrupts.raised(2):
                opened = store or self._opened(self.place, create=True)
                self._entry = opened.enter(self.study, engines=self._engines)
                self.name = self._entry.name
                self._engines = dict(self._entry.engines)  # another run may have recorded other ones before
                if self._retry_failed:
                    self._entry.forget_failed()
            for source, keys in self._sources.items():
                self._copy(source, keys)

    def _copy(self, source: Entry, keys: set[Key]) -> None:
        """Copy trials of another study or search."""
        copies, left = source.copies(keys), len(keys)
        while some := list(itertools.islice(copies, COPIED_AT_ONCE)):
            if self._interrupts:
                raise KeyboardInterrupt
            self._keep(some)
            left -= len(some)
        if left:
            why = "were deleted from the store before they could be copied. Give the command again."
            raise StoreFailed(f"Trials of {source.name!r} {why}")

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
        if self._entry is not None:
            return self._entry.counts()
        found: dict[int, dict[str, int]] = {}
        for trial in self._trials.values():
            counts = found.setdefault(trial.length, {})
            counts[trial.outcome] = counts.get(trial.outcome, 0) + 1
        return found

    def _copied(self) -> dict[str, int]:
        """Count the trials that were copied from each other study and search."""
        return {source.name: len(keys) for source, keys in self._sources.items()}

    def _spans(self) -> tuple[SpanFound, ...]:
        """As in `Run`."""
        if self.study.combinations > 1:
            return ()
        counts = self._counts()
        solved = [outcomes.get("solved", 0) for outcomes in counts.values()]
        trials = [sum(outcomes.values()) - outcomes.get("failed", 0) for outcomes in counts.values()]
        return (SpanFound(self.name, estimate_span([*counts], solved, trials) if any(trials) else None),)


def _shared_out(keys: Iterable[Key], sources: Iterable[Entry]) -> dict[Entry, set[Key]]:
    """Return for each source the keys to copy from it: each from the first source that has a whole trial of it."""
    left, found = set(keys), dict[Entry, set[Key]]()
    for source in sources:
        if shared := left & source.done(but_failed=True):
            found[source] = shared
            left -= shared
    return found
