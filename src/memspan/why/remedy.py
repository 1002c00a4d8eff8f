"""The remedies: for each verdict, the changes of the configuration that should lift the limit."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from memspan.cells import CELLS
from memspan.cells.initializers import CRITICAL
from memspan.errors import InvalidArgument
from memspan.study.configuration import Configuration
from memspan.study.experiment import written
from memspan.study.group import untrained
from memspan.why.evidence import Evidence
from memspan.why.predict import GRADIENT_DESCENT, descent_of, needed_by, twins_seed

PLATEAU = ("vanishing", "budget", "noise")
"""The verdicts on networks that stay on the plateau. They are degrees of one thing, so each remedy may lift all."""
AFTER = 2.0
"""How many times the updates that the plateau takes are given, because training goes on after it."""
MOST_UPDATES = 30.0
"""The largest factor by which a remedy multiplies the updates."""
BATCHES, STEPS = (4, 16), (3, 10)
"""The factors by which remedies enlarge the batch, and divide the learning rate."""

Changes = dict[str, Any]
Suggestions = Iterator[tuple[Changes, str]]


@dataclass(frozen=True, repr=False)
class Remedy:
    """A change of a configuration that should lift the limit.

    Attributes
    ----------
    before : mapping of str to value
        The fields that change, with their present values.
    after : mapping of str to value
        The same with their new values.
    expected : str
        What the change should bring.
    """

    before: Mapping[str, Any]
    after: Mapping[str, Any]
    expected: str

    def __repr__(self) -> str:
        return f"<Remedy {self}>"

    def __str__(self) -> str:
        names = {name: name.replace("_", " ") for name in self.after}
        return ", ".join(
            f"{names[name]} {_text(self.before[name])} -> {_text(self.after[name])}" for name in names
        )

    def numbers(self) -> dict[str, Any]:
        """Return the remedy for JSON."""
        change = ", ".join(self.after)
        return {"change": change, "from": dict(self.before), "to": dict(self.after), "expected": self.expected}


def remedies_of(
    configuration: Configuration, length: int, verdict: str, evidence: Sequence[Evidence]
) -> list[Remedy]:
    """Return the remedies for a verdict, the most promising one first.

    For networks that stay on the plateau of gradient descent, the equation of the plateau says what each change
    would bring. For other verdicts the order is that of the page on why memory stops.

    Parameters
    ----------
    configuration : Configuration
    length : int
    verdict : str
    evidence : sequence of Evidence
        Of the networks with this verdict.
    """
    on_plateau = verdict in PLATEAU and not any(one.has_left for one in evidence)
    if on_plateau and configuration.optimizer in GRADIENT_DESCENT:
        return _off_the_plateau(configuration, length, verdict, evidence)
    suggestions = SUGGESTIONS[verdict](configuration, length, evidence) if verdict in SUGGESTIONS else ()
    return [_remedy(configuration, changes, expected) for changes, expected in suggestions]


def _remedy(configuration: Configuration, changes: Changes, expected: str) -> Remedy:
    return Remedy({name: getattr(configuration, name) for name in changes}, changes, expected)


def _off_the_plateau(
    configuration: Configuration, length: int, verdict: str, evidence: Sequence[Evidence]
) -> list[Remedy]:
    """The changes after which the most networks are predicted to leave; that of the verdict first if half do."""
    found: list[tuple[bool, float, Remedy]] = []
    repetitions = [one.repetition for one in evidence]
    for lifts, changes in _plateau_changes(configuration, length, evidence):
        share, median = _predicted(configuration.with_(**changes), length, repetitions)
        expected = f"{100 * share:.0f} % of the networks leave the plateau"
        expected += f", half of them within {median:,.0f} updates" if share >= 0.5 else ""
        found.append((lifts == verdict and share >= 0.5, share, _remedy(configuration, changes, expected)))
    return [remedy for *_, remedy in sorted(found, key=lambda one: one[:2], reverse=True)]


def _plateau_changes(
    configuration: Configuration, length: int, evidence: Sequence[Evidence]
) -> Iterator[tuple[str, Changes]]:
    """Changes with which networks may leave the plateau, each with the verdict that it answers first."""
    for changes in _critical(configuration, length):
        yield "vanishing", changes
    needed = np.quantile([one.needed for one in evidence], 0.75, method="inverted_cdf") / configuration.updates
    yield "budget", _more_updates(configuration, AFTER * float(needed))
    for factor in BATCHES:
        yield "noise", {"batch": factor * configuration.batch}
    for part in STEPS:
        yield "noise", _smaller_steps(configuration, part, part)
    clipped = np.median([one.norm[0] for one in evidence if len(one.norm)])
    if configuration.clip and configuration.clip < clipped:
        yield "budget", {"clip": _round(2 * float(clipped))}


def _predicted(configuration: Configuration, length: int, repetitions: Sequence[int]) -> tuple[float, float]:
    """The share of networks that leave the plateau in time, and the median of the updates that they need."""
    networks = [untrained(configuration, length, one)[0] for one in repetitions]
    given, seed = configuration.updates, twins_seed(configuration, length)
    task, descent = configuration.make_task(), descent_of(configuration)
    updates = needed_by(networks, task, length, descent, given, seed).updates
    return float((updates <= given).mean()), float(np.quantile(updates, 0.5, method="inverted_cdf"))


def _critical(configuration: Configuration, length: int) -> Iterator[Changes]:
    """The critical gain, if the cell has an R, and the task shows its label at some gain."""
    if configuration.init == CRITICAL or not CELLS[configuration.cell].recurrent_gates:
        return
    changes: Changes = {"init": CRITICAL} | ({"recurrent_gain": 1.0} if configuration.recurrent_gain != 1 else {})
    try:
        configuration.with_(**changes).critical_gain(length)
    except InvalidArgument:  # no gain shows the label
        return
    yield changes


def _more_updates(configuration: Configuration, factor: float) -> Changes:
    return {"updates": int(_round(configuration.updates * min(max(factor, 2.0), MOST_UPDATES)))}


def _smaller_steps(configuration: Configuration, part: float, more: float) -> Changes:
    changes: Changes = {"learning_rate": _round(configuration.learning_rate / part)}
    return changes | ({"updates": int(_round(configuration.updates * more))} if more > 1 else {})


def _for_saturation(configuration: Configuration, length: int, evidence: Sequence[Evidence]) -> Suggestions:
    slope = float(np.median([one.slope for one in evidence]))
    yield {"gain": _round(configuration.gain * max(slope, 0.01))}, "the units are in the middle of their range"
    for changes in _critical(configuration, length):
        yield changes, "the label is kept best"


def _for_plateau(configuration: Configuration, length: int, evidence: Sequence[Evidence]) -> Suggestions:
    """For Adam and RMSprop, for which the equation of the plateau does not hold."""
    for changes in _critical(configuration, length):
        yield changes, "R is large enough from the beginning"
    yield _more_updates(configuration, 4), "more time to leave the plateau"


def _for_budget(configuration: Configuration, length: int, evidence: Sequence[Evidence]) -> Suggestions:
    if not any(one.has_left for one in evidence):
        yield from _for_plateau(configuration, length, evidence)
        return
    yield _more_updates(configuration, 10), "the loss still falls"


def _for_exploding(configuration: Configuration, length: int, evidence: Sequence[Evidence]) -> Suggestions:
    growth = float(np.median([one.growth for one in evidence])) / length
    if growth > 0 and np.isfinite(growth) and CELLS[configuration.cell].recurrent_gates:
        gain = {"recurrent_gain": _round(configuration.recurrent_gain * float(np.exp(-growth)))}
        clip: Changes = {} if configuration.clip else {"clip": 1.0}
        yield gain | clip, "gradients keep their size on their way back"
    if not configuration.clip:
        yield {"clip": 1.0}, "no step is larger than the learning rate"
    yield _smaller_steps(configuration, 10, 2), "smaller steps"


def _for_unstable(configuration: Configuration, length: int, evidence: Sequence[Evidence]) -> Suggestions:
    """Smaller steps; and as many more of them, unless the plateau is left so early that the updates suffice."""
    if np.median([min(one.late, 10.0) for one in evidence]) > 1:  # worse than no learning
        yield _smaller_steps(configuration, 30, 2), "much smaller steps"
    left = float(np.median([one.left for one in evidence]))
    enough = left < configuration.updates / 20
    yield _smaller_steps(configuration, 3, 1 if enough else 4), "steps that do not throw the network back"
    for changes in _critical(configuration, length):
        yield changes, "the plateau is left at once, so more updates remain"
    if enough:
        yield _smaller_steps(configuration, 3, 4), "smaller steps and more of them"


def _for_noise_jump(configuration: Configuration, length: int, evidence: Sequence[Evidence]) -> Suggestions:
    for changes in _critical(configuration, length):
        yield changes, "R is large enough from the beginning, and nothing needs to throw it"
    yield _smaller_steps(configuration, 3, 3), "the noise throws R later than the label"


def _for_capacity(configuration: Configuration, length: int, evidence: Sequence[Evidence]) -> Suggestions:
    yield {"hidden": 4 * configuration.hidden}, "more units to hold the label"


SUGGESTIONS: dict[str, Callable[[Configuration, int, Sequence[Evidence]], Suggestions]] = {
    "saturation": _for_saturation,
    "vanishing": _for_plateau,
    "budget": _for_budget,
    "noise": _for_plateau,
    "exploding": _for_exploding,
    "unstable": _for_unstable,
    "noise jump": _for_noise_jump,
    "capacity": _for_capacity,
}
"""What is suggested for each verdict; nothing helps without a signal."""


def _round(value: float) -> float:
    """Two significant digits, so that a person can type it."""
    return float(f"{value:.2g}")


def _text(value: Any) -> str:
    return "default" if value is None else written(value)
