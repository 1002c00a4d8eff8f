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
from memspan.losses import value_of
from memspan.network import Model
from memspan.runtime.floats import quiet
from memspan.shapes import Array
from memspan.study.configuration import Configuration
from memspan.study.group import digest_of, fit, prepared, untrained
from memspan.tasks import Batch, Task
from memspan.training.history import Outcome
from memspan.training.member import Member
from memspan.why.capacity import is_linear, lags_to_tell, numbers_to_hold
from memspan.why.gradient_noise import GradientNoise
from memspan.why.plateau import LEFT, TINY, WINDOW, averaged, left_at
from memspan.why.predict import twins_seed
from memspan.why.signals import signals_of

SEQUENCES = 800
"""The least number of sequences over which a loss is averaged before it is compared with the trivial risk."""
EXPONENT_SEQUENCES, SLOPE_SEQUENCES = 8, 64
SMALL = 0.01
"""The factor of all weights that brings the units into the middle of their range."""
FIRST = 10
"""The first gradients, whose median is the scale of what is large."""

NUMBERS = (
    *("left", "needed", "without_noise", "theta", "z", "z_inputs", "decay", "noise_jump", "growth"),
    *("slope", "slope_after", "start", "late", "best", "fall", "jump", "radius", "radius_after"),
    *("misadjustment", "signal_to_noise", "units", "held", "lags"),
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
    z_inputs : float
        The significance of what single inputs say about the label (`memspan.why.signals.input_significance`).
    needed, without_noise : float
        The updates predicted to leave the plateau (`memspan.why.plateau`), with and without the noise of the
        batches; NaN for optimisers for which that does not hold, and for models whose read-out is not known.
    decay : float
        κ, the share by which the noise of the batches shortens the readout in one update; NaN as above.
    noise_jump : float
        The median update at which the noise of the batches alone makes Adam throw R; NaN where that is not known.
    growth : float
        ln of the factor by which a gradient changes on its way back through all steps, before training.
    slope, slope_after : float
        The mean slope of the units on sequences of the task, before and after training, as a share of that with
        tiny weights. Near 0 the units are saturated. NaN for a model whose cell memspan does not have.
    radius, radius_after : float
        The largest spectral radius of the blocks of R, before and after training; NaN for a cell without R, and
        where it is not known which of the weights these are.
    start, end : float
        The loss on new sequences before and after training, as a share of the trivial risk.
    misadjustment, signal_to_noise : float
        The noise of the batches at the weights after training (`memspan.why.gradient_noise.GradientNoise`).
    held : float
        How many numbers the units must hold (`memspan.why.capacity.numbers_to_hold`).
    lags : int
        How many inputs a linear network must tell apart by their lag; 0 for others.
    trained : Network or another Model
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
    z_inputs: float
    needed: float
    without_noise: float
    decay: float
    noise_jump: float
    growth: float
    slope: float
    slope_after: float
    radius: float
    radius_after: float
    start: float
    end: float
    misadjustment: float
    signal_to_noise: float
    held: float
    lags: int
    trained: Model

    def __repr__(self) -> str:
        left = f"left at {self.left:.0f}" if self.has_left else "plateau not left"
        return f"<Evidence of repetition {self.repetition}: {self.outcome}, {left}, Θ = {self.theta:.3g}>"

    @property
    def has_left(self) -> bool:
        """Whether the network left the plateau."""
        return bool(np.isfinite(self.left) or self.end < LEFT)

    @property
    def units(self) -> int:
        """H."""
        return self.trained.hidden_size

    @property
    def late(self) -> float:
        """The share of the trivial risk at the end; infinity if training diverged.

        It is the mean over the last batches; with batches so small that such a mean takes more than half of the
        training, it is that of new sequences.
        """
        if self.outcome is Outcome.DIVERGED:
            return np.inf
        return float(self.share[-1]) if 2 * len(self.share) > self.given else self.end

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
    def jump(self) -> float:
        """The largest norm of the gradient, divided by the median of the first ones."""
        return float(self.norm.max() / np.median(self.norm[:FIRST])) if len(self.norm) else np.inf

    @property
    def numbers(self) -> dict[str, float]:
        """The numbers that decide the verdict, by name."""
        return {name: float(getattr(self, name)) for name in NUMBERS}


def evidence_of(
    configuration: Configuration, length: int, repetitions: Sequence[int], engine: str | None = None
) -> list[Evidence]:
    """Train some repetitions of a length again, and return the evidence of each.

    The random numbers are those of the trials. So with their `Trial.engine` the weights after training are those
    of the study.
    """
    networks = [untrained(configuration, length, one)[0] for one in repetitions]
    signals = signals_of(configuration, length, networks)
    ensemble = prepared(configuration, length, repetitions, engine)
    fit(ensemble, configuration, repetitions)
    probe = probe_of(configuration, length)
    held = numbers_to_hold(configuration.make_task(), length, twins_seed(configuration, length))
    parts = zip(repetitions, networks, ensemble.members, signals, strict=True)
    return [_evidence(configuration, length, probe, held, *part) for part in parts]


def probe_of(configuration: Configuration, length: int) -> Batch:
    """Return new sequences, on which networks are measured before and after training."""
    return configuration.make_task().sample(length, SEQUENCES, twins_seed(configuration, length))


def window_of(configuration: Configuration) -> int:
    """Return the number of updates over which losses are averaged.

    It is `WINDOW`, or half of all updates if these are fewer; and more where these have fewer than `SEQUENCES`.
    """
    updates = configuration.updates
    return min(updates, max(min(WINDOW, updates // 2), -(-SEQUENCES // configuration.batch)))


def _evidence(
    configuration: Configuration,
    length: int,
    probe: Batch,
    held: float,
    repetition: int,
    before: Model,
    member: Member,
    signal: dict[str, float],
) -> Evidence:
    assert member.result is not None
    task, window, trained, x = configuration.make_task(), window_of(configuration), member.model, probe.x
    risk = task.trivial_risk(length)
    loss = np.array(member.history.loss) / risk
    linear = is_linear(before, x[:, :EXPONENT_SEQUENCES])
    noise = GradientNoise.of(trained, configuration, probe, risk)
    return Evidence(
        repetition,
        member.result.outcome,
        digest_of(trained),
        configuration.updates,
        averaged(loss, window),
        np.array(member.history.norm),
        configuration.clip or np.inf,
        left_at(loss, window),
        **signal,
        growth=length * _or(np.inf, lambda: _exponent(before, x[:, :EXPONENT_SEQUENCES])),
        **_slopes(before, trained, x[:, :SLOPE_SEQUENCES], linear),
        radius=_radius(before),
        radius_after=_radius(trained),
        start=_loss(task, before, probe) / risk,
        end=_loss(task, trained, probe) / risk,
        misadjustment=noise.misadjustment,
        signal_to_noise=noise.signal_to_noise,
        held=held,
        lags=lags_to_tell(task, length) if linear else 0,
        trained=trained,
    )


@quiet
def _loss(task: Task, network: Model, batch: Batch) -> float:
    network = network.astype(np.float64)
    engine = network.make_engine(task.make_loss())
    (y_hat,) = engine.predict(network.parameters[np.newaxis], [batch.x])  # without a trace
    loss = value_of(task.make_loss(), y_hat, batch.y)
    return float(loss) if np.isfinite(loss) else np.inf


def _slopes(before: Model, trained: Model, x: Array, linear: bool) -> dict[str, float]:
    """The slopes of the units before and after training; 1 if they are linear, NaN if they are not known."""
    if linear:
        return {"slope": 1.0, "slope_after": 1.0}
    known = before.astype(np.float64).built_in()
    if known is None:
        return {"slope": np.nan, "slope_after": np.nan}
    tiny = known.with_parameters(SMALL * known.parameters)
    scale, *slopes = (_slope(network, x) for network in (tiny, known, trained))
    return {name: slope / max(scale, TINY) for name, slope in zip(("slope", "slope_after"), slopes, strict=True)}


def _exponent(network: Model, x: Array) -> float:
    return float(LyapunovExponents.largest(network, x).values[0])


def _slope(network: Model, x: Array) -> float:
    """The mean slope of the units; 0 where states are not finite."""
    return _or(0.0, lambda: Saturation.of(network, x).slope.mean())


def _radius(network: Model) -> float:
    """The largest spectral radius; NaN without R, or if it is not known which weights it consists of."""
    spectra = {} if network.recurrent_blocks() is None else recurrent_spectra(network)
    return max((one.radius for one in spectra.values()), default=np.nan)


def _or(otherwise: float, measure: Callable[[], Any]) -> float:
    """What `measure` returns; `otherwise` where a state is not finite, or a formula was not measured."""
    try:
        return float(measure())
    except InvalidArgument:
        return otherwise
