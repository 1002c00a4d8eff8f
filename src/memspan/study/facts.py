"""The facts without which no score can be read: the rule of solving, trivial risk and chance, repetitions."""

import math
from collections.abc import Iterable, Sequence
from itertools import chain

from memspan.study.results import StudySummary
from memspan.tasks import Task


def facts(parts: Sequence[StudySummary], lengths: Sequence[int] | None = None) -> list[str]:
    """Return lines for a title: what counts as solved, and the numbers of repetitions; what each task demands.

    Parameters
    ----------
    parts : sequence of StudySummary
        Studies or searches of one configuration each.
    lengths : sequence of int, optional
        Where networks are judged; by default at the tried lengths of each part.
    """
    configurations = [part.study.configuration for part in parts]
    solved = " or ".join(dict.fromkeys(one.solved for one in configurations))
    tried = dict.fromkeys(
        (one.known_task().for_evaluation, length)
        for one, part in zip(configurations, parts, strict=True)
        for length in lengths or [row.length for row in part.summaries()]
    )
    return [f"Solved: {solved}; {_repetitions(parts)}", *demands(tried)]


def demands(tried: Iterable[tuple[Task, int]]) -> list[str]:
    """Return a line for each task: what ignoring the input reaches at the tried lengths, and what is correct."""
    by_name: dict[str, list[tuple[Task, int]]] = {}
    for task, length in tried:
        by_name.setdefault(task.name, []).append((task, length))
    lines = {name: _demands(own) for name, own in by_name.items()}
    if len(lines) == 1:
        return [f"C{line.removeprefix('c')}" for line in lines.values()]
    return [f"{name}: {line}" for name, line in lines.items()]


def _demands(tried: Sequence[tuple[Task, int]]) -> str:
    rules = " or ".join(dict.fromkeys(task.rule for task, _ in tried))
    risks = value_range([task.trivial_risk(length) for task, length in tried], ".3g")
    chances = value_range([task.chance_accuracy(length) for task, length in tried], ".3g")
    loss = tried[0][0].make_loss().label.partition(" (")[0]  # without the unit
    return f"chance accuracy {chances} (correct: {rules}), trivial risk {risks} ({loss})"


def _repetitions(parts: Sequence[StudySummary]) -> str:
    """How many repetitions each length has. Failed ones do not count."""
    ran = [row.share.trials for row in chain(*(part.summaries() for part in parts)) if row.share.trials]
    each = " and configuration" if len(parts) > 1 else ""
    return f"repetitions of each length{each}: {value_range(ran or [0], ',')}"


def value_range(values: Sequence[float], form: str = ".4g") -> str:
    """Write the smallest and the largest value, or one number if both look the same; `unknown` for NaN."""
    if any(map(math.isnan, values)):
        return "unknown"
    return " to ".join(dict.fromkeys(format(value, form) for value in (min(values), max(values))))
