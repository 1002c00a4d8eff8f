"""Running a comparison: tune each configuration if that is wanted, then search for every span."""

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

from memspan.errors import InvalidArgument, UnknownField, shown
from memspan.execution.events import Listener
from memspan.execution.listeners import listening, progress_kind
from memspan.execution.running import silent, team_of
from memspan.execution.search import SearchRun
from memspan.execution.teams import Alone, Team
from memspan.study.comparison import Comparison
from memspan.study.comparison_result import Compared, Tuning
from memspan.study.configuration import Configuration
from memspan.study.labels import labels_of
from memspan.study.search import Search


def compare(
    configurations: Comparison | Sequence[Configuration],
    store: str | Path | None = None,
    *,
    workers: int = 0,
    scheduler: str | None = None,
    executor: Executor | Callable[[], Executor] | None = None,
    retry_failed: bool = False,
    progress: bool | str = True,
    listen: Listener | None = None,
    **settings: Any,
) -> Compared:
    """Compare the spans of several configurations.

    Parameters
    ----------
    configurations : Comparison, or sequence of Configuration
        A `Comparison` can also make the numbers of parameters equal, and tune.
    store, workers, scheduler, executor, retry_failed, progress, listen
        As in `run_study`.
    **settings
        How to search for the spans of a list: fields of a `Search` such as `width`, `budget`, `longest`, `share`
        or `level`. A `Comparison` has its own.

    Returns
    -------
    Compared

    Raises
    ------
    InvalidArgument
        If an argument is wrong, or there are fewer than two configurations.
    KeyboardInterrupt, AnotherStudy, TooLarge, StoreFailed, ExecutorFailed
        As in `run_study`.
    """
    make_team = team_of(workers, scheduler, executor)
    _demand_settings(configurations, settings)
    with listening(progress_kind(progress), listen) as tell:
        how: dict[str, Any] = {"retry_failed": retry_failed, "tell": tell}
        if isinstance(configurations, Comparison):
            return run_comparison(configurations, store, make_team, **how)
        listed = _listed(configurations)
        searches = [Search(**one.model_dump(exclude_unset=True), **settings) for one in listed]
        return _compared(searches, labels_of(listed), store, make_team, **how)


def _demand_settings(configurations: Any, settings: dict[str, Any]) -> None:
    """Raise if a setting is unknown, or if a `Comparison` has it."""
    known, protocol = Search.setting_names(), Comparison.protocol_names()
    for name, value in settings.items():
        if name in protocol and not isinstance(configurations, Comparison):
            raise InvalidArgument(name, "left out, because only a Comparison has it", shown(value))
        if name not in known | protocol:
            raise UnknownField.among(name, sorted({*known, *(compare.__kwdefaults__ or ())}), "compare")
        if isinstance(configurations, Comparison):
            raise InvalidArgument(name, "left out, because the Comparison has its own", shown(value))


def _listed(configurations: Any) -> list[Configuration]:
    found = list(configurations) if isinstance(configurations, Sequence) else [configurations]
    for one in found:
        if not isinstance(one, Configuration):
            raise InvalidArgument("configurations", "a Comparison, or a list of Configurations", shown(one))
    if len(found) < 2 or len(set(labels_of(found))) < len(found):
        raise InvalidArgument("configurations", "at least two different ones", shown(configurations))
    return found


def run_comparison(
    comparison: Comparison,
    store: str | Path | None = None,
    make_team: Callable[[], Team] = Alone,
    *,
    retry_failed: bool = False,
    tell: Listener = silent,
) -> Compared:
    """Run the searches of a comparison, after those that tune it. The parameters are as in `Run`."""
    how: dict[str, Any] = {"retry_failed": retry_failed, "tell": tell}
    tuning, comparison = None, comparison.loaded()
    for search in comparison.searches():
        search.new_search()  # refuses a budget that is too small, before anything is tuned
    if trials := comparison.tuning():
        with SearchRun([trial.search for trial in trials], store, make_team, **how) as running:
            running.run()
            tuning = Tuning(tuple(trials), tuple(running.results()))
    searches = comparison.searches(tuning.chosen if tuning else None)
    return _compared(searches, comparison.labels, store, make_team, comparison, tuning, **how)


def _compared(
    searches: Sequence[Search],
    labels: Sequence[str],
    store: str | Path | None,
    make_team: Callable[[], Team],
    comparison: Comparison | None = None,
    tuning: Tuning | None = None,
    **how: Any,
) -> Compared:
    with SearchRun(searches, store, make_team, **how) as running:
        running.run()
        return Compared(tuple(labels), tuple(running.results()), tuning, comparison)
