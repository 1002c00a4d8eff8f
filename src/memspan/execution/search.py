"""Running searches for spans: train what each round asks for, and tell it the results, until all have ended."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from functools import partial
from pathlib import Path
from typing import Any

from memspan.errors import InvalidArgument, shown
from memspan.execution.coordinator import Coordinator
from memspan.execution.engines import choose_engines, engines_event
from memspan.execution.events import Engines, Listener, Searching, SpanFound
from memspan.execution.jobs import Assignment
from memspan.execution.listeners import listening, progress_kind
from memspan.execution.plan import groups_in_room
from memspan.execution.running import Run, silent, team_of
from memspan.execution.teams import Alone, Team
from memspan.runtime.renamed import checked_keywords, with_new_names
from memspan.store.entry import Entry
from memspan.store.store import Store
from memspan.study.choices import RENAMED
from memspan.study.configuration import Configuration
from memspan.study.engines import recorded
from memspan.study.identity import default_name
from memspan.study.search import Search
from memspan.study.search_result import Paths, SearchResult
from memspan.study.study import Key
from memspan.study.trial import Trial


def find_span(
    configuration: Configuration,
    width: float = 0.1,
    *,
    store: str | Path | None = None,
    workers: int = 0,
    scheduler: str | None = None,
    executor: Executor | Callable[[], Executor] | None = None,
    retry_failed: bool = False,
    progress: bool | str = True,
    listen: Listener | None = None,
    **fields: Any,
) -> SearchResult:
    """Find the span of a configuration with few trainings: the length that it solves with probability one half.

    Parameters
    ----------
    configuration : Configuration
    width : float
        Stop when half of the interval is at most this part of the span.
    store, workers, scheduler, executor, retry_failed, progress, listen
        As in `run_study`.
    **fields
        Other fields of `Search`, such as `budget`, `longest` or `share`, but none of the configuration.

    Returns
    -------
    SearchResult
        `result.estimate` is the span with its interval.

    Raises
    ------
    InvalidArgument
        If an argument is wrong.
    KeyboardInterrupt, AnotherStudy, TooLarge, StoreFailed, ExecutorFailed
        As in `run_study`.

    Examples
    --------
    >>> result = find_span(Configuration(hidden=8, updates=20), budget=16, repetitions=2, groups=2, progress=False)
    >>> result.estimate.trainings
    12
    """
    if not isinstance(configuration, Configuration):
        raise InvalidArgument("configuration", "a Configuration", shown(configuration))
    fields = with_new_names(fields, RENAMED)
    for name, value in fields.items():
        if name in Configuration.model_fields:
            raise InvalidArgument(name, "given in the configuration, and not beside it", shown(value))
    search = Search(**configuration.model_dump(exclude_unset=True), width=width, **fields)
    return run_search(
        search,
        store,
        workers=workers,
        scheduler=scheduler,
        executor=executor,
        retry_failed=retry_failed,
        progress=progress,
        listen=listen,
    )


@checked_keywords()
def run_search(
    search: Search,
    store: str | Path | None = None,
    *,
    workers: int = 0,
    scheduler: str | None = None,
    executor: Executor | Callable[[], Executor] | None = None,
    retry_failed: bool = False,
    progress: bool | str = True,
    listen: Listener | None = None,
) -> SearchResult:
    """Run a search for a span.

    Its lengths depend on earlier results alone, and a result on its configuration, length and repetition alone. So
    the same search gives the same trials and the same span on any number of processes, and after an interruption.

    Parameters
    ----------
    search : Search
    store, workers, scheduler, executor, retry_failed, progress, listen
        As in `run_study`.

    Returns
    -------
    SearchResult

    Raises
    ------
    InvalidArgument, KeyboardInterrupt, AnotherStudy, TooLarge, StoreFailed, ExecutorFailed
        As in `run_study`.
    """
    make_team = team_of(workers, scheduler, executor)
    with (
        listening(progress_kind(progress), listen) as tell,
        SearchRun([search], store, make_team, retry_failed=retry_failed, tell=tell) as running,
    ):
        running.run()
        return running.results()[0]


class SearchRun(Run):
    """The run of several searches. See `Run` for the other parameters.

    The searches go on in step: a round of each is trained together, so that no worker waits for a single search.

    Parameters
    ----------
    searches : sequence of Search
    """

    def __init__(
        self,
        searches: Sequence[Search],
        store: str | Path | None = None,
        make_team: Callable[[], Team] = Alone,
        *,
        retry_failed: bool = False,
        tell: Listener = silent,
    ) -> None:
        for search in searches:
            if not isinstance(search, Search):
                raise InvalidArgument("search", "a Search", shown(search))
        super().__init__(store, make_team, retry_failed=retry_failed, tell=tell)
        self.searches = tuple(search.loaded() for search in searches)
        self.names = [search.name or default_name(search) for search in searches]
        self._paths = Paths(self.searches)
        self._entries: list[Entry | None] = [None] * len(self.searches)
        self._engines: list[dict[str, str]] = [{} for _ in self.searches]  # as in `memspan.study.engines`

    def results(self) -> list[SearchResult]:
        """Return the result of each search, with the trials and their curves."""
        with self._interrupts.raised(1):
            return [
                SearchResult.found(search, self._trials_of(place)) for place, search in enumerate(self.searches)
            ]

    def _prepared(self, store: Store | None) -> Callable[[], None]:
        """As in `Run`."""
        if store is not None:
            with self._interrupts.raised(2):
                self._entries = [store.existing(search) for search in self.searches]
                self._engines = [{} if entry is None else dict(entry.engines) for entry in self._entries]
                self._paths.add(self._whole_trials())
        return partial(self._train, store) if self._paths.missing() else partial(self._announce, ())

    def _spans(self) -> tuple[SpanFound, ...]:
        """As in `Run`."""
        pairs = zip(self.names, self._paths.paths, strict=True)
        return tuple(SpanFound(name, path.estimate, path.ended) for name, path in pairs)

    def _announce(self, keys: tuple[Key, ...]) -> None:
        """Tell which trials are run next; none if every search had ended before."""
        self._tell(Searching(self.searches, tuple(self.names), tuple(self._paths.paths), keys))

    def _train(self, store: Store | None) -> None:
        team = self._new_team()
        configurations = [search.configuration for search in self.searches]
        at_once = True
        try:
            chosen = choose_engines(self.searches, self._engines, team, self._interrupts, self._tell)
            self._engines = [{key: choice.engine for key, choice in found.items()} for found in chosen]
            groups = groups_in_room(configurations, self._paths.missing(), team, self._engine_names())
            self._enter(store)
            arguments = self._keep, self._missing, self._tell, self._interrupts
            assignment = Assignment.of_searches(self._entered(), self._engine_names())
            coordinator = Coordinator(assignment, team, *arguments)
            engines = engines_event(configurations, assignment.engines, chosen)
            while groups:
                keys = tuple(key for group in groups for key in group)
                self._announce(keys)
                if engines.lines:
                    self._tell(engines)
                    engines = Engines(())
                coordinator.run(groups)
                if set(keys) & set(self._paths.missing()):  # another coordinator has stored trials of this round
                    self._paths.add(trial for place in range(len(self.searches)) for trial in self._placed(place))
                groups = groups_in_room(configurations, self._paths.missing(), team, assignment.engines)
            at_once = False
        finally:
            team.close(at_once=at_once)

    def _enter(self, store: Store | None) -> None:
        """Enter the searches in the store, and create it if it does not exist."""
        if self.place is None:
            return
        with self._interrupts.raised(2):
            opened = store or self._opened(self.place, create=True)
            for place, search in enumerate(self.searches):
                entry = self._entries[place] = opened.enter(search, engines=self._engines[place])
                self.names[place], self._engines[place] = entry.name, dict(entry.engines)
                if self._retry_failed:
                    entry.forget_failed()

    def _engine_names(self) -> list[str | None]:
        """The engine of each search; None for memspan's cells."""
        pairs = zip(self._engines, self.searches, strict=True)
        return [recorded(engines, search.configuration) for engines, search in pairs]

    def _entered(self) -> list[Search]:
        """The searches as they are in the store, which may keep more weights."""
        pairs = zip(self.searches, self._entries, strict=True)
        return [search if entry is None or entry.search is None else entry.search for search, entry in pairs]

    def _missing(self, keys: Sequence[Key]) -> Sequence[Key]:
        """Return the keys that no other coordinator has stored meanwhile; all have the same configuration."""
        place = keys[0].configuration
        entry = self._entries[place]
        if entry is None:
            return keys
        with self._interrupts.raised(2):
            return [
                key._replace(configuration=place)
                for key in entry.missing([key._replace(configuration=0) for key in keys])
            ]

    def _keep(self, trials: Sequence[Trial]) -> None:
        """Store trials, and let the searches go on. The interrupts are as in `StudyRun`."""
        with self._interrupts.raised(2):
            for place, entry in enumerate(self._entries):
                mine = [_placed_at(0, trial) for trial in trials if trial.configuration == place]
                if entry is not None and mine:
                    entry.keep(mine)
        if self.place is None:
            self._trials |= {trial.key: trial for trial in trials}
        self._paths.add(trials)

    def _trials_of(self, place: int, *, curves: bool = True) -> Iterator[Trial]:
        """Yield the trials of a search that are known now, with configuration 0."""
        if self._store is None:
            yield from (_placed_at(0, trial) for key, trial in self._trials.items() if key.configuration == place)
        # An entry knows only the lengths that were in the store when it was made, so a new one is read.
        elif (entry := self._store.existing(self.searches[place])) is not None:
            yield from entry.trials(curves_too=curves)

    def _placed(self, place: int) -> Iterator[Trial]:
        return (_placed_at(place, trial) for trial in self._trials_of(place, curves=False))

    def _whole_trials(self) -> Iterator[Trial]:
        """Yield the stored trials that need not be computed again."""
        for place, entry in enumerate(self._entries):
            if entry is not None:
                done = entry.done(but_failed=self._retry_failed)
                for trial in entry.trials(curves_too=False):
                    if trial.key in done:
                        yield _placed_at(place, trial)


def _placed_at(place: int, trial: Trial) -> Trial:
    return trial.model_copy(update={"configuration": place}) if trial.configuration != place else trial
