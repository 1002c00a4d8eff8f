"""A lattice of log spans."""

from dataclasses import dataclass
from typing import Self

import numpy as np

STEP = 0.01  # in log T: 1 % of a length
MARGIN = 1.4  # the lattice reaches beyond the tried lengths by a factor of exp(1.4) = 4


@dataclass(frozen=True)
class Lattice:
    """Points tau = STEP (first + i every), i = 0 ... count - 1, each in the middle of a cell."""

    first: int
    count: int
    every: int = 1

    @classmethod
    def around(cls, shortest: float, longest: float, every: int) -> Self:
        """Return the lattice that reaches beyond the tried lengths by the margin."""
        first, last = np.floor((np.log(shortest) - MARGIN) / STEP), np.ceil((np.log(longest) + MARGIN) / STEP)
        return cls(int(first), int(last - first) // every + 2, every)

    @property
    def last(self) -> int:
        """The place of the last point."""
        return self.first + self.every * (self.count - 1)

    @property
    def tau(self) -> np.ndarray:
        """The points."""
        return STEP * np.arange(self.first, self.last + 1, self.every)

    def refined(self) -> Self:
        """Return the lattice over the same range in single steps."""
        return type(self)(self.first, self.last - self.first + 1)

    def window(self, weights: np.ndarray, neglected: float, points: int) -> Self:
        """Return a lattice over the part that has nearly all of the weight, as fine as the weight is narrow.

        Parameters
        ----------
        weights : ndarray [count]
        neglected : float
            The share of the weight to leave out on each side.
        points : int
            There are at least so many points in the central 98 % of the weight, if the step allows it.
        """
        mass = np.cumsum(weights)
        begin, low, high, end = np.searchsorted(mass / mass[-1], [neglected, 0.01, 0.99, 1 - neglected]).tolist()
        begin, end = max(begin - 1, 0), min(end + 1, self.count - 1)
        every = self.every
        while every > 1 and (high - low + 1) * self.every < points * every:
            every //= 2
        return type(self)(self.first + self.every * begin, (end - begin) * self.every // every + 1, every)

    def means(self, knots: np.ndarray, density: np.ndarray) -> np.ndarray:
        """Return the mean, over the cell around each point, of a density that is constant between rising knots.

        Parameters
        ----------
        knots : ndarray [n]
        density : ndarray [n + 1]
            Below the first knot, between the first two, ..., above the last.
        """
        step = STEP * self.every
        edges = STEP * self.first + step * (np.arange(self.count + 1) - 0.5)
        knots = np.concatenate([edges[:1] - 1, knots, edges[-1:] + 1])
        mass = np.concatenate([[0.0], np.cumsum(np.diff(knots) * density)])
        return np.diff(np.interp(edges, knots, mass)) / step
