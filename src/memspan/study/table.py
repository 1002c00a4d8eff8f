"""The table of a study's results."""

from itertools import chain

import numpy as np

from memspan.runtime.tables import TextTable
from memspan.study.experiment import written
from memspan.study.facts import value_range
from memspan.study.results import LengthSummary, StudySummary


def table_of(summary: StudySummary) -> TextTable:
    """Return the table of `StudySummary.table`, one row for each configuration and length."""
    configurations = summary.study.configurations
    losses = dict.fromkeys(one.known_task().make_loss().label for one in configurations)
    table = TextTable(title=_title(summary), caption=_caption(summary), caption_justify="left")
    worse = [name for name in ("diverged", "failed") if any(getattr(row, name) for row in chain(*summary.rows))]
    varying = summary.study.varying
    for heading in varying:
        table.add_column(summary.study.shown(heading), overflow="fold")
    spare = () if varying else ("± spread", "of trivial")  # columns of varying fields take their room
    loss = next(iter(losses)) if len(losses) == 1 else "loss"
    chosen = ["gain of R"] * any(row.critical_gain is not None for row in chain(*summary.rows))
    for heading in ("length", *chosen, "solved", "95 % interval", *worse, "accuracy", *spare[:1]):
        table.add_column(heading, justify="right", min_width=min(8, len(heading)), no_wrap=bool(varying))
    for heading in (loss, *spare[1:]):
        table.add_column(heading, justify="right", min_width=8)
    for configuration, rows in zip(configurations, summary.rows, strict=True):
        own = [written(configuration.values()[name][0]) for name in varying]
        for row in rows:
            trivial = configuration.known_task().for_evaluation.trivial_risk(row.length)
            cells = _cells(row, worse, None if own else trivial)
            cells[1:1] = [_shown(np.nan if row.critical_gain is None else row.critical_gain, "g")] * len(chosen)
            table.add_row(*own, *cells, end_section=bool(own) and row is rows[-1])
    return table


def table_of_tests(summary: StudySummary) -> TextTable | None:
    """Return the table of mean accuracies at other lengths, after training at each length; None without any."""
    tested = summary.study.test_lengths
    if not any(row.tests for row in chain(*summary.rows)):
        return None
    rule = "Mean accuracy over repetitions, on sequences of length T' drawn after training at length T."
    table = TextTable(caption=rule, caption_justify="left")
    for heading in summary.study.varying:
        table.add_column(summary.study.shown(heading), overflow="fold")
    for heading in ("trained at", *(f"T' = {length}" for length in tested)):
        table.add_column(heading, justify="right")
    for place, rows in enumerate(summary.rows):
        for row in rows:
            cells = [_shown(_mean(row.tests.get(length, ())), ".3f") for length in tested]
            table.add_row(*summary.study.chosen(place), str(row.length), *cells, end_section=row is rows[-1])
    return table


def _title(summary: StudySummary) -> str:
    tasks = {one.task: one.known_task() for one in summary.study.configurations}
    what = [f"{task.name}: {task.sentence}" for task in tasks.values()]
    return " ".join([*(what if len(what) == 1 else [", ".join(tasks) + "."]), summary.study.describe()])


def _caption(summary: StudySummary) -> str:
    """Explain the columns; risks and the rule of a correct answer only if there is one task."""
    choices = summary.study.configurations
    counts = {one.final_batches * one.evaluation_samples for one in choices}
    samples = min(counts)
    least = "" if len(counts) == 1 else "at least "
    thresholds = value_range([one.threshold for one in choices])
    tasks = [one.known_task().for_evaluation for one in choices]
    different = min(samples, *(task.distinct or samples for task in tasks))  # others only repeat these
    error = f"standard error at most {0.5 / different**0.5:.3f}"
    if len({one.task for one in choices}) > 1:
        return (
            f"Accuracy: share of correct answers to {least}{samples} sequences drawn after training ({error}). "
            f"Solved: accuracy of at least {thresholds}."
        )
    task = tasks[0]
    chance = value_range([one.chance_accuracy(n) for one in tasks for n in summary.study.lengths])
    trivial = value_range([one.trivial_risk(n) for one in tasks for n in summary.study.lengths])
    rule = task.rule if len({one.rule for one in tasks}) == 1 else "each by its own rule"
    return (
        f"Accuracy: share of correct answers to {least}{samples} sequences drawn after training: {rule} ({error}; "
        f"chance {chance}). Solved: accuracy of at least {thresholds}. The least {task.make_loss().label} of an "
        f"answer that ignores the input is {trivial}"
        + (f"; no answer has less than {task.least_risk:g}." if task.least_risk else ".")
    )


def _cells(row: LengthSummary, worse: list[str], trivial: float | None) -> list[str]:
    """The cells of a row. Without a trivial risk, the columns of `spare` are left out."""
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


def _shown(number: float, form: str, unit: str = "") -> str:
    """Format a number; a dash for NaN."""
    return "–" if np.isnan(number) else f"{number:{form}}{unit}"


def _mean(values: tuple[float, ...]) -> float:
    return float(np.mean(values)) if values else float("nan")
