"""What the trials of a study come to: solved shares with their intervals, one sentence; and the trials."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Self

import numpy as np

from memspan.span import LongestSolved, SolvedShare, longest_solved
from memspan.study.study import Study
from memspan.study.trial import Trial
from memspan.training.history import Outcome

if TYPE_CHECKING:
    from rich.table import Table

MOST_WITH_CURVES = 10_000
"""Trials whose curves are read too, where nothing else is said; of more they stay in the store."""


@dataclass(frozen=True)
class LengthSummary:
    """All repetitions of one length.

    Attributes
    ----------
    length : int
        T.
    share : SolvedShare
        How many solved it, of those that ran; a diverged one ran and did not solve.
    diverged, failed : int
        How many ended so. A failed trial is the machine's fault and counts nowhere else.
    accuracies, losses : tuple of float
        One number for each repetition that ran, on held-out batches.
    reasons : tuple of str
        Why trials failed, each reason once.
    """

    length: int
    share: SolvedShare
    diverged: int
    failed: int
    accuracies: tuple[float, ...]
    losses: tuple[float, ...]
    reasons: tuple[str, ...] = ()

    @property
    def done(self) -> int:
        """How many trials have ended, however they did."""
        return self.share.trials + self.failed

    @property
    def spread(self) -> float:
        """Standard deviation of the accuracy over repetitions; nan for fewer than two."""
        return float(np.std(self.accuracies, ddof=1)) if len(self.accuracies) > 1 else float("nan")


@dataclass(frozen=True)
class StudySummary:
    """A study, and what its trials come to. Of a million trials it takes a few dozen megabytes.

    Attributes
    ----------
    study : Study
    rows : tuple of tuple of LengthSummary
        For each configuration one for each length, the shortest first.
    """

    study: Study
    rows: tuple[tuple[LengthSummary, ...], ...]

    @classmethod
    def of(cls, study: Study, trials: Iterable[Trial]) -> Self:
        """Of trials in the order of their keys."""
        return cls(study, summed(study, trials))

    @cached_property
    def parts(self) -> Sequence["StudySummary"]:
        """The summary of each configuration by itself."""
        if len(self.rows) == 1:
            return [self]
        return [StudySummary(self.study.only(k), (rows,)) for k, rows in enumerate(self.rows)]

    @property
    def done(self) -> int:
        """How many trials have ended."""
        return sum(row.done for row in chain(*self.rows))

    @property
    def complete(self) -> bool:
        """Whether every trial is there."""
        return self.done == self.study.size

    def summaries(self) -> list[LengthSummary]:
        """One summary for each length, the shortest first; of a study with one configuration."""
        _ = self.study.configuration  # raises if there are several
        return list(self.rows[0])

    @property
    def longest(self) -> int | None:
        """The longest length that at least half of these repetitions solved; of a study with one configuration."""
        return longest_solved({row.length: row.share for row in self.summaries()})

    @property
    def longest_range(self) -> LongestSolved:
        """What the repetitions leave open of the longest length that is solved at least half of the time.

        Of a study with one configuration.
        """
        return LongestSolved.of({row.length: row.share for row in self.summaries()})

    @property
    def sentence(self) -> str:
        """The answer, or that there is none yet; a line for each configuration."""
        if not any(row.share.trials for row in chain(*self.rows)):
            return "No trial has run to its end: nothing can be said."
        parts = self.parts
        if len(parts) > 1:
            return "\n".join(f"{self.study.label(k)}: {part.sentence}" for k, part in enumerate(parts))
        longest = self.longest_range
        if longest.high is None:
            answer = "No length was solved by at least half of the repetitions."
        else:
            answer = f"The longest length solved by at least half of the repetitions is {longest}."
        done = f"So far ({self.done} of {self.study.size} trials): "
        return answer if self.complete else done + answer[0].lower() + answer[1:]

    @property
    def failures(self) -> list[str]:
        """Why trials failed, each reason once."""
        return list(dict.fromkeys(reason for row in chain(*self.rows) for reason in row.reasons))

    def table(self) -> "Table":
        """The summaries as a table for `rich`."""
        from memspan.study.table import table_of

        return table_of(self)


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
        return [StudyResult.of(self.study.only(k), trials) for k, trials in enumerate(apart)]

    def of_length(self, length: int) -> list[Trial]:
        """The trials of one length, in the order of their repetitions."""
        return self._by_length.get(length, [])

    @cached_property
    def _by_length(self) -> dict[int, list[Trial]]:
        found: dict[int, list[Trial]] = {}
        for trial in self.trials:
            found.setdefault(trial.length, []).append(trial)
        return found


class _Sum:
    """Of the trials of one configuration and length, one after the other."""

    def __init__(self) -> None:
        self.count: Counter[str] = Counter()
        self.accuracies: list[float] = []
        self.losses: list[float] = []
        self.reasons: dict[str, None] = {}

    def add(self, trial: Trial) -> None:
        self.count[trial.outcome] += 1
        if trial.outcome is Outcome.FAILED:
            self.reasons[trial.reason] = None
            return
        self.accuracies.append(trial.accuracy)
        self.losses.append(trial.loss)

    def of(self, length: int) -> LengthSummary:
        return LengthSummary(
            length,
            SolvedShare.of(self.count["solved"], len(self.accuracies)),
            self.count["diverged"],
            self.count["failed"],
            tuple(self.accuracies),
            tuple(self.losses),
            tuple(self.reasons),
        )


def summed(study: Study, trials: Iterable[Trial]) -> tuple[tuple[LengthSummary, ...], ...]:
    """A summary for each configuration and length; the trials are looked at once, and not kept."""
    sums = [{length: _Sum() for length in study.lengths} for _ in study.configurations]
    for trial in trials:
        sums[trial.configuration][trial.length].add(trial)
    return tuple(tuple(found.of(length) for length, found in each.items()) for each in sums)
