"""Parity: say whether the number of ones was odd, which every single step decides."""

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
    """A question whose answer is 1 or 0 and, without looking, either with probability one half.

    A guess has the risk log 2 and the accuracy 1/2.
    """

    @property
    def rule(self) -> str:
        """When an answer is correct."""
        return "probability above one half for the right side"

    def make_loss(self) -> SigmoidCrossEntropy:
        """The cross-entropy."""
        return SigmoidCrossEntropy()

    def correct(self, y_hat: Labels, y: Labels) -> Correctness:
        """On the label's side: a probability above one half for 1, else not; NaN is no answer."""
        return all_right(((y_hat > 0) == (y > 0.5)) & ~np.isnan(y_hat), y)

    def trivial_risk(self, length: int) -> float:
        """A guess."""
        return float(np.log(2))

    def chance_accuracy(self, length: int) -> float:
        """A guess."""
        return 0.5


@checked_keywords()
@dataclass(frozen=True)
class Parity(YesOrNo):
    """The parity of T random bits.

    x[t] = ±1; y = 1 if the number of ones is odd, else 0. Any T - 1 of the steps tell nothing about the answer. A
    guess has the risk log 2 and the accuracy 1/2.
    """

    family = "parity"
    sentence = "After T random bits, answer whether the number of ones was odd."
    source = "Minsky & Papert 1969, as a sequence"

    @property
    def class_names(self) -> tuple[str, ...]:
        """No and yes."""
        return ("even", "odd")

    def shape(self, length: int) -> Shape:
        """A bit in, a bit out."""
        return Shape(length, 1, 1)

    def draws(self, length: int) -> int:
        """One a step."""
        return length

    def make(self, u: Draws, length: int) -> Batch:
        """x and y, of uniform numbers."""
        bits = choices(u, 2)
        return Batch((2.0 * bits - 1)[..., np.newaxis], (bits.sum(axis=0) % 2).astype(float)[:, np.newaxis])

    def relevant(self, x: Sequences) -> Steps:
        """Every step."""
        return np.ones(x.shape[:2], bool)

    def trivial_answer(self, length: int) -> Answer:
        """One half."""
        return np.zeros(1)
