"""Delayed XOR: at every step, compare the bit of T steps ago with the one of half as many."""

from dataclasses import dataclass

import numpy as np

from memspan.runtime.renamed import checked_keywords
from memspan.tasks.base import Answer, Batch, Draws, Sequences, Shape, Steps, choices
from memspan.tasks.parity import YesOrNo


@checked_keywords()
@dataclass(frozen=True)
class DelayedXor(YesOrNo):
    """The exclusive or of two bits of the past, in a stream of bits.

    x[t] = ±1, for 2T steps; in each of the last T, y[t] = 1 if x[t-T] and x[t-T/2] differ, else 0. So a network
    must hold T bits at a time, and combine two of them. A guess has the risk log 2 and the accuracy 1/2.

    T/2 is rounded down. In the source the delay is d, and y compares the bits of d and of 2d steps ago: T is 2d.
    """

    family = "delayed-xor"
    sentence = "In a stream of bits, answer whether those of T and of T/2 steps ago differ."
    source = "Engelken 2023 (arXiv:2312.17306), temporal XOR, as in the author's code"

    @property
    def class_names(self) -> tuple[str, ...]:
        """No and yes."""
        return ("alike", "different")

    def shape(self, length: int) -> Shape:
        """A bit in, a bit out, in the second half of the steps."""
        return Shape(2 * length, 1, 1, length)

    def draws(self, length: int) -> int:
        """One a step."""
        return 2 * length

    def make(self, u: Draws, length: int) -> Batch:
        """x and y, of uniform numbers."""
        bits, half = choices(u, 2), length // 2
        y = bits[:length] ^ bits[length - half : 2 * length - half]
        return Batch((2.0 * bits - 1)[..., np.newaxis], y.astype(float)[..., np.newaxis])

    def relevant(self, x: Sequences) -> Steps:
        """All steps but the last T/2."""
        steps, batch = x.shape[:2]
        return np.tile(np.arange(steps)[:, np.newaxis] < steps - steps // 4, batch)

    def trivial_answer(self, length: int) -> Answer:
        """One half."""
        return np.zeros((length, 1))
