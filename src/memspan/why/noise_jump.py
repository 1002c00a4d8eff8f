"""The noise jump: Adam throws R of a tanh network over the critical gain, also where there is nothing to learn.

On the plateau W and V shrink, and with them the gradient of R. Adam divides the gradient by the root of s, and
s remembers the larger gradients of before, so R hardly moves. When this memory has faded, a batch whose gradient
exceeds what s remembers moves every element of R by about the learning rate η. Such a gradient has nearly rank
one, so it adds up to η H to the norm of R. After a few of them the spectral radius jumps far above 1.

The hazard of the jump at update n is

    h(n) = (exp(-n/E) + n² / (n² + D²)) / M

- M, the mean wait once the memory has faded, is the shorter, the larger are η H, the length T and β₂;
- D is the time in which the memory fades;
- E is the first phase, in which s has no past and every step has the size η.

The form follows from what happens; the nine constants were fitted to the jumps of 1,300 networks on shuffled
labels of the task `recall`, and tested on others (`docs/adam.md`, `benchmarks/adam_jump.py`). β₁ was 0.9 and
gradients were clipped to a norm of 1. True labels bring the jump sooner.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from memspan.errors import InvalidArgument, real_number, whole_number
from memspan.study.configuration import Configuration
from memspan.training.optimizers import Adam

UNIFORM = 0.2
"""W and V of the fit came from U(-0.2, 0.2) times a factor, the start."""
AT_ONCE = 0.9
"""For a learning rate times H of at least this, the first steps alone throw R, sooner than the formula says."""
CRITICAL_VARIANCE = 1.0
"""The variance of an element of R, times H, at which a start has no need of a jump."""
MEASURED: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "learning_rate": (0.003, 0.03),
        "hidden": (8, 64),
        "batch": (8, 512),
        "gain": (0.25, 4),
        "length": (5, 50),
    }
)
"""The least and the largest value of each quantity at which the formula was measured."""


@dataclass(frozen=True)
class Constants:
    """The nine constants of the formula.

    M and D are those of the baseline: a learning rate of 0.01, 32 units, batches of 64 sequences, T = 30.

    Attributes
    ----------
    wait : float
        M of the baseline, in updates, for β₂ = 0.999 and a tiny ε.
    step, length, batch, beta2 : float
        The exponents in M of the step η H, of T, of B, and of the memory of s.
    epsilon : float
        The ε that halves the step of the baseline.
    fade : float
        D of the baseline, in updates.
    fade_lr, fade_batch : float
        The exponents in D of the learning rate and of B.
    """

    wait: float
    step: float
    length: float
    batch: float
    beta2: float
    epsilon: float
    fade: float
    fade_lr: float
    fade_batch: float


FITTED = Constants(
    wait=700.9,
    step=2.286,
    length=1.178,
    batch=0.2781,
    beta2=0.7349,
    epsilon=3.173e-4,
    fade=238.7,
    fade_lr=2.991,
    fade_batch=0.5132,
)
"""The constants of `benchmarks/adam_jump.py fit`."""
BASE_RATE, BASE_HIDDEN, BASE_BATCH, BASE_LENGTH, BASE_BETA2 = 0.01, 32, 64, 30, 0.999
MEMORY = 0.003  # 1 - β₂ at which the memory of s begins to matter


@dataclass(frozen=True, repr=False)
class NoiseJump:
    """When noise throws R, for networks that differ in their seeds only.

    Attributes
    ----------
    wait, fade, first : float
        M, D and E of the hazard, in updates.
    at_once : bool
        Whether the first steps alone throw R. Then it comes sooner than all other numbers here say.
    """

    wait: float
    fade: float
    first: float
    at_once: bool = False

    def __repr__(self) -> str:
        return f"<NoiseJump: half of the networks within {self.quantile(0.5):.0f} updates>"

    def hazard(self, update: Any) -> Any:
        """Return the chance per update that R jumps at an update, if it has not jumped before."""
        n = np.asarray(update, dtype=float)
        return (np.exp(-n / self.first) + n**2 / (n**2 + self.fade**2)) / self.wait

    def total(self, updates: Any) -> Any:
        """Return the hazard summed over the first `updates`."""
        n = np.asarray(updates, dtype=float)
        late = n - self.fade * np.arctan(n / self.fade)
        return (self.first * -np.expm1(-n / self.first) + late) / self.wait

    def probability(self, updates: Any) -> Any:
        """Return the share of networks whose R jumps within `updates`."""
        return -np.expm1(-self.total(updates))

    def quantile(self, share: float) -> float:
        """Return the update within which the R of a share of the networks, between 0 and 1, has jumped.

        Raises
        ------
        InvalidArgument
            If the share is not between 0 and 1.
        """
        from scipy.optimize import brentq

        target = -np.log1p(-real_number("share", share, above=0, below=1))
        latest = self.wait * target + np.pi / 2 * self.fade
        return float(brentq(lambda n: self.total(n) - target, 0, latest))


def noise_jump(
    learning_rate: float,
    *,
    hidden: int,
    batch: int,
    length: int,
    start: float = 1.0,
    epsilon: float = 1e-8,
    beta2: float = 0.999,
    constants: Constants = FITTED,
) -> NoiseJump:
    """Return the formula's answer for tanh networks that Adam trains, also outside the ranges of `MEASURED`.

    Parameters
    ----------
    learning_rate : float
        η.
    hidden, batch, length : int
        H, B and T.
    start : float
        The larger one of the factors by which the initial W and V differ from U(-0.2, 0.2).
    epsilon, beta2 : float
        Of Adam.
    constants : Constants

    Raises
    ------
    InvalidArgument
        If an argument is not a number of its kind.
    """
    for name, count in {"hidden": hidden, "batch": batch, "length": length}.items():
        whole_number(name, count)
    for name, value in {"learning_rate": learning_rate, "start": start, "epsilon": epsilon}.items():
        real_number(name, value, above=0)
    real_number("beta2", beta2, least=0, below=1)
    c, rate = constants, learning_rate / BASE_RATE
    units, sequences = hidden / BASE_HIDDEN, batch / BASE_BATCH
    step = rate * units / (1 + epsilon / c.epsilon * (sequences * units) ** 0.5)
    memory = (1 + (1 - beta2) / MEMORY) / (1 + (1 - BASE_BETA2) / MEMORY)
    wait = c.wait * step**-c.step * (length / BASE_LENGTH) ** -c.length * sequences**c.batch * memory**c.beta2
    fade = c.fade * start**1.5 * rate**-c.fade_lr * sequences**c.fade_batch
    first = start * UNIFORM / 2 / 3**0.5 / learning_rate
    return NoiseJump(wait, fade, first, learning_rate * hidden >= AT_ONCE)


def noise_jump_of(configuration: Configuration, length: int) -> NoiseJump:
    """Return when noise throws the networks of a configuration.

    Raises
    ------
    InvalidArgument
        If the formula was not measured for the configuration or the length (`demand_measured`).
    """
    demand_measured(configuration)
    _demand_in_range("length", length)
    rule = configuration.make_optimizer().rule
    assert isinstance(rule, Adam)
    return noise_jump(
        rule.learning_rate,
        hidden=configuration.hidden,
        batch=configuration.batch,
        length=length,
        start=configuration.gain,
        epsilon=rule.epsilon,
        beta2=rule.beta2,
    )


HINT = ". Elsewhere train: `memspan span` measures the span"


def demand_measured(configuration: Configuration) -> None:
    """Raise `InvalidArgument` if the formula was not measured for a configuration, or does not hold for it.

    It holds for memspan's tanh cell `rnn` with Adam and a clip of 1 on the task `recall`, from the initializer
    `uniform` with a variance of R below the critical one, within the ranges of `MEASURED`.
    """
    fixed = {"optimizer": "adam", "cell": "rnn", "task": "recall", "init": "uniform", "clip": 1.0}
    for name, value in fixed.items():
        found = getattr(configuration, name)
        if found is None:  # of the cell rnn, because the cell comes first
            found = configuration.make_cell().init
        if found != value:
            raise InvalidArgument(name, f"{value}, for which the jump by noise was measured", found, HINT)
    for name in ("learning_rate", "hidden", "batch", "gain"):
        _demand_in_range(name, getattr(configuration, name))
    variance = configuration.hidden * (UNIFORM * configuration.gain * configuration.recurrent_gain) ** 2 / 3
    if variance >= CRITICAL_VARIANCE:
        rule = "so small that H times the variance of R is below 1, because above it R does not need to jump"
        raise InvalidArgument("recurrent_gain", rule, f"a variance times H of {variance:.3g}", HINT)


def _demand_in_range(name: str, value: float) -> None:
    low, high = MEASURED[name]
    if not low <= value <= high:
        rule = f"from {low:g} to {high:g}, where the jump by noise was measured"
        raise InvalidArgument(name, rule, f"{value:g}", HINT)
