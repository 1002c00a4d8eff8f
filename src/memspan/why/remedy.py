"""The remedies: for each verdict, the changes of the configuration that should lift the limit."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from memspan.cells import Cell
from memspan.cells.initializers import CRITICAL
from memspan.errors import InvalidArgument
from memspan.study.configuration import Configuration
from memspan.study.experiment import written
from memspan.study.group import untrained
from memspan.why.evidence import Evidence
from memspan.why.predict import GRADIENT_DESCENT, descent_of, needed_by, twins_seed
from memspan.why.verdict import GROWN, latched

PLATEAU = ("vanishing", "budget", "noise")
"""The verdicts on networks that stay on the plateau: degrees of one thing, so a remedy may lift all of them."""
AFTER = 5.0
"""How many times the updates that the plateau takes are given, because training goes on after it."""
LEAST_UPDATES, MOST_UPDATES = 10.0, 30.0
"""The factors of more updates. They cost little, because training ends as soon as a network solves."""
BATCHES, STEPS = (4, 16, 64), (3, 10)
"""The factors by which remedies enlarge the batch, and divide the learning rate."""
SMALLER, MUCH_SMALLER, MOST_MORE = 3, 30, 4
"""Where steps are too large: the factors of the learning rate, and the largest of the updates."""
MORE_UNITS, ROOM = 4, 4
"""Where units are missing: the least factor of their number, and how many there are for each number to hold."""
QUIET = 0.02
"""The share of the trivial risk that noise may keep up after a remedy."""

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


@dataclass(frozen=True)
class Limited:
    """A length that is not solved, and its verdict.

    Attributes
    ----------
    configuration : Configuration
    length : int
    verdict : str
    evidence : sequence of Evidence
        Of the networks with this verdict.
    pace : float
        The updates with which most networks solve it, or a length half as long, of those that do; infinity if none
        does.
    """

    configuration: Configuration
    length: int
    verdict: str
    evidence: Sequence[Evidence]
    pace: float

    @property
    def left(self) -> bool:
        """Whether a network left the plateau."""
        return any(one.has_left for one in self.evidence)

    @property
    def predicted(self) -> bool:
        """Whether the equation of the plateau says after how many updates networks leave it."""
        known = not any(math.isnan(one.needed) for one in self.evidence)
        return known and self.configuration.optimizer in GRADIENT_DESCENT

    @property
    def cell(self) -> Cell | None:
        """The cell, for remedies that change its initial weights; None for a model of another library."""
        return None if self.configuration.factory() else self.configuration.make_cell()


def remedies_of(case: Limited) -> list[Remedy]:
    """Return the remedies for a verdict, the most promising one first.

    For networks that stay on the plateau of gradient descent, the equation of the plateau says what each change
    would bring. For other verdicts, see the page on why memory stops. The initial weights of a model of another
    library are its own, so no remedy changes them.
    """
    if case.verdict in PLATEAU and not case.left and case.predicted:
        return _off_the_plateau(case)
    suggestions = SUGGESTIONS[case.verdict](case) if case.verdict in SUGGESTIONS else ()
    return [_remedy(case.configuration, changes, expected) for changes, expected in suggestions]


def _remedy(configuration: Configuration, changes: Changes, expected: str) -> Remedy:
    return Remedy({name: getattr(configuration, name) for name in changes}, changes, expected)


def _off_the_plateau(case: Limited) -> list[Remedy]:
    """The changes after which the most networks are predicted to leave; that of the verdict first if half do."""
    found: list[tuple[bool, float, Remedy]] = []
    for verdict, changes in _plateau_changes(case):
        given = changes.get("updates", case.configuration.updates)
        share, (median, most) = _predicted(case, changes)
        expected = f"{100 * share:.0f} % of the networks leave the plateau"
        if share >= 0.5:
            expected += f", half of them within {median:,.0f} updates"
            if given < AFTER * most < math.inf:
                changes["updates"] = int(_round(AFTER * most))
        remedy = _remedy(case.configuration, changes, expected)
        found.append((verdict == case.verdict and share >= 0.5, share, remedy))
    return [remedy for *_, remedy in sorted(found, key=lambda one: one[:2], reverse=True)]


def _plateau_changes(case: Limited) -> Iterator[tuple[str, Changes]]:
    """Changes with which networks may leave the plateau, each with the verdict that it answers first."""
    configuration = case.configuration
    for changes in _critical(case):
        yield "vanishing", changes
    needed = np.quantile([one.needed for one in case.evidence], 0.75, method="inverted_cdf")
    yield "budget", _more_updates(case, AFTER * float(needed) / configuration.updates)
    yield from (("noise", changes) for changes in _less_noise(case))
    norm = float(np.median([one.norm[0] for one in case.evidence if len(one.norm)]))
    if 0 < configuration.clip < norm:  # every step is cut
        yield "budget", {"clip": _round(2 * norm)}


def _predicted(case: Limited, changes: Changes) -> tuple[float, tuple[float, float]]:
    """The share of networks that leave the plateau in time, and median and upper quartile of what they need."""
    changed, length = case.configuration.with_(**changes), case.length
    networks = [untrained(changed, length, one.repetition)[0] for one in case.evidence]
    task, descent, given = changed.make_task(), descent_of(changed), changed.updates
    updates = needed_by(networks, task, length, descent, given, twins_seed(changed, length)).updates
    median, most = np.quantile(updates, [0.5, 0.75], method="inverted_cdf").tolist()
    return float((updates <= given).mean()), (median, most)


def _critical(case: Limited) -> Iterator[Changes]:
    """The critical gain, if the cell has an R, and the task shows its label at some gain."""
    configuration, cell = case.configuration, case.cell
    if configuration.init == CRITICAL or cell is None or not cell.recurrent_gates:
        return
    changes: Changes = {"init": CRITICAL} | ({"recurrent_gain": 1.0} if configuration.recurrent_gain != 1 else {})
    try:
        configuration.with_(**changes).critical_gain(case.length)
    except InvalidArgument:  # no gain shows the label
        return
    yield changes


def _more_updates(case: Limited, factor: float = LEAST_UPDATES) -> Changes:
    return {"updates": int(_round(case.configuration.updates * min(max(factor, LEAST_UPDATES), MOST_UPDATES)))}


def _less_noise(case: Limited) -> Iterator[Changes]:
    """Larger batches, and smaller steps, after which the noise keeps up little loss."""
    loud = float(np.median([one.misadjustment for one in case.evidence])) / QUIET
    for factor in BATCHES:
        if factor >= loud or factor == max(BATCHES):
            yield {"batch": factor * case.configuration.batch}
    for part in STEPS:
        if part >= loud or part == max(STEPS):
            yield _smaller_steps(case, part, part)


def _smaller_steps(case: Limited, part: float, more: float) -> Changes:
    changes: Changes = {"learning_rate": _round(case.configuration.learning_rate / part)}
    return changes | ({"updates": int(_round(case.configuration.updates * more))} if more > 1 else {})


def _for_saturation(case: Limited) -> Suggestions:
    gain, of_R = case.configuration.gain, case.configuration.recurrent_gain
    expected = "the units are in the middle of their range"
    if case.cell is None:  # it draws its own initial weights
        return
    if gain > 1:  # R is kept if it was not large
        yield {"gain": 1.0, "recurrent_gain": _round(min(gain * of_R, 1.0))}, expected
    else:
        slope = float(np.median([one.slope for one in case.evidence]))
        yield {"gain": _round(gain * max(slope, 0.01))}, expected


def _for_plateau(case: Limited) -> Suggestions:
    """For Adam and RMSprop, for which the equation of the plateau does not hold."""
    for changes in _critical(case):
        yield changes, "R is large enough from the beginning"
    yield _more_updates(case), "more time to leave the plateau"


def _for_budget(case: Limited) -> Suggestions:
    if case.left:
        yield _more_updates(case), "the loss still falls"
    else:
        yield _more_updates(case), "more time to leave the plateau"
        for changes in _critical(case):
            yield changes, "R is large enough from the beginning"


def _for_noise(case: Limited) -> Suggestions:
    for changes in _less_noise(case):
        yield changes, "the noise of the batches keeps up less loss"


def _for_exploding(case: Limited) -> Suggestions:
    configuration = case.configuration
    growth = float(np.median([one.growth for one in case.evidence]))
    clip: Changes = {} if configuration.clip else {"clip": 1.0}
    if GROWN < growth < math.inf and case.cell is not None and case.cell.recurrent_gates:
        gain = {"recurrent_gain": _round(configuration.recurrent_gain * math.exp(-growth / case.length))}
        yield gain | clip, "gradients keep their size on their way back"
    if clip:
        yield clip, "a large gradient does not make a large step"
    yield _smaller_steps(case, 10, 2), "smaller steps"


def _for_unstable(case: Limited) -> Suggestions:
    no_better = np.median([min(one.late, 10.0) for one in case.evidence]) > 1  # than without learning
    if no_better or np.mean([latched(one) for one in case.evidence]) > 0.5:
        yield _smaller_steps(case, MUCH_SMALLER, MOST_MORE), "much smaller steps"
    # With smaller steps, what is solved now takes as many more updates.
    more = math.ceil(min(MOST_MORE, SMALLER * case.pace / case.configuration.updates))
    yield _smaller_steps(case, SMALLER, more), "steps that do not throw the network back"
    for changes in _critical(case):
        yield changes, "the plateau is left at once, so more updates remain"
    if more < MOST_MORE:
        yield _smaller_steps(case, SMALLER, MOST_MORE), "smaller steps and more of them"


def _for_noise_jump(case: Limited) -> Suggestions:
    more = 1 if case.pace < math.inf else SMALLER
    for changes in _critical(case):
        yield (
            changes | _smaller_steps(case, SMALLER, more),
            "R is large enough from the beginning, and smaller steps do not make it jump",
        )
        yield changes, "R is large enough from the beginning"
    yield _smaller_steps(case, SMALLER, SMALLER), "noise makes R jump later than the label does"


def _for_capacity(case: Limited) -> Suggestions:
    needed = max(max(one.held, one.lags) for one in case.evidence)
    hidden = max(MORE_UNITS * case.configuration.hidden, math.ceil(ROOM * needed))
    yield {"hidden": hidden}, "more units to hold what the answers need"


SUGGESTIONS: dict[str, Callable[[Limited], Suggestions]] = {
    "saturation": _for_saturation,
    "vanishing": _for_plateau,
    "budget": _for_budget,
    "noise": _for_noise,
    "exploding": _for_exploding,
    "unstable": _for_unstable,
    "noise jump": _for_noise_jump,
    "capacity": _for_capacity,
}
"""What is suggested for each verdict. Nothing helps without a signal."""


def _round(value: float) -> float:
    """Two significant digits, so that a person can type it."""
    return float(f"{value:.2g}")


def _text(value: Any) -> str:
    return "default" if value is None else written(value)
