"""Sequences of pairs (value, marker) of which two are marked: what adding and multiplying share."""

from abc import abstractmethod

import numpy as np

from memspan.tasks.base import (
    Batch,
    Draws,
    PerSequence,
    Sequences,
    Shape,
    Steps,
    WithinTolerance,
    choices,
)
from memspan.tasks.random_end import RandomEnd

FIRST = 10
"""The first mark of 1997 is set on one of so many pairs."""


class Marked(WithinTolerance):
    """A question about the two values that are marked with 1."""

    def relevant(self, x: Sequences) -> Steps:
        """The marked pairs."""
        return np.asarray(x[..., 1] == 1)


class MarkedOf1997(RandomEnd, Marked):
    """The sequences of Hochreiter & Schmidhuber 1997, experiments 4 and 5.

    One of the first ten pairs is marked with 1, and then one of the first T/2 - 1 that are not marked yet. All
    other markers are 0, but for those of the first and of the last pair, which are -1. If the first pair is
    marked its value is replaced by one that adds, or multiplies, nothing.

    The paper says so of "X1", the value of the first mark. The second one can fall on the first pair too, and here
    the same holds for it.
    """

    least_length = 2 * FIRST
    nothing: float
    """The value that adds, or multiplies, nothing."""
    low: float
    """Values are uniform from here to 1."""

    @abstractmethod
    def label(self, first: PerSequence, second: PerSequence) -> PerSequence:
        """The label of each sequence, from its two marked values."""

    def shape(self, length: int) -> Shape:
        """Value and marker in, a number out."""
        return self.shape_of(length, 2, 1)

    def draws(self, length: int) -> int:
        """A value a step, two places and an end."""
        return length + self.steps_read(length) + 2

    @staticmethod
    def chance_of_first(length: int) -> float:
        """The probability that the first pair is marked."""
        return 1 / FIRST + (1 - 1 / FIRST) / (length // 2 - 1)

    def make(self, u: Draws, length: int) -> Batch:
        """x and y, of uniform numbers."""
        *places, end = u[-3:]
        one, two = choices(places[0], FIRST), choices(places[1], length // 2 - 1)
        two = two + (two >= one)
        every = np.arange(u.shape[1])
        values = self.low + (1 - self.low) * u[:-3]
        values[0, (one == 0) | (two == 0)] = self.nothing
        label = self.label(values[one, every], values[two, every])
        inside, y = self.labels(end, label[:, np.newaxis], length)
        markers = np.zeros(inside.shape)
        markers[0] = markers[inside.sum(axis=0) - 1, every] = -1
        markers[one, every] = markers[two, every] = 1
        return Batch(np.stack([values, markers], axis=-1) * inside[..., np.newaxis], y)
