"""Running a study: what is missing is planned, handed out and kept."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from memspan.errors import InvalidArgument, MemspanError, whole_number
from memspan.execution.coordinator import Coordinator
from memspan.execution.dask import Dask
from memspan.execution.events import Ended, Listener, Planned, Waiting
from memspan.execution.listeners import listening
from memspan.execution.local import Local
from memspan.execution.plan import Plan, make_plan
from memspan.execution.teams import Alone, Team
from memspan.runtime.interrupts import Interrupts, noted_interrupts
from memspan.store.databases import NoStore, database
from memspan.store.entry import Entry
from memspan.store.store import Store
from memspan.study.identity import default_name
from memspan.study.results import MOST_WITH_CURVES, StudyResult, StudySummary
from memspan.study.study import Key, Study
from memspan.study.trial import Trial


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
        Any other place to work; `workers` is then how many orders it works on at once. One that is made can be
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
    with ran(
        study,
        store,
        workers=workers,
        scheduler=scheduler,
        executor=executor,
        retry_failed=retry_failed,
        progress=progress,
        listen=listen,
    ) as done:
        return done.result()


@contextmanager
def ran(
    study: Study,
    store: str | Path | None = None,
    *,
    workers: int = 0,
    scheduler: str | None = None,
    executor: Executor | Callable[[], Executor] | None = None,
    retry_failed: bool = False,
    progress: bool | str = True,
    listen: Listener | None = None,
) -> Iterator["Done"]:
    """As `run_study`, for whoever wants to read something else of it than all trials."""
    if not isinstance(study, Study):
        raise InvalidArgument("study", "a Study", repr(study))
    workers = whole_number("workers", workers, least=0)
    if scheduler is not None and executor is not None:
        raise InvalidArgument("scheduler", "left out where there is an executor", repr(scheduler))
    kind = progress if isinstance(progress, str) else "auto" if progress else "none"
    with ExitStack() as stack:
        tell = stack.enter_context(listening(kind, listen))
        interrupts = stack.enter_context(noted_interrupts(terminations=True))
        opened = None if store is None else stack.enter_context(Store(store, create=True))
        if opened is not None:
            opened.transact.waiting = lambda reason, seconds: tell(Waiting(reason, seconds))
        kept = Done(study, opened, interrupts)
        keys = kept.to_do(but_failed=retry_failed)
        make = _team_of(workers, scheduler, executor)
        try:
            if keys:
                _run(kept, keys, make, tell, interrupts, retry_failed)
            else:
                kept.enter(forget_failed=False)
                tell(Planned(study, kept.name, Plan((), 0.0, 0, 0, None), kept.counts()))
            tell(Ended(True))
        except (KeyboardInterrupt, MemspanError) as error:
            tell(Ended(False, str(error) or "interrupted"))
            raise
        yield kept


@contextmanager
def planned(
    study: Study, store: str | Path | None, workers: int, scheduler: str | None, *, retry_failed: bool = False
) -> Iterator[Plan]:
    """What `run_study` would do; nothing is made or run but what must be measured."""
    with ExitStack() as stack:
        interrupts = stack.enter_context(noted_interrupts(terminations=True))
        keys: Sequence[Key] = study.keys
        if store is not None:
            database(store)  # is it a place at all?
            with suppress(NoStore):
                keys = stack.enter_context(Store(store)).missing(study, but_failed=retry_failed)
        if not keys:
            yield Plan((), 0.0, 0, 0, None)
            return
        with interrupts.raised(1):
            team = _team_of(workers, scheduler, None)()
        try:
            yield make_plan(study, keys, team, interrupts)
        finally:
            team.close()


class Done:
    """What is done of a study: in its store, or in memory.

    It is entered there when it is known that it can be run at all.
    """

    def __init__(self, study: Study, store: Store | None, interrupts: Interrupts) -> None:
        self.study, self.store, self.interrupts = study, store, interrupts
        self.trials: dict[Key, Trial] = {}
        self.entry: Entry | None = None
        self.name = study.name or default_name(study)

    def to_do(self, *, but_failed: bool) -> Sequence[Key]:
        """All keys that are not done; those that failed count as done, or not."""
        with self.interrupts.raised(2):
            if self.store is None:
                return self.study.keys
            return self.store.missing(self.study, but_failed=but_failed)

    def enter(self, *, forget_failed: bool) -> None:
        """Make it known to its store."""
        if self.store is not None:
            with self.interrupts.raised(2):
                self.entry = self.store.enter(self.study)
                if forget_failed:
                    self.entry.forget_failed()

    def missing(self, keys: Sequence[Key]) -> Sequence[Key]:
        """Those of an order that nobody else has done meanwhile."""
        with self.interrupts.raised(2):
            return keys if self.entry is None else self.entry.missing(keys)

    def keep(self, trials: Sequence[Trial]) -> None:
        """Put them where they are safe; a database may take long, and cannot look at a flag."""
        if self.entry is None:
            self.trials |= {trial.key: trial for trial in trials}
            return
        with self.interrupts.raised(2):
            self.entry.keep(trials)

    def counts(self) -> dict[int, dict[str, int]]:
        """For each length, how many have ended in which way."""
        return {} if self.entry is None else self.entry.counts()

    def summary(self) -> StudySummary:
        """What it comes to."""
        if self.entry is None:
            return self.result()
        with self.interrupts.raised(1):
            return self.entry.summary()

    def result(self) -> StudyResult:
        """All that is done; of many trials without their curves."""
        if self.entry is None:
            return StudyResult.of(self.study, self.trials.values())
        with self.interrupts.raised(1):
            return self.entry.result(curves=self.study.size <= MOST_WITH_CURVES)


def _run(
    kept: Done,
    keys: Sequence[Key],
    make: Callable[[], Team],
    tell: Listener,
    interrupts: Interrupts,
    retry_failed: bool,
) -> None:
    with interrupts.raised(1):  # a scheduler may take long to answer
        team = make()
    coordinator = Coordinator(kept.study, team, kept.keep, kept.missing, tell, interrupts)
    at_once = True
    try:
        plan = make_plan(kept.study, keys, team, interrupts)
        kept.enter(forget_failed=retry_failed)
        tell(Planned(kept.study, kept.name, plan, kept.counts()))
        coordinator.run(plan.groups)
        at_once = False
    finally:
        team.close(at_once=at_once)


def _team_of(
    workers: int, scheduler: str | None, executor: Executor | Callable[[], Executor] | None
) -> Callable[[], Team]:
    """What makes the team."""
    if scheduler is not None:
        return lambda: Dask(scheduler)
    if isinstance(executor, Executor):
        return lambda: Team(lambda: executor, max(workers, 1), renewable=False)
    if executor is not None:
        return lambda: Team(executor, max(workers, 1))
    return (lambda: Local(workers)) if workers else Alone
