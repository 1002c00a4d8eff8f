"""Sequences of pairs (value, marker) of which two are marked: what adding and multiplying share."""

import numpy as np

from memspan.shapes import Array
from memspan.tasks.base import RandomEnd, choices

FIRST = 10
"""The first mark of 1997 is set on one of so many pairs."""


class MarkedOf1997(RandomEnd):
    """The sequences of Hochreiter & Schmidhuber 1997, experiments 4 and 5.

    One of the first ten pairs is marked with 1, and then one of the first T/2 - 1 that are not marked yet. All
    other markers are 0, but for those of the first and of the last pair, which are -1. If the first pair is
    marked its value is replaced by one that adds, or multiplies, nothing.

    The paper says so of "X1", the value of the first mark. The second one can fall on the first pair too, and here
    the same holds for it.
    """

    least_length = 2 * FIRST

    @classmethod
    def draws(cls, length: int) -> int:
        """A value a step, two places and an end."""
        return length + cls.steps_read(length) + 2

    @classmethod
    def chance_of_first(cls, length: int) -> float:
        """The probability that the first pair is marked."""
        return 1 / FIRST + (1 - 1 / FIRST) / (length // 2 - 1)

    @classmethod
    def pairs(cls, u: Array, length: int, nothing: float, low: float) -> tuple[Array, Array, Array]:
        """x `[T, B, 2]`, and the two marked values `[B]`; values in [low, 1)."""
        *places, end = u[-3:]
        one, two = choices(places[0], FIRST), choices(places[1], length // 2 - 1)
        two = two + (two >= one)
        every = np.arange(u.shape[1])
        values = low + (1 - low) * u[:-3]
        values[0, (one == 0) | (two == 0)] = nothing
        inside, _ = cls.labels(end, np.zeros((u.shape[1], 1)), length)
        markers = np.zeros(inside.shape)
        markers[0] = markers[inside.sum(axis=0) - 1, every] = -1
        markers[one, every] = markers[two, every] = 1
        x = np.stack([values, markers], axis=-1) * inside[..., np.newaxis]
        return x, values[one, every], values[two, every]


def mark(values: Array, one: Array, two: Array) -> Array:
    """x `[T, B, 2]`, the pairs at the places `one` and `two` marked with 1 and the others with 0."""
    markers, every = np.zeros(values.shape), np.arange(values.shape[1])
    markers[one, every] = markers[two, every] = 1
    return np.stack([values, markers], axis=-1)
