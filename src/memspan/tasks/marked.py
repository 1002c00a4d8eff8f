"""Sequences of pairs (value, marker), two of them marked: the common part of adding and multiplication."""

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
"""In the 1997 tasks, the first mark is on one of the first ten pairs."""


class Marked(WithinTolerance):
    """A task about the two values whose marker is 1."""

    def relevant(self, x: Sequences) -> Steps:
        """Mark the two marked pairs."""
        return np.asarray(x[..., 1] == 1)


class MarkedOf1997(RandomEnd, Marked):
    """The sequences of Hochreiter & Schmidhuber 1997, experiments 4 and 5.

    One of the first ten pairs is marked with 1, then one of the first T/2 - 1 pairs that are still unmarked. The
    first and the last pair have the marker -1 unless they are marked; all other markers are 0. If the first pair
    is marked, its value is replaced by the neutral one: 0 for adding, 1 for multiplication.

    The paper describes this replacement for "X1", the value of the first mark. The second mark can also be on the
    first pair, and here the replacement applies to it as well.
    """

    least_length = 2 * FIRST
    nothing: float
    """The neutral value: 0 for adding, 1 for multiplication."""
    low: float
    """Values are uniform from `low` to 1."""

    @abstractmethod
    def label(self, first: PerSequence, second: PerSequence) -> PerSequence:
        """Return the label of each sequence, given its two marked values."""

    def shape(self, length: int) -> Shape:
        """The inputs are value and marker; there is one output."""
        return self.shape_of(length, 2, 1)

    def draws(self, length: int) -> int:
        """A value for each step, two places and an end."""
        return length + self.steps_read(length) + 2

    @staticmethod
    def chance_of_first(length: int) -> float:
        """Return the probability that the first pair is marked."""
        return 1 / FIRST + (1 - 1 / FIRST) / (length // 2 - 1)

    def make(self, u: Draws, length: int) -> Batch:
        """Make x and y from uniform random numbers."""
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
