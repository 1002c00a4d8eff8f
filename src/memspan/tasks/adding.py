"""The adding problem: of a sequence of pairs two are marked; answer with the sum of their values.

Published work means at least four different things by it, whose losses cannot be compared; here are three of them.
"""

from dataclasses import dataclass

import numpy as np

from memspan.errors import real_number
from memspan.losses import MSELoss
from memspan.shapes import Array
from memspan.tasks.base import Batch, RandomEnd, Shape, Task, choices, within
from memspan.tasks.marked import MarkedOf1997, mark

TOLERANCES = {"any": 0.08, "halves": 0.08, "hs97": 0.04}
"""1997: 0.04, which is 4 % of the range of the labels. The others name none; here it is 4 % of their range too."""

SOURCES = {
    "any": "Le, Jaitly & Hinton 2015 (arXiv:1504.00941); Bai, Kolter & Koltun 2018 (arXiv:1803.01271)",
    "halves": "Arjovsky, Shah & Bengio 2016 (arXiv:1511.06464), as in the authors' code",
    "hs97": "Hochreiter & Schmidhuber 1997, experiment 4 (doi:10.1162/neco.1997.9.8.1735)",
}


@dataclass(frozen=True)
class Adding(Task):
    """Add two marked numbers.

    - `any`: values U(0, 1), two different places, y = X1 + X2. The variance of the sum is 1/6. (The value of
      0.1767 that is quoted for it is a mistake.)
    - `halves`: the same, but with one mark in either half.
    - `hs97`: values U(-1, 1), places and markers as in `MarkedOf1997`, y = 0.5 + (X1 + X2) / 4. X of the first
      pair counts as 0, so with q, the probability that it is marked, the risk of answering 0.5 is (2 - q) / 48:
      0.0392 at T = 100, and not the 1/24 of two free numbers.

    The sum of two U(0, 1) lies within τ of 1 with probability 2τ - τ². For `hs97` let s = 4τ: X1 + X2 lies
    within s of 0 with probability s - s²/4, and one X alone with probability s.

    Parameters
    ----------
    tolerance : float, optional
        An answer is correct within this distance of the label: 0.04 of the range of the labels, if not given.
    """

    variant: str = "any"
    tolerance: float | None = None

    family = "adding"
    variants = ("any", "halves", "hs97")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.tolerance is None:
            object.__setattr__(self, "tolerance", TOLERANCES[self.variant])
        self._settle("tolerance", real_number, above=0, below=0.25 if self.variant == "hs97" else 1)

    @property
    def least_length(self) -> int:  # type: ignore[override]
        """Where the two places exist."""
        return MarkedOf1997.least_length if self.variant == "hs97" else 2

    @property
    def sentence(self) -> str:
        """What is asked."""
        where = {"any": "", "halves": ", one in each half", "hs97": ", both in the first half"}[self.variant]
        scaled = ", scaled to [0, 1]" if self.variant == "hs97" else ""
        return f"Of T pairs (value, marker) two are marked{where}: answer with the sum of their values{scaled}."

    @property
    def source(self) -> str:
        """The paper."""
        return SOURCES[self.variant]

    @property
    def rule(self) -> str:
        """When an answer is correct."""
        return f"within {self.tolerance:g} of the label"

    def shape(self, length: int) -> Shape:
        """Value and marker in, a number out."""
        if self.variant != "hs97":
            return Shape(length, 2, 1)
        read = RandomEnd.steps_read(length)
        return Shape(length + read - 1, 2, 1, read)

    def draws(self, length: int) -> int:
        """A value a step, and two places; for `hs97` the end, too."""
        return MarkedOf1997.draws(length) if self.variant == "hs97" else length + 2

    def make(self, u: Array, length: int) -> Batch:
        """x and y, of uniform numbers."""
        if self.variant == "hs97":
            x, first, second = MarkedOf1997.pairs(u, length, nothing=0.0, low=-1.0)
            return Batch(x, RandomEnd.labels(u[-1], 0.5 + (first + second)[:, np.newaxis] / 4, length)[1])
        values, half = u[:length], length // 2
        if self.variant == "halves":
            one, two = choices(u[-2], half), half + choices(u[-1], length - half)
        else:
            one, two = choices(u[-2], length), choices(u[-1], length - 1)
            two = two + (two >= one)
        every = np.arange(u.shape[1])
        return Batch(mark(values, one, two), (values[one, every] + values[two, every])[:, np.newaxis])

    def make_loss(self) -> MSELoss:
        """The mean squared error."""
        return MSELoss(masked=self.variant == "hs97")

    def correct(self, y_hat: Array, y: Array) -> Array:
        """Within the tolerance."""
        assert self.tolerance is not None
        return within(self.tolerance, y_hat, y)

    def relevant(self, x: Array) -> Array:
        """The marked pairs."""
        return np.asarray(x[..., 1] == 1)

    def trivial_answer(self, length: int) -> Array:
        """The mean of the sum."""
        return RandomEnd.at_every_end(np.full(1, 0.5), length) if self.variant == "hs97" else np.ones(1)

    def trivial_risk(self, length: int) -> float:
        """The variance of the sum."""
        return (2 - MarkedOf1997.chance_of_first(length)) / 48 if self.variant == "hs97" else 1 / 6

    def chance_accuracy(self, length: int) -> float:
        """The probability of the interval around the mean, where the sum is densest."""
        assert self.tolerance is not None
        if self.variant != "hs97":
            return self.tolerance * (2 - self.tolerance)
        q, s = MarkedOf1997.chance_of_first(length), 4 * self.tolerance
        return q * s + (1 - q) * (s - s**2 / 4)
