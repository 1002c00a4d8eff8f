"""The verdict: what keeps a network from solving a length, by criteria that are written here and nowhere else.

`CRITERIA` are read from the top, and the first one that holds is the verdict on a network. The verdict on a length
is `solved` if at least half of its networks solved it, and else the most frequent verdict of the others.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from memspan.training.history import Outcome
from memspan.why.evidence import Evidence
from memspan.why.prediction import FAR, SEEN

SOLVED, UNDETERMINED = "solved", "undetermined"
SATURATED = 0.1
GROWN = np.log(10)
JUMP = 10.0
WORSE = 1.15
REBOUND, LOW = 1.6, 0.05
FALLING = 0.93
FLAT, LATCHED = 0.2, 0.25
SOON = 1 / 3
CALM, THROWN = 1.0, 1.5


@dataclass(frozen=True, repr=False)
class Criterion:
    """One line of the rule.

    Attributes
    ----------
    verdict : str
    condition : str
        The condition in words.
    holds : callable
        Whether the evidence of a network fulfils the condition.
    """

    verdict: str
    condition: str
    holds: Callable[[Evidence], bool]

    def __repr__(self) -> str:
        return f"<Criterion {self.verdict}: {self.condition}>"


CRITERIA: list[Criterion] = []
"""The criteria, in their order."""


def _criterion(verdict: str, condition: str) -> Callable[[Callable[[Evidence], bool]], Callable[[Evidence], bool]]:
    def add(holds: Callable[[Evidence], bool]) -> Callable[[Evidence], bool]:
        CRITERIA.append(Criterion(verdict, condition, holds))
        return holds

    return add


@_criterion(SOLVED, "the accuracy reaches the threshold")
def _(e: Evidence) -> bool:
    return e.outcome is Outcome.SOLVED


@_criterion(
    "saturation", f"plateau not left; slope of the units before training < {SATURATED:g} of that of tiny weights"
)
def _(e: Evidence) -> bool:
    return not e.has_left and e.slope < SATURATED


@_criterion(
    "noise", "plateau not left; it would be left with the updates given if batches had no noise, and not with it"
)
def _(e: Evidence) -> bool:
    return not e.has_left and e.without_noise <= e.given < e.needed and e.outcome is not Outcome.DIVERGED


@_criterion(
    "exploding",
    f"diverged or late loss > {WORSE:g} of the trivial risk; the gradient grows more than tenfold on its way back, or "
    f"jumps to more than {JUMP:g} times its first size without a clip",
)
def _(e: Evidence) -> bool:
    return _worse(e) and (e.growth > GROWN or _jumps(e))


@_criterion("unstable", f"diverged or late loss > {WORSE:g} of the trivial risk")
def _(e: Evidence) -> bool:
    return _worse(e)


@_criterion("no signal", f"plateau not left; significance z of the label gradient < {SEEN:g}")
def _(e: Evidence) -> bool:
    return not e.has_left and e.z < SEEN


@_criterion(
    "vanishing", f"plateau not left; even without noise it takes more than {FAR:g} times the updates given"
)
def _(e: Evidence) -> bool:
    return not e.has_left and e.without_noise == np.inf


@_criterion(
    "noise", f"plateau not left; with the noise of the batches it takes more than {FAR:g} times the updates given"
)
def _(e: Evidence) -> bool:
    return not e.has_left and e.needed == np.inf


@_criterion("budget", f"plateau not left; it takes {SOON:.2g} to {FAR:g} times the updates given")
def _(e: Evidence) -> bool:
    return not e.has_left and e.needed > SOON * e.given


@_criterion(
    "exploding", "plateau not left, although it takes less; the gradient grows more than tenfold on its way back"
)
def _(e: Evidence) -> bool:
    return not e.has_left and e.growth > GROWN


@_criterion("budget", f"plateau not left; Adam's noise needs up to {FAR:g} times the updates given to throw R")
def _(e: Evidence) -> bool:
    return not e.has_left and e.noise_jump <= FAR * e.given


@_criterion("vanishing", "plateau not left; the optimiser is another than gradient descent")
def _(e: Evidence) -> bool:
    return not e.has_left and np.isnan(e.needed)


@_criterion(
    "exploding", f"plateau left; the gradient jumps to more than {JUMP:g} times its first size without a clip"
)
def _(e: Evidence) -> bool:
    return e.has_left and _jumps(e)


@_criterion(
    "noise jump",
    f"plateau left; Adam's noise throws R within the updates given, and the spectral radius went from below {CALM:g} "
    f"to above {THROWN:g}",
)
def _(e: Evidence) -> bool:
    return e.has_left and e.noise_jump <= e.given and e.radius < CALM and e.radius_after > THROWN


@_criterion(
    "unstable", f"plateau left; the loss rose to more than {REBOUND:g} times its lowest value, and above {LOW:g}"
)
def _(e: Evidence) -> bool:
    return e.has_left and e.late > max(LOW, REBOUND * e.best)


@_criterion(
    "budget", f"plateau left; the loss of the last quarter is below {FALLING:g} of that of the quarter before"
)
def _(e: Evidence) -> bool:
    return e.has_left and e.fall < FALLING


@_criterion(
    "capacity",
    f"plateau left; the loss of the last half moves by less than {FLAT:g} of its mean, and the slope of the units is "
    f"above {LATCHED:g} of that of tiny weights",
)
def _(e: Evidence) -> bool:
    return e.has_left and e.swing < FLAT and e.slope_after > LATCHED


@_criterion("unstable", "plateau left; nothing of the above, so that units are latched or the loss swings")
def _(e: Evidence) -> bool:
    return e.has_left


@_criterion(UNDETERMINED, "nothing of the above")
def _(e: Evidence) -> bool:
    return True


def _worse(e: Evidence) -> bool:
    return e.outcome is Outcome.DIVERGED or e.late > WORSE


def _jumps(e: Evidence) -> bool:
    return e.clip == np.inf and e.jump > JUMP


def criterion_of(evidence: Evidence) -> Criterion:
    """Return the first criterion that holds."""
    return next(one for one in CRITERIA if one.holds(evidence))


def verdict_of(criteria: Sequence[Criterion]) -> str:
    """Return the most frequent verdict; of equally frequent ones, that whose criterion comes first."""
    verdicts = [one.verdict for one in criteria]
    return max(dict.fromkeys(one.verdict for one in CRITERIA), key=verdicts.count)
