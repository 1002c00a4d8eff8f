"""Running a comparison: tune each configuration if that is wanted, then search for every span."""

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

from memspan.errors import InvalidArgument, shown
from memspan.execution.events import Listener
from memspan.execution.listeners import listening, progress_kind
from memspan.execution.running import silent, team_of
from memspan.execution.search import SearchRun
from memspan.execution.teams import Alone, Team
from memspan.runtime.renamed import checked_keywords
from memspan.study.comparison import Comparison
from memspan.study.comparison_result import Compared, Tuning
from memspan.study.configuration import Configuration
from memspan.study.search import Search


@checked_keywords()
def compare(
    configurations: Comparison | Sequence[Configuration],
    store: str | Path | None = None,
    *,
    width: float = 0.1,
    workers: int = 0,
    scheduler: str | None = None,
    executor: Executor | Callable[[], Executor] | None = None,
    retry_failed: bool = False,
    progress: bool | str = True,
    listen: Listener | None = None,
) -> Compared:
    """Compare the spans of several configurations.

    Parameters
    ----------
    configurations : Comparison, or sequence of Configuration
        A `Comparison` can also make the numbers of parameters equal, and tune.
    width : float
        As in `find_span`; a `Comparison` has its own.
    store, workers, scheduler, executor, retry_failed, progress, listen
        As in `run_study`.

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
    with listening(progress_kind(progress), listen) as tell:
        how: dict[str, Any] = {"retry_failed": retry_failed, "tell": tell}
        if isinstance(configurations, Comparison):
            return run_comparison(configurations, store, make_team, **how)
        listed = _listed(configurations)
        searches = [Search(**one.model_dump(exclude_unset=True), width=width) for one in listed]
        return _compared(searches, labels_of(listed), store, make_team, **how)


def _listed(configurations: Any) -> list[Configuration]:
    found = list(configurations) if isinstance(configurations, Sequence) else [configurations]
    for one in found:
        if not isinstance(one, Configuration):
            raise InvalidArgument("configurations", "a Comparison, or a list of Configurations", shown(one))
    if len(found) < 2 or len(set(found)) < len(found):
        raise InvalidArgument("configurations", "at least two different ones", shown(configurations))
    return found


def labels_of(configurations: Sequence[Configuration]) -> list[str]:
    """Return the values of the fields in which some configurations differ, as in `cell lstm, hidden 16`."""
    values = [one.values() for one in configurations]
    names = list(dict.fromkeys(name for each in values for name in each))
    differing = [name for name in names if len({each.get(name) for each in values}) > 1]
    return [
        ", ".join(f"{Comparison.shown(name)} {each[name][0]}" for name in differing if name in each)
        for each in values
    ]


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
    tuning = None
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
