"""Trying remedies: make the change that a verdict names, measure again, and explain what limits it now."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from memspan.errors import InvalidArgument, shown, whole_number
from memspan.execution.run import run_study
from memspan.execution.search import run_search
from memspan.span import SolvedShare, SpanEstimate
from memspan.span.ranking import rank
from memspan.study.configuration import Configuration
from memspan.study.results import StudyResult
from memspan.study.search import Search
from memspan.study.search_result import SearchResult
from memspan.study.study import Study
from memspan.why.explain import NETWORKS, explain
from memspan.why.explanation import Explanation
from memspan.why.remedy import Remedy

ROUNDS = 3
"""The most remedies that are tried one after another."""
WIDTH, BUDGET, LONGEST = 0.2, "96", 300
"""The search for the span after a change, where the study was no search."""
LEAST = 8
"""The least number of repetitions, where the study has a single length."""

Measure = SpanEstimate | SolvedShare


@dataclass(frozen=True, repr=False)
class Attempt:
    """A remedy that was tried, and what it brought.

    Attributes
    ----------
    number : int
        The round, from 1.
    explained : Explanation
        Of the shortest length beyond the span: its verdict named the remedy.
    remedy : Remedy
    before, after : SpanEstimate or SolvedShare
        The span; for a study of one length the solved share.
    result : StudyResult
        The study or search with the change.
    """

    number: int
    explained: Explanation
    remedy: Remedy
    before: Measure | None
    after: Measure | None
    result: StudyResult

    @property
    def better(self) -> bool:
        """Whether the change is kept: the span or the share is larger than before."""
        return _size(self.after) > _size(self.before)

    def __repr__(self) -> str:
        return f"<Attempt {self.number}: {self}>"

    def __str__(self) -> str:
        verdict = f"T = {self.explained.length}, {self.explained.verdict}"
        what = "solved" if isinstance(self.after, SolvedShare) else "span"
        kept = "" if self.better else "; no better, so the change is not kept"
        return f"{verdict}: {self.remedy}. The {what}: {measure(self.before)} -> {measure(self.after)}{kept}"

    def numbers(self) -> dict[str, Any]:
        """Return the attempt for JSON."""
        what = "share" if isinstance(self.after, SolvedShare) else "span"
        return {
            "round": self.number,
            "length": self.explained.length,
            "verdict": self.explained.verdict,
            **self.remedy.numbers(),
            "measure": what,
            "before": _numbers(self.before, what),
            "after": _numbers(self.after, what),
            "kept": self.better,
        }


def try_remedies(
    result: StudyResult,
    *,
    rounds: int = ROUNDS,
    networks: int = NETWORKS,
    budget: str = BUDGET,
    longest: int = LONGEST,
    store: str | Path | None = None,
    workers: int = 0,
    progress: bool | str = True,
    tell: Callable[[Attempt], object] = lambda attempt: None,
) -> list[Attempt]:
    """Try the remedies of the verdict on the shortest length beyond the span, round by round.

    A change that makes the span longer (or, for a study of one length, the solved share larger) is kept, and the
    next round explains what limits the changed configuration. After a change that does not, the next remedy of
    the same verdict is tried.

    Parameters
    ----------
    result : StudyResult
        Of one configuration.
    rounds : int
        The most remedies to try.
    networks
        As in `explain`.
    budget, longest
        Of the search for the span after each change, as in `Search`; a search has its own.
    store, workers, progress
        As in `run_study`, for the new trainings.
    tell : callable
        Called with each attempt as soon as it has ended.

    Raises
    ------
    InvalidArgument
        If there are several configurations, or an argument is wrong.
    """
    rounds = whole_number("rounds", rounds)
    if not isinstance(result, StudyResult) or len(result.parts) > 1:  # type: ignore[redundant-expr]
        raise InvalidArgument("result", "the result of a study or search of one configuration", shown(result))
    single = not isinstance(result, SearchResult) and len(result.study.lengths) == 1
    Search(budget=budget, longest=longest)  # raises if they are wrong
    search = {"width": WIDTH, "budget": budget, "longest": longest}
    how: dict[str, Any] = {"store": store, "workers": workers, "progress": progress}
    found: list[Attempt] = []
    explained = _limit(result, networks, progress)
    remedies = list(explained.remedies) if explained else []
    while explained and remedies and len(found) < rounds:
        remedy, *remedies = remedies
        changed = result.study.configuration.with_(**remedy.after)
        after = _share(changed, result, how) if single else _span(changed, result, search, how)
        found.append(
            Attempt(len(found) + 1, explained, remedy, _measure(result, single), _measure(after, single), after)
        )
        tell(found[-1])
        if found[-1].better:
            result = after
            explained = _limit(result, networks, progress) if len(found) < rounds else None
            remedies = list(explained.remedies) if explained else []
    return found


def measure(found: Measure | None) -> str:
    """Return a span or a share with its interval, for a sentence."""
    if found is None:
        return "unknown"
    if isinstance(found, SpanEstimate):
        return found.short
    return f"{found.solved} of {found.trials} [{found.low:.2f}, {found.high:.2f}]"


def limit_of(result: StudyResult) -> int | None:
    """Return the shortest length beyond the span that fewer than half solve; None if there is none."""
    rows = [row for row in result.summaries() if row.share.trials and 2 * row.share.solved < row.share.trials]
    estimate = result.estimate
    span = (estimate.span if estimate else None) or 0.0
    beyond = [row.length for row in rows if row.length >= span]
    return min(beyond, default=max((row.length for row in rows), default=None))


def _limit(result: StudyResult, networks: int, progress: bool | str) -> Explanation | None:
    length = limit_of(result)
    return None if length is None else explain(result, lengths=[length], networks=networks, progress=progress)[0]


def _share(configuration: Configuration, before: StudyResult, how: dict[str, Any]) -> StudyResult:
    repetitions = max(LEAST, before.study.repetitions)
    fields = configuration.model_dump(exclude_unset=True)
    return run_study(Study(**fields, lengths=before.study.lengths, repetitions=repetitions), **how)


def _span(
    configuration: Configuration, before: StudyResult, search: dict[str, Any], how: dict[str, Any]
) -> SearchResult:
    settings = before.search.settings() if isinstance(before, SearchResult) else search
    return run_search(Search(**configuration.model_dump(exclude_unset=True), **settings), **how)


def _measure(result: StudyResult, single: bool) -> Measure | None:
    return result.summaries()[0].share if single else result.estimate


def _size(found: Measure | None) -> tuple[float, float]:
    return (found.share, 0.0) if isinstance(found, SolvedShare) else rank(found)


def _numbers(found: Measure | None, what: str) -> dict[str, float | None]:
    return {name: getattr(found, name, None) for name in (what, "low", "high")}
