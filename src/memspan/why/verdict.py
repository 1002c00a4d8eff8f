"""The verdict: what keeps a network from solving a length, by criteria that are written here and nowhere else.

`CRITERIA` are read from the top, and the first one that holds is the verdict on a network. The verdict on a length
is `solved` if at least half of its networks solved it, and else the most frequent verdict of the others.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from memspan.training.history import Outcome
from memspan.why.evidence import Evidence
from memspan.why.prediction import FAR, SEEN

SOLVED, UNDETERMINED = "solved", "undetermined"
SATURATED = 0.3
GROWN = math.log(10)
JUMP = 30.0
WORSE, MUCH_WORSE = 1.15, 3.0
REBOUND, LOW = 1.6, 0.05
FALLING = 0.93
SOON = 1 / 3
CALM, THROWN = 1.0, 1.5
NOISY = 0.1
STUCK = 0.1
OF = "the larger of the trivial risk and the loss before training"


@dataclass(frozen=True, repr=False)
class Criterion:
    """One line of the rule.

    Attributes
    ----------
    verdict : str
    left : bool or None
        Whether it is about networks that left the plateau, or about those that did not; None for both.
    says : str
        The rest of the condition in words.
    holds : callable
        Whether the evidence of a network fulfils that rest.
    numbers : tuple of str
        The numbers of `Evidence` that decide.
    """

    verdict: str
    left: bool | None
    says: str
    holds: Callable[[Evidence], bool]
    numbers: tuple[str, ...] = ()

    def __repr__(self) -> str:
        where = {True: ", plateau left", False: ", plateau not left", None: ""}[self.left]
        return f"<Criterion of {self.verdict}{where}>"

    @property
    def condition(self) -> str:
        """The condition in words."""
        plateau = {True: "plateau left; ", False: "plateau not left; ", None: ""}[self.left]
        return plateau + self.says

    def __call__(self, evidence: Evidence) -> bool:
        """Whether the criterion holds."""
        return self.left in (None, evidence.has_left) and self.holds(evidence)


def latched(e: Evidence) -> bool:
    """Whether training latched the units, which were not latched before."""
    return e.slope_after < STUCK * e.slope


def _worse(e: Evidence) -> bool:
    return e.late > WORSE * max(1.0, e.start)


def _jumps(e: Evidence) -> bool:
    return e.clip == math.inf and e.jump > JUMP


CRITERIA = (
    Criterion(SOLVED, None, "the accuracy reaches the threshold", lambda e: e.outcome is Outcome.SOLVED),
    Criterion(
        "capacity",
        None,
        "the answers need more numbers of the past than there are units",
        lambda e: e.held > e.units,
        ("held", "units"),
    ),
    Criterion(
        "saturation",
        False,
        f"before training the slope of the units is below {SATURATED:g} of that with tiny weights",
        lambda e: e.slope < SATURATED,
        ("slope",),
    ),
    Criterion(
        "noise",
        False,
        f"without the noise of the batches the updates given are enough, and with it not; late loss below "
        f"{MUCH_WORSE:g} times the trivial risk",
        lambda e: e.without_noise <= e.given < e.needed and e.late < MUCH_WORSE,
        ("needed", "without_noise", "late"),
    ),
    Criterion(
        "noise",
        None,
        f"the noise of the batches keeps up a loss above {NOISY:g} of the trivial risk, and exceeds the gradient",
        lambda e: e.misadjustment > NOISY and e.signal_to_noise < 1,
        ("misadjustment", "signal_to_noise"),
    ),
    Criterion(
        "exploding",
        None,
        f"diverged, or late loss above {WORSE:g} times {OF}; the gradient grows more than tenfold on "
        f"its way back, or jumps to more than {JUMP:g} times its first size without a clip",
        lambda e: _worse(e) and (e.growth > GROWN or _jumps(e)),
        ("late", "growth", "jump"),
    ),
    Criterion("unstable", None, f"diverged, or late loss above {WORSE:g} times {OF}", _worse, ("start", "late")),
    Criterion(
        "exploding",
        False,
        f"the gradient jumps to more than {JUMP:g} times its first size without a clip",
        _jumps,
        ("jump",),
    ),
    Criterion(
        "no signal",
        False,
        f"the significance z of the label gradient is below {SEEN:g}, and so is that of single inputs",
        lambda e: e.z < SEEN and e.z_inputs < SEEN,
        ("z", "z_inputs"),
    ),
    Criterion(
        "vanishing",
        False,
        f"without the noise of the batches too, more than {FAR:g} times the updates given are needed",
        lambda e: e.without_noise == math.inf,
        ("without_noise",),
    ),
    Criterion(
        "noise",
        False,
        f"with the noise of the batches more than {FAR:g} times the updates given are needed, without it fewer",
        lambda e: e.needed == math.inf,
        ("needed", "without_noise"),
    ),
    Criterion(
        "budget",
        False,
        f"from {SOON:.2g} to {FAR:g} times the updates given are needed",
        lambda e: e.needed > SOON * e.given,
        ("needed",),
    ),
    Criterion(
        "exploding",
        False,
        f"fewer than {SOON:.2g} of the updates given are needed, and the gradient grows more than tenfold on its "
        "way back",
        lambda e: e.growth > GROWN,
        ("needed", "growth"),
    ),
    Criterion(
        "budget",
        False,
        f"with Adam, noise alone would make R jump within {FAR:g} times the updates given",
        lambda e: e.noise_jump <= FAR * e.given,
        ("noise_jump",),
    ),
    Criterion(
        "unstable",
        False,
        f"training latched the units: their slope fell to less than {STUCK:g} of that before",
        latched,
        ("slope", "slope_after"),
    ),
    Criterion(
        "vanishing",
        False,
        "the updates needed are not predicted, and the gradient falls to less than a tenth on its way back",
        lambda e: math.isnan(e.needed) and e.growth < -GROWN,
        ("growth",),
    ),
    Criterion(
        "exploding",
        True,
        f"the gradient jumps to more than {JUMP:g} times its first size without a clip",
        _jumps,
        ("jump",),
    ),
    Criterion(
        "noise jump",
        True,
        "with Adam, noise alone would make R jump within the updates given, and its spectral radius went from "
        f"below {CALM:g} to above {THROWN:g}",
        lambda e: e.noise_jump <= e.given and e.radius < CALM and e.radius_after > THROWN,
        ("noise_jump", "radius", "radius_after"),
    ),
    Criterion(
        "unstable",
        True,
        f"the loss rose to more than {REBOUND:g} times its lowest value, and above {LOW:g} of the trivial risk",
        lambda e: e.late > max(LOW, REBOUND * e.best),
        ("best", "late"),
    ),
    Criterion(
        "unstable",
        True,
        f"training latched the units: their slope fell to less than {STUCK:g} of that before",
        latched,
        ("slope", "slope_after"),
    ),
    Criterion(
        "capacity",
        True,
        "the network is linear and has fewer units than there are inputs to tell apart by their lag",
        lambda e: e.lags > e.units,
        ("lags", "units"),
    ),
    Criterion(
        "budget",
        True,
        f"it was left in the second half of the updates; or the loss still falls: in the last quarter it is below "
        f"{FALLING:g} of that of the quarter before",
        lambda e: e.left > e.given / 2 or e.fall < FALLING,
        ("left", "fall"),
    ),
    Criterion("unstable", True, "none of the above", lambda e: True),
    Criterion(UNDETERMINED, False, "none of the above", lambda e: True),
)
"""The criteria, in their order."""


def criterion_of(evidence: Evidence) -> Criterion:
    """Return the first criterion that holds."""
    return next(one for one in CRITERIA if one(evidence))


def verdict_of(criteria: Sequence[Criterion]) -> str:
    """Return the most frequent verdict; of equally frequent ones, that whose criterion comes first."""
    verdicts = [one.verdict for one in criteria]
    return max(dict.fromkeys(one.verdict for one in CRITERIA), key=verdicts.count)
