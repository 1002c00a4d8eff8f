"""A study and its trials: run it, sum it up, say it in one sentence."""

from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from rich.table import Table

from memspan.errors import InvalidArgument, whole_number
from memspan.progress import Report
from memspan.progress import progress as show_progress
from memspan.span import SolvedShare, longest_solved
from memspan.study.execution import Key, run_trials
from memspan.study.records import Append, new_folder, read_folder
from memspan.study.specification import Study
from memspan.study.trial import FINAL_SAMPLES, Trial, provenance


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
    def load(cls, folder: str | Path) -> Self:
        """Read what `run_study` left in a folder."""
        return cls.of(*read_folder(Path(folder)))

    @classmethod
    def of(cls, study: Study, trials: list[Trial]) -> Self:
        """Put the trials in order."""
        return cls(study, tuple(sorted(trials, key=lambda trial: (trial.length, trial.repetition))))

    @property
    def complete(self) -> bool:
        """Whether every trial is there."""
        return len(self.trials) == len(self.study.keys)

    def of_length(self, length: int) -> list[Trial]:
        """The trials of one length, in the order of their repetitions."""
        return [trial for trial in self.trials if trial.length == length]

    def summaries(self) -> list[LengthSummary]:
        """One summary for each length, the shortest first."""
        return [_summary(length, self.of_length(length)) for length in self.study.lengths]

    @property
    def longest(self) -> int | None:
        """The longest length that at least half of the repetitions solved."""
        return longest_solved({row.length: row.share for row in self.summaries()})

    @property
    def sentence(self) -> str:
        """The answer, or that there is none yet."""
        if all(trial.status == "failed" for trial in self.trials):
            return "No trial has run to its end: nothing can be said."
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
        task, lengths = self.study.new_task(), self.study.lengths
        trivial = {length: task.trivial_risk(length) for length in lengths}
        chance = _range([task.chance_accuracy(length) for length in lengths])
        risk = task.new_loss().label
        table = Table(
            title=f"{task.name}: {task.sentence} {self.study.describe()}",
            caption=f"Accuracy: share of correct answers to {FINAL_SAMPLES} fresh sequences: {task.rule} (own "
            f"standard error at most {0.5 / FINAL_SAMPLES**0.5:.3f}; chance {chance}). "
            f"Solved: accuracy of at least {self.study.threshold:g}. "
            f"Without looking at the input the least {risk} is {_range([*trivial.values()])}"
            + (f"; no answer has less than {task.least_risk:g}." if task.least_risk else "."),
            caption_justify="left",
        )
        summaries = self.summaries()
        worse = [name for name in ("diverged", "failed") if any(getattr(row, name) for row in summaries)]
        for heading in ("length", "solved", "95 % interval", *worse, "accuracy", "± spread"):
            table.add_column(heading, justify="right", min_width=min(8, len(heading)))
        for heading in (risk, "of trivial"):
            table.add_column(heading, justify="right", min_width=8)
        for row in summaries:
            accuracy, loss = _mean(row.accuracies), _mean(row.losses)
            table.add_row(
                str(row.length),
                f"{row.share.solved}/{row.share.trials}",
                f"{row.share.low:.2f}-{row.share.high:.2f}",
                *(str(getattr(row, name)) for name in worse),
                _shown(accuracy, ".3f"),
                _shown(row.spread, ".3f"),
                _shown(loss, ".3g"),
                _shown(100 * loss / trivial[row.length], ".3g", " %"),
            )
        return table


def run_study(
    study: Study, folder: str | Path | None = None, *, workers: int = 1, progress: bool | str = True
) -> StudyResult:
    """Run every trial of a study.

    Parameters
    ----------
    study : Study
        What to run.
    folder : path, optional
        A new folder for the results; each trial is written as soon as it is done.
    workers : int
        Processes. With more than one, a script must call this under `if __name__ == "__main__":`, as for
        everything that starts processes. The results do not depend on it.
    progress : bool or str
        Whether to show it, or a kind from `memspan.progress.KINDS`.

    Raises
    ------
    KeyboardInterrupt
        On Ctrl-C; what was finished is in the folder.
    """
    if not isinstance(study, Study):
        raise InvalidArgument("study", "a Study", repr(study))
    workers = whole_number("workers", workers)
    kind = progress if isinstance(progress, str) else "auto" if progress else "none"
    trials: list[Trial] = []
    with (
        show_progress(
            study.updates * sum(length for length, _ in study.keys), "study", "time steps", kind=kind
        ) as report,
        _kept(folder, study) as keep,
    ):
        pace = _Pace(study, report)
        with closing(run_trials(study, study.keys, provenance(), workers, pace.moment)) as done:
            for trial in done:
                keep(trial)
                trials.append(trial)
                pace.done(trial)
    return StudyResult.of(study, trials)


@contextmanager
def _kept(folder: str | Path | None, study: Study) -> Iterator[Append]:
    if folder is None:
        yield lambda trial: None
        return
    with new_folder(Path(folder), study) as append:
        yield append


class _Pace:
    """Turns what the trials tell into progress, in time steps: an update costs as much as its sequence is long."""

    def __init__(self, study: Study, report: Report) -> None:
        self.study, self.report = study, report
        self.updates: dict[Key, int] = {}
        self.finished: Counter[str] = Counter()
        self.steps_finished = 0

    def moment(self, key: Key, updates: int) -> None:
        """A running trial has done so many updates."""
        self.updates[key] = updates
        running = sum(length * done for (length, _), done in self.updates.items())
        by_length: dict[int, list[int]] = {}
        for (length, _), done in sorted(self.updates.items()):
            by_length.setdefault(length, []).append(done)
        active = ", ".join(f"T={length} update {max(done)}" for length, done in by_length.items())
        counts = ", ".join(f"{count} {status}" for status, count in sorted(self.finished.items()))
        note = f"{self.finished.total()}/{len(self.study.keys)} trials" + (f" ({counts})" if counts else "")
        self.report(self.steps_finished + running, f"{note}  {active}")

    def done(self, trial: Trial) -> None:
        """A trial has ended; the updates that it did not need are done too."""
        self.updates.pop((trial.length, trial.repetition), None)
        self.steps_finished += trial.length * self.study.updates
        self.finished[trial.status] += 1


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
