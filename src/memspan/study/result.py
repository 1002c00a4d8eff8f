"""A study and its trials: run it, sum it up, say it in one sentence."""

from collections import Counter
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
    """

    length: int
    share: SolvedShare
    diverged: int
    failed: int
    accuracies: tuple[float, ...]
    losses: tuple[float, ...]

    @property
    def spread(self) -> float:
        """Standard deviation of the accuracy over repetitions; nan for fewer than two."""
        return float(np.std(self.accuracies, ddof=1)) if len(self.accuracies) > 1 else float("nan")


@dataclass(frozen=True)
class StudyResult:
    """A study, and the trials that are done.

    Attributes
    ----------
    study : Study
    trials : tuple of Trial
        In the order of their keys.
    complete : bool
        Whether none is missing.
    """

    study: Study
    trials: tuple[Trial, ...]

    @classmethod
    def load(cls, store: str | Path, name: str) -> Self:
        """Read what `run_study` left in a store."""
        with Store(store) as opened:
            return cls.of_entry(opened.find(name))

    @classmethod
    def of_entry(cls, entry: Entry, *, curves: bool = True) -> Self:
        """The trials of a study in a store, with their curves or without."""
        return cls.of(entry.study, list(entry.trials(curves_too=curves)))

    @classmethod
    def of(cls, study: Study, trials: list[Trial]) -> Self:
        """Put the trials in order."""
        return cls(study, tuple(sorted(trials, key=lambda trial: trial.key)))

    @cached_property
    def parts(self) -> list[Self]:
        """The result of each configuration by itself."""
        apart: list[list[Trial]] = [[] for _ in self.study.configurations]
        for trial in self.trials:
            apart[trial.configuration].append(trial)
        if len(apart) == 1:
            return [self]
        pairs = zip(self.study.configurations, apart, strict=True)
        return [
            type(self).of(study, [trial.model_copy(update={"configuration": 0}) for trial in trials])
            for study, trials in pairs
        ]

    @property
    def complete(self) -> bool:
        """Whether every trial is there."""
        return len(self.trials) == len(self.study.keys)

    def of_length(self, length: int) -> list[Trial]:
        """The trials of one length, in the order of their repetitions."""
        return [trial for trial in self.trials if trial.length == length]

    def summaries(self) -> list[LengthSummary]:
        """One summary for each length, the shortest first; of a study with one configuration."""
        self.study.demand_one()
        return [_summary(length, self.of_length(length)) for length in self.study.lengths]

    @property
    def longest(self) -> int | None:
        """The longest length that at least half of the repetitions solved; of a study with one configuration."""
        return longest_solved({row.length: row.share for row in self.summaries()})

    @property
    def sentence(self) -> str:
        """The answer, or that there is none yet; a line for each configuration."""
        if all(trial.status == "failed" for trial in self.trials):
            return "No trial has run to its end: nothing can be said."
        parts = self.parts
        if len(parts) > 1:
            return "\n".join(f"{self.study.label(k)}: {part.sentence}" for k, part in enumerate(parts))
        if self.longest is None:
            answer = "No length was solved by at least half of the repetitions."
        else:
            answer = f"The longest length solved by at least half of the repetitions is {self.longest}."
        done = f"So far ({len(self.trials)} of {len(self.study.keys)} trials): "
        return answer if self.complete else done + answer[0].lower() + answer[1:]

    @property
    def failures(self) -> list[str]:
        """Why trials failed, each reason once."""
        return list(dict.fromkeys(trial.reason for trial in self.trials if trial.status == "failed"))

    def table(self) -> Table:
        """The summaries as a table for `rich`."""
        parts = self.parts
        summaries = [part.summaries() for part in parts]
        losses = dict.fromkeys(part.study.new_task().new_loss().label for part in parts)
        table = Table(title=self._title(), caption=self._caption(), caption_justify="left")
        worse = [name for name in ("diverged", "failed") if any(getattr(row, name) for row in chain(*summaries))]
        varying = self.study.varying
        for heading in varying:
            table.add_column(heading.removeprefix("parameters.").replace("_", " "), overflow="fold")
        spare = () if varying else ("± spread", "of trivial")  # where there is no room for them
        loss = next(iter(losses)) if len(losses) == 1 else "loss"
        for heading in ("length", "solved", "95 % interval", *worse, "accuracy", *spare[:1]):
            table.add_column(heading, justify="right", min_width=min(8, len(heading)), no_wrap=bool(varying))
        for heading in (loss, *spare[1:]):
            table.add_column(heading, justify="right", min_width=8)
        for part, rows in zip(parts, summaries, strict=True):
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


def _summary(length: int, trials: list[Trial]) -> LengthSummary:
    ran = [trial for trial in trials if trial.status != "failed"]
    count = Counter(trial.status for trial in trials)
    return LengthSummary(
        length,
        SolvedShare.of(count["solved"], len(ran)),
        count["diverged"],
        count["failed"],
        tuple(trial.accuracy for trial in ran),
        tuple(trial.loss for trial in ran),
    )


def _range(values: list[float]) -> str:
    """One number, or the smallest and the largest."""
    ends = dict.fromkeys(f"{value:.4g}" for value in (min(values), max(values)))
    return " to ".join(ends)


def _shown(number: float, form: str, unit: str = "") -> str:
    """A dash where there is nothing."""
    return "–" if np.isnan(number) else f"{number:{form}}{unit}"


def _mean(values: tuple[float, ...]) -> float:
    return float(np.mean(values)) if values else float("nan")
