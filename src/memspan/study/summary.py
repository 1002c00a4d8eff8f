"""What the trials of a study come to: shares and their intervals, a table, one sentence."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Self

import numpy as np
from rich.table import Table

from memspan.span import SolvedShare, longest_solved
from memspan.study.entry import Entry
from memspan.study.specification import Study
from memspan.study.store import Store
from memspan.study.trial import Trial


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
        One number for each repetition that ran, on fresh batches.
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
    def load(cls, store: str | Path, name: str) -> Self:
        """Read what `run_study` left in a store."""
        with Store(store) as opened:
            return cls.of_entry(opened.find(name))

    @classmethod
    def of_entry(cls, entry: Entry) -> Self:
        """Of the trials of a study in a store."""
        return cls.of(entry.study, entry.trials(curves_too=False))

    @classmethod
    def of(cls, study: Study, trials: Iterable[Trial]) -> Self:
        """Of trials in the order of their keys."""
        return cls(study, summed(study, trials))

    @cached_property
    def parts(self) -> Sequence["StudySummary"]:
        """The summary of each configuration by itself."""
        if len(self.rows) == 1:
            return [self]
        pairs = zip(self.study.configurations, self.rows, strict=True)
        return [StudySummary(study, (rows,)) for study, rows in pairs]

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
        self.study.demand_one()
        return list(self.rows[0])

    @property
    def longest(self) -> int | None:
        """The longest length that at least half of the repetitions solved; of a study with one configuration."""
        return longest_solved({row.length: row.share for row in self.summaries()})

    @property
    def sentence(self) -> str:
        """The answer, or that there is none yet; a line for each configuration."""
        if not any(row.share.trials for row in chain(*self.rows)):
            return "No trial has run to its end: nothing can be said."
        parts = self.parts
        if len(parts) > 1:
            return "\n".join(f"{self.study.label(k)}: {part.sentence}" for k, part in enumerate(parts))
        if self.longest is None:
            answer = "No length was solved by at least half of the repetitions."
        else:
            answer = f"The longest length solved by at least half of the repetitions is {self.longest}."
        done = f"So far ({self.done} of {self.study.size} trials): "
        return answer if self.complete else done + answer[0].lower() + answer[1:]

    @property
    def failures(self) -> list[str]:
        """Why trials failed, each reason once."""
        return list(dict.fromkeys(reason for row in chain(*self.rows) for reason in row.reasons))

    def table(self) -> Table:
        """The summaries as a table for `rich`."""
        parts = self.parts
        losses = dict.fromkeys(part.study.new_task().new_loss().label for part in parts)
        table = Table(title=self._title(), caption=self._caption(), caption_justify="left")
        worse = [name for name in ("diverged", "failed") if any(getattr(row, name) for row in chain(*self.rows))]
        varying = self.study.varying
        for heading in varying:
            table.add_column(heading.removeprefix("parameters.").replace("_", " "), overflow="fold")
        spare = () if varying else ("± spread", "of trivial")  # where there is no room for them
        loss = next(iter(losses)) if len(losses) == 1 else "loss"
        for heading in ("length", "solved", "95 % interval", *worse, "accuracy", *spare[:1]):
            table.add_column(heading, justify="right", min_width=min(8, len(heading)), no_wrap=bool(varying))
        for heading in (loss, *spare[1:]):
            table.add_column(heading, justify="right", min_width=8)
        for part, rows in zip(parts, self.rows, strict=True):
            own = [_written(part.study.values()[name][0]) for name in varying]
            for row in rows:
                trivial = part.study.new_task().trivial_risk(row.length)
                cells = _cells(row, worse, None if own else trivial)
                table.add_row(*own, *cells, end_section=bool(own) and row is rows[-1])
        return table

    def _title(self) -> str:
        tasks = {part.study.task: part.study.new_task() for part in self.parts}
        what = [f"{task.name}: {task.sentence}" for task in tasks.values()]
        return " ".join([*(what if len(what) == 1 else [", ".join(tasks) + "."]), self.study.describe()])

    def _caption(self) -> str:
        """What the columns mean; risks and rules only where there is one task."""
        studies = [part.study for part in self.parts]
        samples = min(study.evaluation_batches * study.evaluation_samples for study in studies)
        least = (
            ""
            if len({study.evaluation_batches * study.evaluation_samples for study in studies}) == 1
            else "at least "
        )
        thresholds = _range([study.threshold for study in studies])
        error = f"own standard error at most {0.5 / samples**0.5:.3f}"
        if len({study.task for study in studies}) > 1:
            return (
                f"Accuracy: share of correct answers to {least}{samples} fresh sequences ({error}). Solved: "
                f"accuracy of at least {thresholds}."
            )
        task = studies[0].new_task()
        chance = _range([study.new_task().chance_accuracy(n) for study in studies for n in study.lengths])
        trivial = _range([study.new_task().trivial_risk(n) for study in studies for n in study.lengths])
        rule = task.rule if len({study.new_task().rule for study in studies}) == 1 else "by the rule of each"
        return (
            f"Accuracy: share of correct answers to {least}{samples} fresh sequences: {rule} ({error}; chance "
            f"{chance}). Solved: accuracy of at least {thresholds}. Without looking at the input the least "
            f"{task.new_loss().label} is {trivial}"
            + (f"; no answer has less than {task.least_risk:g}." if task.least_risk else ".")
        )


def _cells(row: LengthSummary, worse: list[str], trivial: float | None) -> list[str]:
    """Of a row of the table; without a trivial risk there is less room too."""
    loss = _mean(row.losses)
    return [
        str(row.length),
        f"{row.share.solved}/{row.share.trials}",
        f"{row.share.low:.2f}-{row.share.high:.2f}" if row.share.trials else "–",
        *(str(getattr(row, name)) for name in worse),
        _shown(_mean(row.accuracies), ".3f"),
        *([] if trivial is None else [_shown(row.spread, ".3f")]),
        _shown(loss, ".3g"),
        *([] if trivial is None else [_shown(100 * loss / trivial, ".3g", " %")]),
    ]


def _written(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


class _Sum:
    """Of the trials of one configuration and length, one after the other."""

    def __init__(self) -> None:
        self.count: Counter[str] = Counter()
        self.accuracies: list[float] = []
        self.losses: list[float] = []
        self.reasons: dict[str, None] = {}

    def add(self, trial: Trial) -> None:
        self.count[trial.status] += 1
        if trial.status == "failed":
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


def _range(values: list[float]) -> str:
    """One number, or the smallest and the largest."""
    ends = dict.fromkeys(f"{value:.4g}" for value in (min(values), max(values)))
    return " to ".join(ends)


def _shown(number: float, form: str, unit: str = "") -> str:
    """A dash where there is nothing."""
    return "–" if np.isnan(number) else f"{number:{form}}{unit}"


def _mean(values: tuple[float, ...]) -> float:
    return float(np.mean(values)) if values else float("nan")
