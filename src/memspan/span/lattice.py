"""Curves of the probability of solving, and their log likelihoods on a lattice of spans.

A curve falls with the logarithm of the length T. With d = log T - tau, where exp(tau) is the span,

    p(T) = (1 - lapse) / (1 + exp(slope d + c)),    c = log((1 - lapse - share) / share),

so that p(exp(tau)) = share exactly. The slope before the span may differ from the slope beyond it: a step or a
plateau on one side then does not move the crossing. p depends on d alone. So log p and log(1 - p) are tabulated
once for a share, over a lattice of d, and every length reads its part of the table.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Self

import numpy as np

STEP = 0.01  # of the lattice in log T: 1 % of a length
COARSE = 8  # steps of the first pass, which finds where the span may be
MARGIN = 1.4  # the lattice reaches beyond the tried lengths by a factor of exp(1.4) = 4
SLOPES = np.geomspace(0.5, 200, 20)  # from a fall over several decades to a cliff between any two lengths
RATIOS = (0.25, 1.0, 4.0)  # of the slope beyond the span to the slope before it
LAPSES = np.array([0.0, 0.01, 0.03, 0.06, 0.10, 0.16, 0.25, 0.37, 0.52, 0.72])  # in units of 1 - share
LAPSE_PRIOR = 10.0  # Beta(1, 10): a lapse rate of 9 % in the mean
FLOOR = -100.0  # of log p and log(1 - p), so that 0 times either is 0
UNLIKELY = 15.0  # below the largest log likelihood by this much, nothing matters


@dataclass(frozen=True)
class Curve:
    """One curve p(T).

    Attributes
    ----------
    share, tau : float
        p(exp(tau)) = share.
    before, beyond : float
        The slopes for T < exp(tau) and T > exp(tau).
    lapse : float
        1 - p of a length far below the span.
    """

    share: float
    tau: float
    before: float
    beyond: float
    lapse: float

    def __call__(self, lengths: np.ndarray) -> np.ndarray:
        """Return p at lengths above 0."""
        d = np.log(lengths) - self.tau
        z = np.where(d > 0, self.beyond, self.before) * d + np.log((1 - self.lapse - self.share) / self.share)
        return (1 - self.lapse) * np.exp(-np.logaddexp(0, z))


@dataclass(frozen=True, eq=False)
class Family:
    """All slopes before the span x ratios of the slopes x lapse rates: arrays with one value for each curve."""

    before: np.ndarray
    beyond: np.ndarray
    lapse: np.ndarray
    prior: np.ndarray

    @classmethod
    def of(cls, share: float) -> Self:
        """Return the family for a share."""
        rates = LAPSES * (1 - share)
        edges = np.concatenate([[0.0], (rates[1:] + rates[:-1]) / 2, [1 - share]])
        weights = np.diff(1 - (1 - edges) ** LAPSE_PRIOR)  # the prior's mass between the edges
        slope, ratio, rate = (a.ravel() for a in np.meshgrid(SLOPES, np.sqrt(RATIOS), rates, indexing="ij"))
        prior = np.tile(weights / weights.sum(), len(SLOPES) * len(RATIOS)) / (len(SLOPES) * len(RATIOS))
        return cls(slope / ratio, slope * ratio, rate, prior)


@dataclass(frozen=True, eq=False)
class Table:
    """log p and log(1 - p) of every curve at d = reach, ..., -reach, in units of the lattice's step."""

    family: Family
    reach: int
    rows: np.ndarray
    """`[2 (2 reach + 1), curves]`: row 2 i is log p, row 2 i + 1 is log(1 - p), at d = (reach - i) STEP."""

    @classmethod
    @lru_cache(maxsize=8)
    def of(cls, share: float, reach: int) -> "Table":
        """Return the table for a share."""
        family = Family.of(share)
        d = STEP * np.arange(reach, -reach - 1, -1.0)[:, None]
        z = np.where(d > 0, family.beyond, family.before) * d + np.log((1 - family.lapse - share) / share)
        above = np.logaddexp(0, z)
        with np.errstate(divide="ignore"):
            logs = np.log1p(-family.lapse) - above, np.logaddexp(np.log(family.lapse), z) - above
        rows = np.maximum(np.stack(logs, axis=1), FLOOR).astype(np.float32)
        return cls(family, reach, rows.reshape(-1, rows.shape[-1]))

    def windows(self, start: int, count: int, every: int) -> np.ndarray:
        """Return `[count, curves, 4]`: log p and log(1 - p) at neighbours `start` and `start + 1`, and so on."""
        windows = np.lib.stride_tricks.sliding_window_view(self.rows, 4, axis=0)
        return windows[2 * start : 2 * (start + every * (count - 1)) + 1 : 2 * every]


@dataclass(frozen=True)
class Lattice:
    """Points tau = STEP (first + i every), i = 0 ... count - 1."""

    share: float
    first: int
    count: int
    every: int = 1

    @classmethod
    def around(cls, share: float, shortest: float, longest: float) -> Self:
        """Return a coarse lattice that reaches beyond the tried lengths."""
        first = int(np.floor((np.log(shortest) - MARGIN) / STEP))
        last = int(np.ceil((np.log(longest) + MARGIN) / STEP))
        return cls(share, first, (last - first) // COARSE + 2, COARSE)

    @property
    def tau(self) -> np.ndarray:
        """The points."""
        return STEP * (self.first + self.every * np.arange(self.count))

    def log_likelihood(self, lengths: np.ndarray, solved: np.ndarray, trials: np.ndarray) -> np.ndarray:
        """Return the log likelihood `[tau, curves]` of counts, each length's linear between lattice points."""
        places = np.log(lengths) / STEP
        below = np.floor(places).astype(int)
        last = self.first + self.every * (self.count - 1)
        reach = max(abs(self.first - below[-1]), abs(last - below[0])) + 2
        table = Table.of(self.share, 1 << int(reach - 1).bit_length())  # few different ones
        parts = places - below
        counts = np.stack([solved, trials - solved], axis=1)
        weights = np.concatenate([parts[:, None] * counts, (1 - parts)[:, None] * counts], axis=1).astype(
            np.float32
        )
        total = np.zeros((self.count, len(table.family.lapse)), np.float32)
        term = np.empty_like(total)
        for start, weight in zip(table.reach + self.first - below - 1, weights, strict=True):
            total += np.matmul(table.windows(int(start), self.count, self.every), weight, out=term)
        return total

    def window(self, profile: np.ndarray, heat: float) -> Self:
        """Return the fine lattice over the points of this coarse one where the span may be."""
        inside = np.flatnonzero(profile >= profile.max() - UNLIKELY * heat)
        first, last = max(inside[0] - 1, 0), min(inside[-1] + 1, self.count - 1)
        return type(self)(self.share, self.first + self.every * int(first), self.every * int(last - first) + 1)

    def curve(self, point: int, member: int) -> Curve:
        """Return a curve of the family with its span at a point."""
        family = Family.of(self.share)
        slopes = float(family.before[member]), float(family.beyond[member])
        return Curve(self.share, float(self.tau[point]), *slopes, float(family.lapse[member]))
