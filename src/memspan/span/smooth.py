"""Smooth curves of the probability of solving: how well they explain counts, given where the span is.

A smooth curve falls with the logarithm of the length T. With d = log T - tau, where exp(tau) is the span,

    p(T) = (1 - lapse) S(slope d + c),

where S falls from 1 to 0, and c is such that p(exp(tau)) = share exactly. S is logistic, and then the slope
beyond the span may be another than before it; or it is that of Weibull's law, which ends sooner than it begins; or
that of Frechet's, which ends later. So a plateau on one side of the span does not move the crossing.

p depends on d alone, so log p and log(1 - p) are tabulated once for a share. A length reads the side beyond the
span at the points tau below log T, and the side before it at the others. So its cost does not depend on how many
slopes are paired.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple, Self

import numpy as np

from memspan.span.lattice import STEP, Lattice

OCTAVE = 2  # slopes in a factor of 2
SLOPES = 0.5 * 2 ** (np.arange(9 * OCTAVE) / OCTAVE)  # from a fall over decades to a cliff between any two lengths
SIDES = 0.25 * 2 ** (np.arange(len(SLOPES) + 2 * OCTAVE) / OCTAVE)  # of one side of the logistic curve
LAPSES = np.array([0.0, 0.04, 0.11, 0.20, 0.32, 0.47, 0.65, 0.85])  # in units of 1 - share
LAPSE_PRIOR = 10.0  # Beta(1, 10): a lapse rate of 9 % in the mean
FLOOR = -100.0  # of log p and log(1 - p), so that 0 times either is 0


def _logistic(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return -np.logaddexp(0, z), -np.logaddexp(0, -z)


def _weibull(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    with np.errstate(divide="ignore", over="ignore"):
        hazard = np.exp(z)
        return -hazard, np.log(-np.expm1(-hazard))


def _frechet(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    log_one_minus, log = _weibull(-z)
    return log, log_one_minus


class Shape(NamedTuple):
    """A fall from 1 to 0: log S and log(1 - S) of z, the z where S is q, and the slopes on one side."""

    logs: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
    inverse: Callable[[Any], Any]
    slopes: np.ndarray


SHAPES = {
    "logistic": Shape(_logistic, lambda q: np.log1p(-q) - np.log(q), SIDES),
    "Weibull": Shape(_weibull, lambda q: np.log(-np.log(q)), SLOPES),
    "Frechet": Shape(_frechet, lambda q: -np.log(-np.log1p(-q)), SLOPES),
}
ROW = np.concatenate([shape.slopes for shape in SHAPES.values()])  # of a table: every slope of one side
_WEIBULL, _FRECHET = len(SIDES), len(SIDES) + len(SLOPES)
PAIRS = (
    ("logistic", 2 * OCTAVE, 0),
    ("logistic", OCTAVE, OCTAVE),
    ("logistic", 0, 2 * OCTAVE),
    ("Weibull", _WEIBULL, _WEIBULL),
    ("Frechet", _FRECHET, _FRECHET),
)
"""A shape, and where its slopes before and beyond the span begin in a row: 2 b and b/2, b and b, b/2 and 2 b."""


def log_probabilities(
    shape: str, slope: np.ndarray, lapse: Any, share: float, d: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return log p and log(1 - p) at d; all arguments are broadcast."""
    fall = SHAPES[shape]
    solves, fails = fall.logs(slope * d + fall.inverse(share / (1 - lapse)))
    with np.errstate(divide="ignore"):
        return np.log1p(-lapse) + solves, np.logaddexp(np.log(lapse), np.log1p(-lapse) + fails)


@dataclass(frozen=True)
class Curve:
    """One smooth curve p(T), or several of one shape, with an array for each number.

    Attributes
    ----------
    share, tau : float
        p(exp(tau)) = share.
    shape : str
        A key of `SHAPES`.
    before, beyond : float
        The slopes for T < exp(tau) and T > exp(tau).
    lapse : float
        1 - p of a length far below the span.
    """

    share: float
    tau: Any
    shape: str
    before: Any
    beyond: Any
    lapse: Any

    def __call__(self, lengths: np.ndarray) -> np.ndarray:
        """Return p at lengths above 0."""
        d = np.log(lengths) - self.tau
        slope = np.where(d > 0, self.beyond, self.before)
        return np.exp(log_probabilities(self.shape, slope, self.lapse, self.share, d)[0])


@lru_cache(maxsize=8)
def _table(share: float, reach: int) -> np.ndarray:
    """Return `[2 (2 reach + 1) - 3, sides x lapses, 4]`, a view.

    Row 2 i has log p and log(1 - p) at d = (reach - i) STEP, and then both at the next smaller d.
    """
    d = STEP * np.arange(reach, -reach - 1, -1.0)[:, None, None]
    lapse = LAPSES * (1 - share)
    sides = [
        np.stack(log_probabilities(name, shape.slopes[:, None], lapse, share, d), axis=1)
        for name, shape in SHAPES.items()
    ]
    rows = np.maximum(np.concatenate(sides, axis=2), FLOOR).astype(np.float32).reshape(2 * len(d), -1)
    return np.lib.stride_tricks.sliding_window_view(rows, 4, axis=0)


@lru_cache(maxsize=8)
def lapse_prior(share: float) -> np.ndarray:
    """Return the prior probability of each lapse rate: that of the cell around it."""
    rates = LAPSES * (1 - share)
    edges = np.concatenate([[0.0], (rates[1:] + rates[:-1]) / 2, [1 - share]])
    weights = np.diff(1 - (1 - edges) ** LAPSE_PRIOR)
    return (weights / weights.sum()).astype(np.float32)


@dataclass(frozen=True, eq=False)
class SmoothCurves:
    """The log likelihood of every smooth curve, given counts.

    Attributes
    ----------
    values : ndarray [pairs of slopes, tau, slopes, lapses], float32
    """

    share: float
    lattice: Lattice
    values: np.ndarray

    @classmethod
    def of(
        cls, share: float, lattice: Lattice, lengths: np.ndarray, solved: np.ndarray, trials: np.ndarray
    ) -> Self:
        """Sum up the log likelihoods of rising lengths, each linear between points of the table."""
        places = np.log(lengths) / STEP
        below = np.floor(places).astype(int)
        part = (places - below)[:, None]
        counts = np.stack([solved, trials - solved], axis=1)
        weights = np.hstack([part * counts, (1 - part) * counts]).astype(np.float32)
        reach = int(max(below[-1] - lattice.first, lattice.last - below[0])) + 2
        reach = 1 << reach.bit_length()  # few different tables
        table = _table(share, reach)
        starts = 2 * (reach + lattice.first - below - 1)
        stop, stride = 2 * (lattice.last - lattice.first) + 1, 2 * lattice.every
        splits = np.searchsorted(lattice.tau, np.log(lengths))  # the points from here on are beyond the length
        before, beyond = np.zeros((2, lattice.count, table.shape[1]), np.float32)
        for start, weight, split in zip(starts.tolist(), weights, splits.tolist(), strict=True):
            term = table[start : start + stop : stride] @ weight
            beyond[:split] += term[:split]
            before[split:] += term[split:]
        before, beyond = (side.reshape(lattice.count, -1, len(LAPSES)) for side in (before, beyond))
        n = len(SLOPES)
        return cls(share, lattice, np.stack([before[:, i : i + n] + beyond[:, j : j + n] for _, i, j in PAIRS]))

    @property
    def top(self) -> float:
        """The largest log likelihood."""
        return float(self.values.max())

    def mean_likelihood(self, top: float) -> np.ndarray:
        """Return the likelihood `[tau]` over exp(top), in the mean of the prior over the curves."""
        likelihood = np.exp(self.values - np.float32(top)) @ lapse_prior(self.share)
        return likelihood.sum(axis=2).mean(axis=0, dtype=float) / len(SLOPES)

    @property
    def best(self) -> Curve:
        """The most likely curve."""
        return self.curve(np.unravel_index(np.argmax(self.values), self.values.shape))

    def curve(self, place: tuple[Any, ...]) -> Curve:
        """Return the curve at an index of the values; with arrays as indices, curves of one pair of slopes."""
        pair, point, slope, lapse = place
        shape, before, beyond = PAIRS[int(pair)]
        tau, rate = self.lattice.tau[point], LAPSES[lapse] * (1 - self.share)
        return Curve(self.share, tau, shape, ROW[before + slope], ROW[beyond + slope], rate)
