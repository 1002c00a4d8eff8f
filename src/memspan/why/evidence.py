"""The evidence: what is measured of a network before, during and after its training to say what limits it.

What a study has not stored is recomputed: a trial is a function of its key, so training it again gives the same
weights, update for update.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from memspan.diagnostics import LyapunovExponents, Saturation, recurrent_spectra
from memspan.errors import InvalidArgument
from memspan.network import Network
from memspan.shapes import Array
from memspan.study.configuration import Configuration
from memspan.study.group import digest_of, fit, prepared, untrained
from memspan.training.history import Outcome
from memspan.training.member import Member
from memspan.why.noise_jump import noise_jump_of
from memspan.why.plateau import TINY, WINDOW, averaged, left_at
from memspan.why.predict import GRADIENT_DESCENT, descent_of, label_gradients, needed_by, twins_seed

SEQUENCES = 800
"""The least number of sequences over which a loss is averaged before it is compared with the trivial risk."""
EXPONENT_SEQUENCES, SLOPE_SEQUENCES = 8, 64
SMALL = 0.01
"""The factor of all weights that brings the units into the middle of their range."""
FIRST = 10
"""The first gradients, whose median is the scale of what is large."""

NUMBERS = (
    *("left", "needed", "without_noise", "theta", "z", "decay", "noise_jump", "growth", "slope", "slope_after"),
    *("late", "best", "fall", "swing", "jump", "radius", "radius_after"),
)
"""The numbers that decide the verdict."""
Curve = Float[np.ndarray, "updates"]


@dataclass(frozen=True, eq=False, repr=False)
class Evidence:
    """What was measured of one network at one length.

    Attributes
    ----------
    repetition : int
    outcome : Outcome
    digest : str
        The SHA-256 of the trained weights, as `Trial.digest`.
    given : int
        The updates given.
    share : array [updates]
        The training loss as a share of the trivial risk, averaged over windows of `window_of` updates.
    norm : array [updates]
        The norm of the gradient of each update, before clipping.
    clip : float
        The norm to which gradients are clipped; infinity without clipping.
    left : float
        The update at which the network left the plateau (`memspan.why.plateau.left_at`); infinity for never.
    theta, z : float
        The squared norm of the label gradient before training, and its significance.
    needed, without_noise : float
        The updates predicted to leave the plateau (`memspan.why.plateau`), with and without the noise of the
        batches; NaN for optimisers for which that does not hold.
    decay : float
        κ, the share by which the noise of the batches shortens the readout in one update; NaN as above.
    noise_jump : float
        The median update at which the noise of the batches alone makes Adam throw R; NaN where that is not known.
    growth : float
        ln of the factor by which a gradient changes on its way back through all steps, before training.
    slope, slope_after : float
        The mean slope of the units on sequences of the task, before and after training, as a share of that with
        tiny weights. Near 0 the units are saturated.
    radius, radius_after : float
        The largest spectral radius of the blocks of R, before and after training; NaN for a cell without R.
    trained : Network
        The network after training.
    """

    repetition: int
    outcome: Outcome
    digest: str
    given: int
    share: Curve
    norm: Curve
    clip: float
    left: float
    theta: float
    z: float
    needed: float
    without_noise: float
    decay: float
    noise_jump: float
    growth: float
    slope: float
    slope_after: float
    radius: float
    radius_after: float
    trained: Network

    def __repr__(self) -> str:
        left = f"left at {self.left:.0f}" if self.has_left else "plateau not left"
        return f"<Evidence of repetition {self.repetition}: {self.outcome}, {left}, Θ = {self.theta:.3g}>"

    @property
    def has_left(self) -> bool:
        """Whether the network left the plateau."""
        return bool(np.isfinite(self.left))

    @property
    def late(self) -> float:
        """The share of the trivial risk at the end; infinity if training ended before it could be averaged."""
        return float(self.share[-1]) if len(self.share) else np.inf

    @property
    def best(self) -> float:
        """The smallest share of the trivial risk."""
        return float(self.share.min()) if len(self.share) else np.inf

    @property
    def fall(self) -> float:
        """The mean of `share` over the last quarter of training, divided by that over the quarter before."""
        quarter = len(self.share) // 4
        if quarter == 0:
            return 1.0
        return float(self.share[-quarter:].mean() / self.share[-2 * quarter : -quarter].mean())

    @property
    def swing(self) -> float:
        """The range of `share` over the last half of training, divided by its mean there."""
        half = self.share[len(self.share) // 2 :]
        return float(np.ptp(half) / half.mean()) if len(half) else np.inf

    @property
    def jump(self) -> float:
        """The largest norm of the gradient, divided by the median of the first ones."""
        return float(self.norm.max() / np.median(self.norm[:FIRST])) if len(self.norm) else np.inf

    @property
    def numbers(self) -> dict[str, float]:
        """The numbers that decide the verdict, by name."""
        return {name: float(getattr(self, name)) for name in NUMBERS}


def evidence_of(configuration: Configuration, length: int, repetitions: Sequence[int]) -> list[Evidence]:
    """Train some repetitions of a length again, and return the evidence of each.

    The random numbers are those of the trials, so the weights after training are those of the study.
    """
    before = [untrained(configuration, length, one) for one in repetitions]
    networks = [network for network, _, _ in before]
    signals = _signals(configuration, length, networks)
    ensemble = prepared(configuration, length, repetitions)
    fit(ensemble, configuration, repetitions)
    inputs = [next(batches).x for _, batches, _ in before]
    parts = zip(repetitions, networks, ensemble.members, inputs, signals, strict=True)
    return [_evidence(configuration, length, *part) for part in parts]


def window_of(configuration: Configuration) -> int:
    """Return the number of updates over which losses are averaged.

    It is `WINDOW`, or half of all updates if these are fewer; and more where these have fewer than `SEQUENCES`.
    """
    updates = configuration.updates
    return min(updates, max(min(WINDOW, updates // 2), -(-SEQUENCES // configuration.batch)))


def _signals(configuration: Configuration, length: int, networks: Sequence[Network]) -> list[dict[str, float]]:
    """What is known of the plateau of each network before training."""
    task, seed = configuration.make_task(), twins_seed(configuration, length)
    if configuration.optimizer in GRADIENT_DESCENT:
        found = needed_by(networks, task, length, descent_of(configuration), configuration.updates, seed)
        columns = {
            "theta": found.theta,
            "z": found.z,
            "needed": found.updates,
            "without_noise": found.without_noise,
        }
        columns |= {"decay": found.decay, "noise_jump": np.full(len(networks), np.nan)}
        return [{name: float(column[k]) for name, column in columns.items()} for k in range(len(networks))]
    unknown = dict.fromkeys(("needed", "without_noise", "decay"), np.nan)
    jump = _or(np.nan, lambda: noise_jump_of(configuration, length).quantile(0.5))
    _, gradients = label_gradients(networks, task, length, seed)
    return [{"theta": one.theta, "z": one.z, **unknown, "noise_jump": jump} for one in gradients]


def _evidence(
    configuration: Configuration,
    length: int,
    repetition: int,
    before: Network,
    member: Member,
    x: Array,
    signal: dict[str, float],
) -> Evidence:
    assert member.result is not None
    window = window_of(configuration)
    loss = np.array(member.history.loss) / configuration.make_task().trivial_risk(length)
    tiny = before.astype(np.float64)
    tiny.parameters[:] = SMALL * tiny.parameters
    slopes = [_slope(network, x[:, :SLOPE_SEQUENCES]) for network in (tiny, before, member.model)]
    return Evidence(
        repetition,
        member.result.outcome,
        digest_of(member.model),
        configuration.updates,
        averaged(loss, window),
        np.array(member.history.norm),
        configuration.clip or np.inf,
        left_at(loss, window),
        **signal,
        growth=length * _or(np.inf, lambda: _exponent(before, x[:, :EXPONENT_SEQUENCES])),
        slope=slopes[1] / max(slopes[0], TINY),
        slope_after=slopes[2] / max(slopes[0], TINY),
        radius=_radius(before),
        radius_after=_radius(member.model),
        trained=member.model,
    )


def _exponent(network: Network, x: Array) -> float:
    return float(LyapunovExponents.largest(network, x).values[0])


def _slope(network: Network, x: Array) -> float:
    """The mean slope of the units; 0 where states are not finite."""
    return _or(0.0, lambda: Saturation.of(network, x).slope.mean())


def _radius(network: Network) -> float:
    spectra = recurrent_spectra(network)
    return max((one.radius for one in spectra.values()), default=np.nan)


def _or(otherwise: float, measure: Callable[[], Any]) -> float:
    """What `measure` returns; `otherwise` where a state is not finite, or a formula was not measured."""
    try:
        return float(measure())
    except InvalidArgument:
        return otherwise
