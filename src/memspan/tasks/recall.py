"""The memory task of the assignment: say, at the end of a sequence, what its first number was."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from memspan.errors import InvalidArgument, generator, real_number, whole_number
from memspan.losses import MSELoss
from memspan.runtime.renamed import checked_keywords
from memspan.tasks.base import (
    SEQUENCES,
    Answer,
    Batch,
    Draws,
    Sequences,
    Shape,
    Steps,
    WithinTolerance,
    parameter,
)


@checked_keywords()
@dataclass(frozen=True)
class Recall(WithinTolerance):
    """Recall one of T random numbers.

    x[t] ~ U(-1, 1), independent; y = x[1], or with `kth` another element, and with `distractors` all elements but
    that one are multiplied by `scale`. Without looking at the input the best answer is the label's mean, 0, with
    risk E[y²] = 1/3; and an interval of width 2·tolerance inside [-1, 1] holds the label with probability
    `tolerance`, which is the chance accuracy.

    Parameters
    ----------
    tolerance : float
        An answer is correct when it lies within this distance of the label; above 0 and below 1.
    element : int
        Which number to recall, counted from 1; the plain task recalls the first.
    scale : float
        Of the other numbers; 1 in the plain task.
    """

    tolerance: float = parameter(0.1, real_number, above=0, below=1)
    element: int = parameter(1, whole_number)
    scale: float = parameter(1.0, real_number, least=0)

    family = "recall"
    variants = ("", "kth", "distractors")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.variant and (self.element, self.scale) != (1, 1):
            got = f"element={self.element} and scale={self.scale:g}"
            raise InvalidArgument("variant", "kth or distractors for another element or another scale", got)

    @property
    def least_length(self) -> int:  # type: ignore[override]
        """A length of 1 is the copy of the only number."""
        return self.element

    @property
    def sentence(self) -> str:
        """What is asked."""
        which = "the first" if self.element == 1 else f"number {self.element}"
        others = f", the others {self.scale:g} times as large" if self.scale != 1 else ""
        return f"After T random numbers in [-1, 1]{others}, answer with {which}."

    @property
    def source(self) -> str:
        """The assignment, and what it leads to."""
        plain = "Kratzert 2019, assignment 2 of LSTM and Recurrent Neural Nets, JKU Linz"
        return f"after {plain}" if self.variant else plain

    def shape(self, length: int) -> Shape:
        """One number in, one out."""
        return Shape(length, 1, 1)

    def draws(self, length: int) -> int:
        """One a step."""
        return length

    def make(self, u: Draws, length: int) -> Batch:
        """x and y, of uniform numbers."""
        x = 2 * u[..., np.newaxis] - 1
        y = x[self.element - 1].copy()
        if self.scale != 1:
            x *= self.scale
            x[self.element - 1] = y
        return Batch(x, y)

    def make_loss(self) -> MSELoss:
        """The mean squared error."""
        return MSELoss()

    def relevant(self, x: Sequences) -> Steps:
        """The one element."""
        where = np.zeros(x.shape[:2], bool)
        where[self.element - 1] = True
        return where

    def trivial_answer(self, length: int) -> Answer:
        """The mean."""
        return np.zeros(1)

    def trivial_risk(self, length: int = 1) -> float:
        """The variance of U(-1, 1)."""
        return 1 / 3

    def chance_accuracy(self, length: int = 1) -> float:
        """P(|y - constant| <= tolerance), the same for every constant that is not near ±1."""
        return self.tolerance


@checked_keywords()
def generate_samples(
    batch_size: int, seq_length: int, rng: np.random.Generator | np.random.SeedSequence | int | None = None
) -> Iterator[Batch]:
    """Data generator for the memory task; it never ends.

    Parameters
    ----------
    batch_size : int
        Number of samples in one batch, B.
    seq_length : int
        Length of the sequence of random numbers, T.
    rng : Generator, SeedSequence or int, optional
        Where the numbers come from; fresh entropy if not given.

    Yields
    ------
    x : array [T, B, 1]
        Random numbers between -1 and 1.
    y : array [B, 1]
        The first number of each sequence.

    Examples
    --------
    >>> x, y = next(generate_samples(batch_size=4, seq_length=10, rng=0))
    >>> x.shape, y.shape, bool((x[0] == y).all())
    ((10, 4, 1), (4, 1), True)
    """
    batch, length = whole_number("batch_size", batch_size), whole_number("seq_length", seq_length)
    source = generator("rng", rng, SEQUENCES)

    def samples() -> Iterator[Batch]:
        while True:
            yield Recall().sample(length, batch, source)

    return samples()
