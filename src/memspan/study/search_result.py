"""The result of a search: its path, its trials, and the span that they give."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from memspan.errors import shown
from memspan.span import Answer, SpanEstimate, SpanSearch
from memspan.study.configuration import Configuration
from memspan.study.results import StudyResult, summed
from memspan.study.search import Search, time_steps
from memspan.study.study import Key
from memspan.study.trial import Trial
from memspan.training.history import Outcome


def answer_of(trial: Trial, configuration: Configuration) -> Answer:
    """Return what a search is told of a trial. A failed one does not count, because the machine failed."""
    solved = None if trial.outcome is Outcome.FAILED else trial.outcome is Outcome.SOLVED
    steps = trial.updates * time_steps(configuration.known_task(), trial.length)
    return Answer(trial.length, trial.repetition, solved, steps)


class Paths:
    """The paths of several searches, as far as their trials are known.

    A path is a function of its trials alone. So a search is resumed by following its path through the stored ones.

    Attributes
    ----------
    searches : sequence of Search
        In keys, the configuration is the index of a search.
    paths : list of SpanSearch
        One for each search.
    """

    def __init__(self, searches: Sequence[Search], trials: Iterable[Trial] = ()) -> None:
        self.searches = searches
        self.paths = [search.new_search() for search in searches]
        self._answers: dict[Key, Answer] = {}
        self.add(trials)

    def add(self, trials: Iterable[Trial]) -> None:
        """Take trials that have ended, and go on along every path whose round is complete."""
        for trial in trials:
            self._answers[trial.key] = answer_of(trial, self.searches[trial.configuration].configuration)
        for place, path in enumerate(self.paths):
            while (keys := _asked(place, path)) and all(key in self._answers for key in keys):
                path.tell([self._answers[key] for key in keys])

    def missing(self) -> list[Key]:
        """Return the keys of the trials that the next rounds lack, the longest lengths first."""
        keys = [key for place, path in enumerate(self.paths) for key in _asked(place, path)]
        return sorted((key for key in keys if key not in self._answers), key=lambda key: (-key.length, key))


def _asked(place: int, path: SpanSearch) -> list[Key]:
    """The keys of the trials of the next round of a path."""
    return [Key(place, group.length, group.first + k) for group in path.ask() for k in range(group.count)]


@dataclass(frozen=True, repr=False)
class SearchResult(StudyResult):
    """The result of a search: the span, and the trials that it comes from.

    Attributes
    ----------
    study : Study
        The smallest study that has all these trials.
    rows : tuple of tuple of LengthSummary
        A summary of each length, the shortest first.
    trials : tuple of Trial
        The trials of all complete rounds, in the order of their keys.
    search : Search
    path : SpanSearch
        The rounds of the search, with the estimate after each.
    """

    search: Search
    path: SpanSearch = field(compare=False)  # it follows from the search and the trials

    @classmethod
    def found(cls, search: Search, trials: Iterable[Trial]) -> Self:
        """Return the result of trials in any order. Those that the path does not use are left out."""
        known = {trial.key: trial for trial in trials}
        (path,) = Paths([search], known.values()).paths
        groups = [group for one in path.rounds for group in one.groups]
        keys = {Key(0, group.length, group.first + k) for group in groups for k in range(group.count)}
        used = tuple(known[key] for key in sorted(keys))
        study = search.covering({key.length for key in keys}, max((key.repetition + 1 for key in keys), default=1))
        rows = tuple(tuple(row for row in each if row.done) for each in summed(study, used))
        return cls(study, rows, used, search, path)

    def __repr__(self) -> str:
        name = "" if self.search.name is None else f" {shown(self.search.name)}"
        return f"<SearchResult{name} of {self.search.describe()}: {self.sentence}>"

    @property
    def parts(self) -> Sequence["SearchResult"]:
        """The result itself, because a search has one configuration."""
        return [self]

    @property
    def complete(self) -> bool:
        """Whether the search has ended."""
        return bool(self.ended)

    @property
    def ended(self) -> str:
        """Why the search has ended, a `memspan.span.Ended`; empty while it goes on."""
        return self.path.ended

    @property
    def estimate(self) -> SpanEstimate | None:
        """The span with its interval; None before the end of the first round with a training that did not fail."""
        return self.path.estimate

    @property
    def steps_trained(self) -> int:
        """Time steps trained: the sum over trainings of updates times the steps of a sequence."""
        return self.path.steps

    @property
    def sentence(self) -> str:
        """The answer in words."""
        if self.estimate is None:
            why = "No training has run to its end" if self.path.rounds else "No round has ended"
            return f"{why}, so there is no answer yet."
        return f"{self.estimate}." if self.complete else f"So far: {self.estimate}."

    def numbers(self) -> dict[str, Any]:
        """Return the result for JSON, with the search itself, and why it ended (null while it goes on)."""
        found = super().numbers() | {"search": self.search.model_dump(mode="json"), "trials": self.done}
        return found | {
            "ended": self.ended or None,
            "trainings": self.path.trainings,
            "steps_trained": self.steps_trained,
        }
