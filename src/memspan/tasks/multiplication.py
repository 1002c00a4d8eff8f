"""The multiplication problem: two pairs of a sequence are marked; answer with the product of their values."""

from dataclasses import dataclass

import numpy as np

from memspan.errors import real_number
from memspan.runtime.renamed import checked_keywords
from memspan.tasks.base import Answer, PerSequence, parameter
from memspan.tasks.marked import MarkedOf1997


@checked_keywords()
@dataclass(frozen=True)
class Multiplication(MarkedOf1997):
    """Multiply two marked numbers.

    The values are U(0, 1), places and markers are as in `MarkedOf1997`, and y = X1 X2. If the first pair is
    marked, which has probability q, its value is 1. Therefore E[y] = (1-q)/4 + q/2 and E[y²] = (1-q)/9 + q/3, and
    the risk of answering E[y] is the variance. The density of y decreases from 0 on (it is -log y for two
    independent U(0, 1)), so the most likely interval of width w = 2τ is [0, w], with probability (1-q) w (1 - log
    w) + q w.

    Parameters
    ----------
    tolerance : float
        An answer is correct if it lies within this distance of the label; above 0 and below 0.5.
    """

    variant: str = "hs97"
    tolerance: float = parameter(0.04, real_number, above=0, below=0.5)

    family = "multiplication"
    sentence = (
        "Two of T pairs (value, marker) are marked, both in the first half: "
        "answer with the product of their values."
    )
    source = "Hochreiter & Schmidhuber 1997, experiment 5 (doi:10.1162/neco.1997.9.8.1735)"
    variants = ("hs97",)
    nothing, low = 1.0, 0.0

    def label(self, first: PerSequence, second: PerSequence) -> PerSequence:
        """Return the product."""
        return first * second

    def trivial_answer(self, length: int) -> Answer:
        """The mean of the product."""
        q = self.chance_of_first(length)
        return self.at_every_end(np.full(1, (1 - q) / 4 + q / 2), length)

    def trivial_risk(self, length: int) -> float:
        """The variance of the product."""
        q = self.chance_of_first(length)
        return (1 - q) / 9 + q / 3 - ((1 - q) / 4 + q / 2) ** 2

    def chance_answer(self, length: int) -> Answer:
        """The middle of [0, 2τ]."""
        return self.at_every_end(np.full(1, self.tolerance), length)

    def chance_accuracy(self, length: int) -> float:
        """The probability of [0, 2τ]."""
        q, w = self.chance_of_first(length), 2 * self.tolerance
        return float((1 - q) * w * (1 - np.log(w)) + q * w)
