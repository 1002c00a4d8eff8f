"""The multiplication problem: of a sequence of pairs two are marked; answer with the product of their values."""

from dataclasses import dataclass

import numpy as np

from memspan.errors import real_number
from memspan.losses import MSELoss
from memspan.shapes import Array
from memspan.tasks.base import Batch, RandomEnd, Shape, Task, within
from memspan.tasks.marked import MarkedOf1997


@dataclass(frozen=True)
class Multiplication(Task):
    """Multiply two marked numbers.

    Values U(0, 1), places and markers as in `MarkedOf1997`, y = X1 X2; X of the first pair counts as 1. With q,
    the probability that it is marked, E[y] = (1-q)/4 + q/2 and E[y²] = (1-q)/9 + q/3, which gives the risk of
    answering E[y]. The density of y falls from 0 on (it is -log y for two free numbers), so the interval of
    width w = 2τ that holds most is [0, w], with probability (1-q) w (1 - log w) + q w.

    Parameters
    ----------
    tolerance : float
        An answer is correct within this distance of the label.
    """

    variant: str = "hs97"
    tolerance: float = 0.04

    family = "multiplication"
    sentence = (
        "Of T pairs (value, marker) two are marked, both in the first half: "
        "answer with the product of their values."
    )
    source = "Hochreiter & Schmidhuber 1997, experiment 5 (doi:10.1162/neco.1997.9.8.1735)"
    variants = ("hs97",)
    least_length = MarkedOf1997.least_length

    def __post_init__(self) -> None:
        super().__post_init__()
        self._settle("tolerance", real_number, above=0, below=0.5)

    @property
    def rule(self) -> str:
        """When an answer is correct."""
        return f"within {self.tolerance:g} of the label"

    def shape(self, length: int) -> Shape:
        """Value and marker in, a number out."""
        read = RandomEnd.steps_read(length)
        return Shape(length + read - 1, 2, 1, read)

    def draws(self, length: int) -> int:
        """A value a step, two places and an end."""
        return MarkedOf1997.draws(length)

    def make(self, u: Array, length: int) -> Batch:
        """x and y, of uniform numbers."""
        x, first, second = MarkedOf1997.pairs(u, length, nothing=1.0, low=0.0)
        return Batch(x, RandomEnd.labels(u[-1], (first * second)[:, np.newaxis], length)[1])

    def make_loss(self) -> MSELoss:
        """The mean squared error."""
        return MSELoss(masked=True)

    def correct(self, y_hat: Array, y: Array) -> Array:
        """Within the tolerance."""
        return within(self.tolerance, y_hat, y)

    def relevant(self, x: Array) -> Array:
        """The marked pairs."""
        return np.asarray(x[..., 1] == 1)

    def trivial_answer(self, length: int) -> Array:
        """The mean of the product."""
        q = MarkedOf1997.chance_of_first(length)
        return RandomEnd.at_every_end(np.full(1, (1 - q) / 4 + q / 2), length)

    def trivial_risk(self, length: int) -> float:
        """The variance of the product."""
        q = MarkedOf1997.chance_of_first(length)
        return (1 - q) / 9 + q / 3 - ((1 - q) / 4 + q / 2) ** 2

    def chance_answer(self, length: int) -> Array:
        """The middle of [0, 2τ]."""
        return RandomEnd.at_every_end(np.full(1, self.tolerance), length)

    def chance_accuracy(self, length: int) -> float:
        """The probability of [0, 2τ]."""
        q, w = MarkedOf1997.chance_of_first(length), 2 * self.tolerance
        return float((1 - q) * w * (1 - np.log(w)) + q * w)
