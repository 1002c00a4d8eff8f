"""The results of a study: solved shares with intervals, the answer in one sentence, and the trials."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from memspan.errors import NotFound, shown
from memspan.span import SolvedShare, SpanEstimate, estimate_span, longest_solved
from memspan.study.study import Study
from memspan.study.trial import Trial
from memspan.training.history import Outcome

if TYPE_CHECKING:
    from memspan.runtime.tables import TextTable

FLAT = (
    *("length", "repetition", "outcome", "reason", "updates", "accuracy", "loss"),
    *("seconds", "cpu_seconds", "attempts", "digest", "version", "critical_gain"),
)
"""The fields of a trial that hold a single value."""
MOST_WITH_CURVES = 10_000
"""The largest study whose curves are read by default. Those of larger studies stay in the store."""


@dataclass(frozen=True, repr=False)
class LengthSummary:
    """The summary of all repetitions of a configuration at one length.

    Attributes
    ----------
    length : int
        T.
    share : SolvedShare
        The share of trials that solved the length. Diverged trials count as not solved, failed ones do not count.
    diverged, failed : int
        The numbers of diverged and of failed trials. A failed trial has no result: an error or the death of its
        worker ended it.
    accuracies, losses : tuple of float
        One number for each trial that did not fail, on held-out batches.
    reasons : tuple of str
        Why trials failed, each reason once.
    tests : mapping of int to tuple of float
        For each test length, the accuracy of each trial that did not fail.
    critical_gain : float or None
        The gain of R that the initializer `critical` has chosen for this length; None for other initializers.
    """

    length: int
    share: SolvedShare
    diverged: int
    failed: int
    accuracies: tuple[float, ...]
    losses: tuple[float, ...]
    reasons: tuple[str, ...] = ()
    tests: Mapping[int, tuple[float, ...]] = field(default_factory=dict)
    critical_gain: float | None = None

    def __repr__(self) -> str:
        return f"<LengthSummary T={self.length}: solved {self.share.solved} of {self.share.trials}>"

    @property
    def done(self) -> int:
        """The number of trials that have ended, failed ones included."""
        return self.share.trials + self.failed

    @property
    def spread(self) -> float:
        """The standard deviation of the accuracy over repetitions; NaN for fewer than two."""
        return float(np.std(self.accuracies, ddof=1)) if len(self.accuracies) > 1 else float("nan")


@dataclass(frozen=True, repr=False)
class StudySummary:
    """The summary of a study, without its trials. For a million trials it takes a few dozen megabytes.

    Attributes
    ----------
    study : Study
    rows : tuple of tuple of LengthSummary
        For each configuration a summary of each length, the shortest first.
    """

    study: Study
    rows: tuple[tuple[LengthSummary, ...], ...]

    @classmethod
    def of(cls, study: Study, trials: Iterable[Trial]) -> Self:
        """Return the summary of trials, which must come in the order of their keys."""
        return cls(study, summed(study, trials))

    def __repr__(self) -> str:
        name = "" if self.study.name is None else f" {shown(self.study.name)}"
        done = f"{self.done:,} of {self.study.size:,} trials"
        answer = f" {self.sentence}" if len(self.rows) == 1 else ""
        return f"<{type(self).__name__}{name} of {self.study.describe()}: {done}.{answer}>"

    def _repr_html_(self) -> str:
        """The answer and the table of lengths, for a notebook."""
        from memspan.runtime.html import for_notebook, of_table, paragraphs

        return for_notebook(paragraphs(self.sentence, class_="answer"), of_table(self.table()))

    @cached_property
    def parts(self) -> Sequence["StudySummary"]:
        """The summary of each configuration."""
        if len(self.rows) == 1:
            return [self]
        return [StudySummary(self.study.only(k), (rows,)) for k, rows in enumerate(self.rows)]

    @property
    def done(self) -> int:
        """The number of trials that have ended, failed ones included."""
        return sum(row.done for row in chain(*self.rows))

    @property
    def complete(self) -> bool:
        """Whether every trial of the study has ended."""
        return self.done == self.study.size

    def summaries(self) -> list[LengthSummary]:
        """The summary of each length, the shortest first, for a study of one configuration.

        Raises
        ------
        InvalidArgument
            When the study has several configurations.
        """
        _ = self.study.configuration  # raises if there are several
        return list(self.rows[0])

    @property
    def longest(self) -> int | None:
        """The longest length that at least half of the repetitions solved, for a study of one configuration."""
        return longest_solved({row.length: row.share for row in self.summaries()})

    def counts(self) -> tuple[list[int], list[int], list[int]]:
        """Return the lengths, how many trials solved each, and of how many that count, for one configuration.

        Failed trials do not count. A length without any that counts is left out.

        Raises
        ------
        InvalidArgument
            When the study has several configurations.
        """
        shares = {row.length: row.share for row in self.summaries() if row.share.trials}
        return (
            list(shares),
            [share.solved for share in shares.values()],
            [share.trials for share in shares.values()],
        )

    def span(self, share: float = 0.5, level: float = 0.95) -> SpanEstimate | None:
        """Estimate the span: the length that is solved with probability `share`, for one configuration.

        Returns
        -------
        SpanEstimate or None
            None while no trial has run to its end.

        Raises
        ------
        InvalidArgument
            When there are several configurations, or an argument is no number between 0 and 1.
        """
        lengths, solved, trials = self.counts()
        return estimate_span(lengths, solved, trials, share, level) if lengths else None

    @property
    def estimate(self) -> SpanEstimate | None:
        """The span T50 with its 95 % interval, for a study of one configuration."""
        return self.span()

    @property
    def sentence(self) -> str:
        """The answer in words, one line for each configuration."""
        parts = self.parts
        if len(parts) > 1 and any(row.share.trials for row in chain(*self.rows)):
            return "\n".join(f"{self.study.label(k)}: {part.sentence}" for k, part in enumerate(parts))
        span = None if len(parts) > 1 else self.estimate
        if span is None:
            return "No trial has run to its end, so there is no answer yet."
        done = "" if self.complete else f"So far ({self.done} of {self.study.size} trials): "
        return f"{done}{span}."

    @property
    def failures(self) -> list[str]:
        """Why trials failed, each reason once."""
        return list(dict.fromkeys(reason for row in chain(*self.rows) for reason in row.reasons))

    def table(self) -> "TextTable":
        """Return the summaries as a table for `rich` or `print`."""
        from memspan.study.table import table_of

        return table_of(self)

    def table_of_tests(self) -> "TextTable | None":
        """Return the accuracies at the test lengths as a table; None if the study has none."""
        from memspan.study.table import table_of_tests

        return table_of_tests(self)

    def records(self) -> list[dict[str, Any]]:
        """Return a flat dictionary for each configuration and length: varying fields, solved share, mean scores.

        The item `configuration` is the index in `study.configurations`. The share has two 95 % intervals: `low` to
        `high` is Wilson's, and `exact_low` to `exact_high` is that of Clopper and Pearson.
        """
        found = []
        for number, row in ((number, row) for number, rows in enumerate(self.rows) for row in rows):
            share = row.share
            found.append(
                self._varying(number)
                | {"length": row.length, "solved": share.solved, "trials": share.trials, "share": share.share}
                | {"low": share.low, "high": share.high}
                | dict(zip(("exact_low", "exact_high"), share.exact, strict=True))
                | {"diverged": row.diverged, "failed": row.failed}
                | {"accuracy": _mean(row.accuracies), "spread": row.spread, "loss": _mean(row.losses)}
            )
        return found

    def numbers(self) -> dict[str, Any]:
        """Return the summary for JSON. Configurations are counted from 1, as in exports."""
        spans = [part.estimate for part in self.parts]
        known = ("span", "low", "high", "level", "share", "left_censored", "right_censored", "fits")
        lengths = StudySummary.records(self)
        return {
            "study": self.study.model_dump(mode="json"),
            "trials": self.study.size,
            "done": self.done,
            "complete": self.complete,
            "sentence": self.sentence,
            "spans": [
                self._varying(k) | {"configuration": k + 1} | {name: getattr(span, name, None) for name in known}
                for k, span in enumerate(spans)
            ],
            "lengths": [row | {"configuration": row["configuration"] + 1} for row in lengths],
            "failures": self.failures,
        }

    def to_frame(self) -> Any:
        """Return the `records` as a pandas DataFrame.

        Raises
        ------
        NotFound
            When pandas is not installed.
        """
        try:
            import pandas as pd  # type: ignore[import-untyped]
        except ModuleNotFoundError:
            advice = "Run `pip install pandas`, or use records(), which returns the same rows as dictionaries."
            raise NotFound(f"to_frame() needs pandas. {advice}") from None
        return pd.DataFrame.from_records(self.records())

    def _varying(self, configuration: int) -> dict[str, Any]:
        """The index of a configuration, and its values of the fields that vary."""
        values = self.study.configurations[configuration].values()
        return {"configuration": configuration} | {name: values[name][0] for name in self.study.varying}


@dataclass(frozen=True, repr=False)
class StudyResult(StudySummary):
    """The result of a study: its summary and the trials that have ended.

    Attributes
    ----------
    study : Study
    rows : tuple of tuple of LengthSummary
        For each configuration a summary of each length, the shortest first.
    trials : tuple of Trial
        The trials in the order of their keys. Each takes about 4 kB, and 20 kB with its curves.
    """

    trials: tuple[Trial, ...]

    @classmethod
    def of(cls, study: Study, trials: Iterable[Trial]) -> Self:
        """Return the result of trials, which may come in any order."""
        ordered = tuple(sorted(trials, key=lambda trial: trial.key))
        return cls(study, summed(study, ordered), ordered)

    @cached_property
    def parts(self) -> Sequence["StudyResult"]:
        """The result of each configuration."""
        if len(self.rows) == 1:
            return [self]
        apart: list[list[Trial]] = [[] for _ in self.rows]
        for trial in self.trials:
            apart[trial.configuration].append(trial.model_copy(update={"configuration": 0}))
        return [StudyResult.of(self.study.only(k), trials) for k, trials in enumerate(apart)]

    def records(self) -> list[dict[str, Any]]:
        """Return a flat dictionary for each trial: the varying fields, its key and its results without curves."""
        return [
            self._varying(trial.configuration)
            | {name: getattr(trial, name) for name in FLAT}
            | trial.scores_at(self.study.test_lengths)
            for trial in self.trials
        ]

    def of_length(self, length: int) -> list[Trial]:
        """Return the trials of one length, in the order of their keys."""
        return self._by_length.get(length, [])

    @cached_property
    def _by_length(self) -> dict[int, list[Trial]]:
        found: dict[int, list[Trial]] = {}
        for trial in self.trials:
            found.setdefault(trial.length, []).append(trial)
        return found


class _Sum:
    """Accumulates the trials of one configuration and length."""

    def __init__(self) -> None:
        self.count: Counter[str] = Counter()
        self.accuracies: list[float] = []
        self.losses: list[float] = []
        self.reasons: dict[str, None] = {}
        self.tests: dict[int, list[float]] = {}
        self.critical_gain: float | None = None

    def add(self, trial: Trial) -> None:
        self.count[trial.outcome] += 1
        if trial.outcome is Outcome.FAILED:
            self.reasons[trial.reason] = None
            return
        self.accuracies.append(trial.accuracy)
        self.losses.append(trial.loss)
        self.critical_gain = trial.critical_gain  # the same for all repetitions
        for test in trial.tests:
            self.tests.setdefault(test.length, []).append(test.accuracy)

    def of(self, length: int) -> LengthSummary:
        return LengthSummary(
            length,
            SolvedShare.of(self.count["solved"], len(self.accuracies)),
            self.count["diverged"],
            self.count["failed"],
            tuple(self.accuracies),
            tuple(self.losses),
            tuple(self.reasons),
            {tested: tuple(accuracies) for tested, accuracies in sorted(self.tests.items())},
            self.critical_gain,
        )


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else float("nan")


def summed(study: Study, trials: Iterable[Trial]) -> tuple[tuple[LengthSummary, ...], ...]:
    """Return a summary for each configuration and length. It reads `trials` once and keeps none of them."""
    sums = [{length: _Sum() for length in study.lengths} for _ in study.configurations]
    for trial in trials:
        sums[trial.configuration][trial.length].add(trial)
    return tuple(tuple(found.of(length) for length, found in each.items()) for each in sums)
