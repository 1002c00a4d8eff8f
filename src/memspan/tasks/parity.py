"""Parity: report whether the number of ones is odd. Every step changes the answer."""

from dataclasses import dataclass

import numpy as np

from memspan.losses import SigmoidCrossEntropy
from memspan.runtime.renamed import checked_keywords
from memspan.tasks.base import (
    Answer,
    Batch,
    Correctness,
    Draws,
    Labels,
    Sequences,
    Shape,
    Steps,
    Task,
    all_right,
    choices,
)


class YesOrNo(Task):
    """A task whose label is 1 or 0, each with probability one half.

    Guessing has the risk log 2 and the accuracy 1/2.
    """

    @property
    def rule(self) -> str:
        """The condition under which an answer is correct."""
        return "a probability above one half for the right answer"

    def make_loss(self) -> SigmoidCrossEntropy:
        """Return the sigmoid cross-entropy."""
        return SigmoidCrossEntropy()

    def correct(self, y_hat: Labels, y: Labels) -> Correctness:
        """Compare signs: ŷ > 0, a probability above one half, means 1. An answer of NaN is wrong."""
        return all_right(((y_hat > 0) == (y > 0.5)) & ~np.isnan(y_hat), y)

    def trivial_risk(self, length: int) -> float:
        """The cross-entropy of guessing."""
        return float(np.log(2))

    def chance_accuracy(self, length: int) -> float:
        """The probability of guessing the label."""
        return 0.5


@checked_keywords()
@dataclass(frozen=True)
class Parity(YesOrNo):
    """The parity of T random bits.

    x[t] = ±1, and y = 1 if the number of ones is odd, otherwise 0. Any T - 1 of the steps carry no information
    about the answer. Guessing has the risk log 2 and the accuracy 1/2.
    """

    family = "parity"
    sentence = "After T random bits, report whether the number of ones is odd."
    source = "Minsky & Papert 1969, as a sequence"

    @property
    def class_names(self) -> tuple[str, ...]:
        """The meanings of 0 and 1."""
        return ("even", "odd")

    def shape(self, length: int) -> Shape:
        """One input and one output."""
        return Shape(length, 1, 1)

    def draws(self, length: int) -> int:
        """One random number per step."""
        return length

    def make(self, u: Draws, length: int) -> Batch:
        """Make x and y from uniform random numbers."""
        bits = choices(u, 2)
        return Batch((2.0 * bits - 1)[..., np.newaxis], (bits.sum(axis=0) % 2).astype(float)[:, np.newaxis])

    def relevant(self, x: Sequences) -> Steps:
        """Mark every step."""
        return np.ones(x.shape[:2], bool)

    def trivial_answer(self, length: int) -> Answer:
        """A probability of one half."""
        return np.zeros(1)
