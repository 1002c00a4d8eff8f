"""The label signal and the label gradient of wide tanh networks in closed form, for the task `recall`.

Let the pre-activations of a network with h[t] = x[t] W + a[t-1] R, a[t] = tanh h[t] and a[0] = 0 be Gaussian with
variance q[t], and the weights of different steps independent, as in wide networks at initialization (Poole et al.
2016, arXiv:1606.05340; Schoenholz et al. 2017, arXiv:1611.01232). σ_R² is H times the variance of an element of R,
σ_W² the variance of an element of W, and z is standard normal. Then

    q[1] = σ_W² E x²        q[t] = σ_R² E tanh²(√q[t-1] z) + σ_W² E x²

The label y is the first input, and s[t] = E[y a[t]]. Let D[t] = E tanh'(√q[t] z). For jointly Gaussian y and h,
E[y tanh h] = D E[y h] (Stein's lemma). So each step multiplies s by R and by D:

    s[1] = D[1] E y² W      s[t] = D[t] s[t-1] R

    P[t] = |s[t]|² / E y²:  P[1] = H σ_W² E y² D[1]²        P[t] = γ[t] P[t-1],    γ[t] = σ_R² D[t]²

Going back from ŷ = Vᵀ a[T], the mean gradient e[t] = E[∂ŷ/∂h[t]] is e[T] = D[T] V, e[t] = D[t] R e[t+1]. The label
gradient has three parts: with respect to V it is s[T]; with respect to R it is Σ s[t-1] e[t]ᵀ over t = 2..T, whose
terms are orthogonal on average, each of the squared norm |V|² E y² P[T] / σ_R²; and with respect to W it is
E y² e[1]. Together,

    Θ[T] = E y² P[T] (1 + |V|² ((T - 1) / σ_R² + 1 / (H σ_W²)))

γ is the slope of the correlation map at correlation 0. χ₁ = σ_R² E tanh'(√q z)² at the fixed point of q is its
slope at correlation 1, by which a step multiplies the square of a small difference between two sequences. By
Jensen's inequality γ ≤ χ₁. Moreover γ < 1 at every gain, so the label fades in chaotic networks as well.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np
from jaxtyping import Float

from memspan.errors import InvalidArgument, real_number, shown, whole_number
from memspan.network import Network
from memspan.shapes import PerStep

UNIFORM = 1 / 3
"""The variance of U(-1, 1), the inputs and labels of `recall`."""
LEAST, MOST = 1e-2, 1e2
"""The bounds between which `most_signal` looks for σ_R²."""

_Z = np.linspace(0, 10, 513)
_WEIGHTS = np.exp(-(_Z**2) / 2) * np.where(_Z == 0, 1, 2)
_WEIGHTS /= (
    _WEIGHTS.sum()
)  # the trapezoidal rule, exact to rounding for even functions that are smooth beside its step


@dataclass(frozen=True, repr=False)
class MeanField:
    """The closed form for wide tanh networks with Gaussian weights, from the variances of the weights.

    It is the mean over wide networks of the same variances. A network has the same R in every step, so that the
    error grows with T²/H: where that is above 1, single networks scatter by factors. Measure one network with
    `label_signal` and `label_gradient`.

    Parameters
    ----------
    recurrent : float
        σ_R², H times the variance of an element of R.
    length : int
        T.
    hidden : int
        H.
    input : float
        σ_W², the variance of an element of W. The default is that of U(-0.2, 0.2).
    readout : float
        |V|², the sum of squares. The default is the mean for 32 elements from U(-0.2, 0.2).
    x2, y2 : float
        E x² and E y². The defaults are those of the task `recall`.

    Raises
    ------
    InvalidArgument
        If a number is not positive.
    """

    recurrent: float
    length: int
    hidden: int = 32
    input: float = 0.04 / 3
    readout: float = 32 * 0.04 / 3
    x2: float = UNIFORM
    y2: float = UNIFORM

    def __post_init__(self) -> None:
        for name in ("length", "hidden"):
            object.__setattr__(self, name, whole_number(name, getattr(self, name)))
        for name in ("recurrent", "input", "readout", "x2", "y2"):
            object.__setattr__(self, name, real_number(name, getattr(self, name), above=0))

    def __repr__(self) -> str:
        sizes = f"σ_R² = {self.recurrent:.3g}, T = {self.length}, H = {self.hidden}"
        return f"<MeanField of {sizes}: P = {self.power[-1]:.3g}, Θ = {self.theta[-1]:.3g}>"

    @classmethod
    def of(cls, network: Network, length: int) -> Self:
        """Take the variances from the weights of a network with tanh units, one input and one output.

        Raises
        ------
        InvalidArgument
            If the network has another cell, or other sizes.
        """
        if not isinstance(network, Network):
            raise InvalidArgument("network", "a Network", shown(network))
        if network.cell.name != "rnn":
            raise InvalidArgument("network", "a network of the cell rnn", repr(network))
        if (network.input_size, network.output_size) != (1, 1):
            raise InvalidArgument("network", "a network with one input and one output", repr(network))
        weights, hidden = network.astype(np.float64).weights, network.hidden_size
        squares = {name: float((getattr(weights, name) ** 2).sum()) for name in "RWV"}
        return cls(squares["R"] / hidden, length, hidden, squares["W"] / hidden, squares["V"])

    @cached_property
    def q(self) -> PerStep:
        """The variance of a pre-activation, `[T]`."""
        q = np.empty(self.length)
        q[0] = self.input * self.x2
        for t in range(1, self.length):
            q[t] = self._next(q[t - 1])
        return q

    @cached_property
    def slope(self) -> PerStep:
        """D, the mean slope of the units, `[T]`."""
        return np.array([_mean(_slopes(q)) for q in self.q])

    @property
    def gamma(self) -> Float[np.ndarray, "time"]:
        """γ = σ_R² D², by which the step t multiplies P, `[T]`; not used for t = 1."""
        return np.asarray(self.recurrent * self.slope**2)

    @property
    def log_power(self) -> PerStep:
        """ln P, which does not underflow, `[T]`."""
        first = self.hidden * self.input * self.y2 * self.slope[0] ** 2
        return np.asarray(np.log(first) + np.concatenate([[0.0], np.cumsum(np.log(self.gamma[1:]))]))

    @property
    def power(self) -> PerStep:
        """P = |s|² / E y², the variance of the state along the label, `[T]`."""
        return np.exp(self.log_power)

    @property
    def theta(self) -> PerStep:
        """Θ = |∇E[y ŷ]|² of a network that answers after t steps, `[T]`."""
        steps = np.arange(self.length)
        parts = 1 + self.readout * (steps / self.recurrent + 1 / (self.hidden * self.input))
        return np.asarray(self.y2 * self.power * parts)

    @cached_property
    def fixed_point(self) -> float:
        """The variance q of a pre-activation after many steps."""
        from scipy.optimize import brentq

        low = self.input * self.x2
        return float(brentq(lambda q: self._next(q) - q, low / 2, low + self.recurrent, xtol=1e-300, rtol=1e-14))

    @property
    def chi_1(self) -> float:
        """χ₁ at the fixed point: below 1, sequences with the same recent inputs come to the same state."""
        return float(self.recurrent * _mean(_slopes(self.fixed_point) ** 2))

    @property
    def xi(self) -> float:
        """ξ = -1 / ln χ₁, the depth scale of Schoenholz et al. 2017, in steps; infinite from χ₁ = 1 on.

        They can train networks of up to about six times this depth.
        """
        return float(-1 / np.log(self.chi_1)) if self.chi_1 < 1 else float("inf")

    def most_signal(self) -> float:
        """Return the σ_R² between 0.01 and 100 at which P[T] is largest, if all else is as it is here.

        Raises
        ------
        InvalidArgument
            If T is 1: R plays no part in the first step.
        """
        from scipy.optimize import minimize_scalar

        if self.length == 1:
            raise InvalidArgument("length", "at least 2, since R plays no part in the first step", self.length)

        def loss(log: float) -> float:
            return -float(replace(self, recurrent=float(np.exp(log))).log_power[-1])

        found = minimize_scalar(loss, bounds=(np.log(LEAST), np.log(MOST)), method="bounded")
        return float(np.exp(found.x))

    def _next(self, q: float) -> float:
        return float(self.recurrent * (1 - _mean(_slopes(q))) + self.input * self.x2)


def _slopes(q: float) -> Float[np.ndarray, "nodes"]:
    """tanh'(√q z) at the nodes z."""
    return np.asarray(1 - np.tanh(np.sqrt(q) * _Z) ** 2)


def _mean(values: Float[np.ndarray, "nodes"]) -> float:
    """The mean over a standard normal z of an even function, given at the nodes."""
    return float(_WEIGHTS @ values)
