"""The adding problem: of a sequence of pairs two are marked; answer with the sum of their values.

Published work means at least four different things by it, whose losses cannot be compared; here are three of them.
"""

from dataclasses import dataclass

import numpy as np

from memspan.errors import real_number
from memspan.losses import MSELoss
from memspan.runtime.renamed import checked_keywords
from memspan.tasks.base import Answer, Batch, Draws, PerSequence, Shape, choices, parameter
from memspan.tasks.marked import Marked, MarkedOf1997

SOURCES = {
    "any": "Le, Jaitly & Hinton 2015 (arXiv:1504.00941); Bai, Kolter & Koltun 2018 (arXiv:1803.01271)",
    "halves": "Arjovsky, Shah & Bengio 2016 (arXiv:1511.06464), as in the authors' code",
}


def sentence_of(where: str = "", scaled: str = "") -> str:
    """What is asked, with where the marks lie and how the sum is scaled."""
    return f"Of T pairs (value, marker) two are marked{where}: answer with the sum of their values{scaled}."


@checked_keywords()
@dataclass(frozen=True)
class Adding(Marked):
    """Add two marked numbers.

    - `any`: values U(0, 1), two different places, y = X1 + X2. The variance of the sum is 1/6. (The value of
      0.1767 that is quoted for it is a mistake.)
    - `halves`: the same, but with one mark in either half.

    The sum of two U(0, 1) lies within τ of 1 with probability 2τ - τ². The papers name no tolerance: here it is
    4 % of the range of the labels, as in 1997.

    Parameters
    ----------
    tolerance : float
        An answer is correct within this distance of the label; above 0 and below 1.
    """

    variant: str = "any"
    tolerance: float = parameter(0.08, real_number, optional=True, above=0, below=1)

    family = "adding"
    variants = ("any", "halves")
    elsewhere = ("hs97",)

    @property
    def sentence(self) -> str:
        """What is asked."""
        return sentence_of(", one in each half" if self.variant == "halves" else "")

    @property
    def source(self) -> str:
        """The paper."""
        return SOURCES[self.variant]

    def shape(self, length: int) -> Shape:
        """Value and marker in, a number out."""
        return Shape(length, 2, 1)

    def draws(self, length: int) -> int:
        """A value a step, and two places."""
        return length + 2

    def make(self, u: Draws, length: int) -> Batch:
        """x and y, of uniform numbers."""
        values, half = u[:length], length // 2
        if self.variant == "halves":
            one, two = choices(u[-2], half), half + choices(u[-1], length - half)
        else:
            one, two = choices(u[-2], length), choices(u[-1], length - 1)
            two = two + (two >= one)
        every = np.arange(u.shape[1])
        markers = np.zeros(values.shape)
        markers[one, every] = markers[two, every] = 1
        y = values[one, every] + values[two, every]
        return Batch(np.stack([values, markers], axis=-1), y[:, np.newaxis])

    def make_loss(self) -> MSELoss:
        """The mean squared error."""
        return MSELoss()

    def trivial_answer(self, length: int) -> Answer:
        """The mean of the sum."""
        return np.ones(1)

    def trivial_risk(self, length: int) -> float:
        """The variance of the sum."""
        return 1 / 6

    def chance_accuracy(self, length: int) -> float:
        """The probability of the interval around the mean, where the sum is densest."""
        return self.tolerance * (2 - self.tolerance)


@checked_keywords()
@dataclass(frozen=True)
class Adding1997(MarkedOf1997):
    """Add two marked numbers, as in 1997.

    Values U(-1, 1), places and markers as in `MarkedOf1997`, y = 0.5 + (X1 + X2) / 4. X of the first pair counts
    as 0, so with q, the probability that it is marked, the risk of answering 0.5 is (2 - q) / 48: 0.0392 at
    T = 100, and not the 1/24 of two free numbers.

    Let s = 4τ: X1 + X2 lies within s of 0 with probability s - s²/4, and one X alone with probability s.

    Parameters
    ----------
    tolerance : float
        An answer is correct within this distance of the label; above 0 and below 0.25.
    """

    variant: str = "hs97"
    tolerance: float = parameter(0.04, real_number, optional=True, above=0, below=0.25)

    family = "adding"
    variants = ("hs97",)
    elsewhere = Adding.variants
    sentence = sentence_of(", both in the first half", ", scaled to [0, 1]")
    source = "Hochreiter & Schmidhuber 1997, experiment 4 (doi:10.1162/neco.1997.9.8.1735)"
    nothing, low = 0.0, -1.0

    def label(self, first: PerSequence, second: PerSequence) -> PerSequence:
        """The sum, scaled to [0, 1]."""
        return 0.5 + (first + second) / 4

    def trivial_answer(self, length: int) -> Answer:
        """The mean of the sum."""
        return self.at_every_end(np.full(1, 0.5), length)

    def trivial_risk(self, length: int) -> float:
        """The variance of the sum."""
        return (2 - self.chance_of_first(length)) / 48

    def chance_accuracy(self, length: int) -> float:
        """The probability of the interval around the mean, where the sum is densest."""
        q, s = self.chance_of_first(length), 4 * self.tolerance
        return q * s + (1 - q) * (s - s**2 / 4)
