"""The adding problem: two pairs of a sequence are marked; answer with the sum of their values.

At least four published tasks have this name, and their losses cannot be compared. This file has three of them.
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
    """The question, with the places of the marks and the scale of the sum."""
    return f"Two of T pairs (value, marker) are marked{where}: answer with the sum of their values{scaled}."


@checked_keywords()
@dataclass(frozen=True)
class Adding(Marked):
    """Add two marked numbers.

    - `any`: the values are U(0, 1), the marks are at two different places, and y = X1 + X2. The variance of the
      sum is 1/6. (The value 0.1767 that is often quoted is a mistake.)
    - `halves`: the same, with one mark in each half.

    The sum of two U(0, 1) lies within τ of 1 with probability 2τ - τ². The papers state no tolerance. Here it is
    4 % of the range of the labels, as in 1997.

    Parameters
    ----------
    tolerance : float
        An answer is correct if it lies within this distance of the label; above 0 and below 1.
    """

    variant: str = "any"
    tolerance: float = parameter(0.08, real_number, optional=True, above=0, below=1)

    family = "adding"
    variants = ("any", "halves")
    elsewhere = ("hs97",)

    @property
    def sentence(self) -> str:
        """The question, in one sentence."""
        return sentence_of(", one in each half" if self.variant == "halves" else "")

    @property
    def source(self) -> str:
        """The paper of the variant."""
        return SOURCES[self.variant]

    def shape(self, length: int) -> Shape:
        """The inputs are value and marker; there is one output."""
        return Shape(length, 2, 1)

    def draws(self, length: int) -> int:
        """A value for each step, and two places."""
        return length + 2

    def make(self, u: Draws, length: int) -> Batch:
        """Make x and y from uniform random numbers."""
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
        """Return the mean squared error."""
        return MSELoss()

    def trivial_answer(self, length: int) -> Answer:
        """The mean of the label."""
        return np.ones(1)

    def trivial_risk(self, length: int) -> float:
        """The variance of the label."""
        return 1 / 6

    def chance_accuracy(self, length: int) -> float:
        """The probability of the interval around the mean, where the sum is most likely."""
        return self.tolerance * (2 - self.tolerance)


@checked_keywords()
@dataclass(frozen=True)
class Adding1997(MarkedOf1997):
    """Add two marked numbers, as in the experiment of 1997.

    The values are U(-1, 1), places and markers are as in `MarkedOf1997`, and y = 0.5 + (X1 + X2) / 4. If the first
    pair is marked, which has probability q, its value is 0. Therefore the risk of answering 0.5 is (2 - q) / 48
    (0.0392 at T = 100), and not 1/24 as for two independent U(-1, 1).

    The tolerance τ of the answer is s = 4τ for the sum: X1 + X2 lies within s of 0 with probability s - s²/4, and
    a single X with probability s.

    Parameters
    ----------
    tolerance : float
        An answer is correct if it lies within this distance of the label; above 0 and below 0.25.
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
        """Return the sum, scaled to [0, 1]."""
        return 0.5 + (first + second) / 4

    def trivial_answer(self, length: int) -> Answer:
        """The mean of the label."""
        return self.at_every_end(np.full(1, 0.5), length)

    def trivial_risk(self, length: int) -> float:
        """The variance of the label."""
        return (2 - self.chance_of_first(length)) / 48

    def chance_accuracy(self, length: int) -> float:
        """The probability of the interval around the mean, where the sum is most likely."""
        q, s = self.chance_of_first(length), 4 * self.tolerance
        return q * s + (1 - q) * (s - s**2 / 4)
