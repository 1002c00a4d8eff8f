"""Delayed XOR: at every step, compare the bit T steps ago with the bit T/2 steps ago."""

from dataclasses import dataclass

import numpy as np

from memspan.runtime.renamed import checked_keywords
from memspan.tasks.base import Answer, Batch, Draws, Sequences, Shape, Steps, choices
from memspan.tasks.parity import YesOrNo


@checked_keywords()
@dataclass(frozen=True)
class DelayedXor(YesOrNo):
    """The exclusive or of two past bits, in a stream of bits.

    A sequence has 2T steps with x[t] = ±1. In each of the last T steps, y[t] = 1 if x[t-T] and x[t-T/2] differ,
    otherwise 0. The network must therefore remember T bits at a time and combine two of them. Guessing has the
    risk log 2 and the accuracy 1/2.

    T/2 is rounded down. The source compares the bits d and 2d steps ago, so its d is T/2.
    """

    family = "delayed-xor"
    sentence = "In a stream of bits, report whether the bits T and T/2 steps ago differ."
    source = "Engelken 2023 (arXiv:2312.17306), temporal XOR, as in the author's code"

    @property
    def class_names(self) -> tuple[str, ...]:
        """The meanings of 0 and 1."""
        return ("alike", "different")

    def shape(self, length: int) -> Shape:
        """One input, and one output in the second half of the steps."""
        return Shape(2 * length, 1, 1, length)

    def draws(self, length: int) -> int:
        """One random number per step."""
        return 2 * length

    def make(self, u: Draws, length: int) -> Batch:
        """Make x and y from uniform random numbers."""
        bits, half = choices(u, 2), length // 2
        y = bits[:length] ^ bits[length - half : 2 * length - half]
        return Batch((2.0 * bits - 1)[..., np.newaxis], y.astype(float)[..., np.newaxis])

    def relevant(self, x: Sequences) -> Steps:
        """Mark all steps except the last T/2."""
        steps, batch = x.shape[:2]
        return np.tile(np.arange(steps)[:, np.newaxis] < steps - steps // 4, batch)

    def trivial_answer(self, length: int) -> Answer:
        """A probability of one half."""
        return np.zeros((length, 1))
