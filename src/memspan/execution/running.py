"""What the runs of a study and of a search have in common: the store, the team and the interrupts."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from memspan.errors import InvalidArgument, MemspanError, shown, truth, whole_number
from memspan.execution.dask import Dask
from memspan.execution.events import Ended, Event, Listener, SpanFound, Waiting
from memspan.execution.local import Local, end_quietly_in_a_starting_worker
from memspan.execution.teams import Alone, Team
from memspan.runtime.interrupts import noted_interrupts
from memspan.store.database import NoStore
from memspan.store.store import Store
from memspan.store.transactions import database
from memspan.study.study import Key
from memspan.study.trial import Trial

MOST_WORKERS = 10_000
"""The most processes, or jobs at once; each takes about 200 MB."""


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


def silent(event: Event) -> None:
    """A listener that does nothing."""


class Run(ABC):
    """The run of a study or of searches, as a context manager.

    Inside the `with` block the store is open, and interrupts set a flag. Without a store, trials are kept in
    memory.

    Parameters
    ----------
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
    """

    def __init__(
        self,
        store: str | Path | None = None,
        make_team: Callable[[], Team] = Alone,
        *,
        retry_failed: bool = False,
        tell: Listener = silent,
    ) -> None:
        retry_failed = truth("retry_failed", retry_failed)
        if store is not None:
            database(store)  # refuses what cannot be the place of a store
        self.place = store
        self._make_team, self._retry_failed, self._tell = make_team, retry_failed, tell
        self._trials: dict[Key, Trial] = {}
        self._store: Store | None = None
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._interrupts = self._stack.enter_context(noted_interrupts(terminations=True))
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    def run(self) -> None:
        """Run what is missing. It is entered in the store once it is known that it can be run.

        Raises
        ------
        KeyboardInterrupt, AnotherStudy, TooLarge, StoreFailed, ExecutorFailed
            As in `run_study`.
        """
        work = self._prepared(self._existing_store())
        try:
            work()
            self._tell(Ended(True, spans=self._spans()))
        except (KeyboardInterrupt, MemspanError) as error:
            self._tell(Ended(False, str(error) or "interrupted"))
            raise

    @abstractmethod
    def _prepared(self, store: Store | None) -> Callable[[], None]:
        """Find out what is missing, without writing anything, and return a function that runs it."""

    @abstractmethod
    def _spans(self) -> tuple[SpanFound, ...]:
        """Return the spans that a complete run has found."""

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
        self._store = self._stack.enter_context(Store(place, create=create))
        self._store.transact.waiting = lambda reason, seconds: self._tell(Waiting(reason, seconds))
        return self._store

    def _new_team(self) -> Team:
        with self._interrupts.raised(1):  # a scheduler may take long to answer
            return self._make_team()
