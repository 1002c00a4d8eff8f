"""A study and its trials."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

from memspan.study.entry import Entry
from memspan.study.specification import Study
from memspan.study.summary import StudySummary, summed
from memspan.study.trial import Trial

MOST_WITH_CURVES = 10_000
"""Trials whose curves are read too, where nothing else is said; of more they stay in the store."""


@dataclass(frozen=True)
class StudyResult(StudySummary):
    """A study, what its trials come to, and the trials that are done.

    Attributes
    ----------
    study : Study
    rows : tuple of tuple of LengthSummary
        For each configuration one for each length, the shortest first.
    trials : tuple of Trial
        In the order of their keys; each takes about 4 kB, and 20 kB with its curves.
    """

    trials: tuple[Trial, ...]

    @classmethod
    def of_entry(cls, entry: Entry, *, curves: bool = True) -> Self:
        """The trials of a study in a store, with their curves or without."""
        return cls.of(entry.study, entry.trials(curves_too=curves))

    @classmethod
    def of(cls, study: Study, trials: Iterable[Trial]) -> Self:
        """Of trials in any order."""
        ordered = tuple(sorted(trials, key=lambda trial: trial.key))
        return cls(study, summed(study, ordered), ordered)

    @cached_property
    def parts(self) -> Sequence["StudyResult"]:
        """The result of each configuration by itself."""
        if len(self.rows) == 1:
            return [self]
        apart: list[list[Trial]] = [[] for _ in self.rows]
        for trial in self.trials:
            apart[trial.configuration].append(trial.model_copy(update={"configuration": 0}))
        pairs = zip(self.study.configurations, apart, strict=True)
        return [StudyResult.of(study, trials) for study, trials in pairs]

    def of_length(self, length: int) -> list[Trial]:
        """The trials of one length, in the order of their repetitions."""
        return self._by_length.get(length, [])

    @cached_property
    def _by_length(self) -> dict[int, list[Trial]]:
        found: dict[int, list[Trial]] = {}
        for trial in self.trials:
            found.setdefault(trial.length, []).append(trial)
        return found
