"""The memory task of the assignment (Kratzert 2019): recall the first number at the end of a sequence."""

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

    The numbers x[t] ~ U(-1, 1) are independent, and y = x[1]. In the variant `kth`, y is another element. In
    `distractors`, all other elements are multiplied by `scale`. The best answer that ignores the input is the mean
    of the labels, 0, with risk E[y²] = 1/3. An interval of width 2·tolerance inside [-1, 1] contains the label
    with probability `tolerance`, which is the chance accuracy.

    Parameters
    ----------
    tolerance : float
        An answer is correct if it lies within this distance of the label; above 0 and below 1.
    element : int
        The position of the number to recall, counted from 1; always 1 in the task without a variant.
    scale : float
        The factor of all other numbers; always 1 in the task without a variant.
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
            raise InvalidArgument("variant", "kth or distractors to change element or scale", got)

    @property
    def least_length(self) -> int:  # type: ignore[override]
        """The sequence must contain the element to recall."""
        return self.element

    @property
    def sentence(self) -> str:
        """The question, in one sentence."""
        which = "the first" if self.element == 1 else f"number {self.element}"
        others = f"; the others are {self.scale:g} times as large" if self.scale != 1 else ""
        return f"After T random numbers in [-1, 1], answer with {which}{others}."

    @property
    def source(self) -> str:
        """The assignment; the variants follow it."""
        plain = "Kratzert 2019, assignment 2 of LSTM and Recurrent Neural Nets, JKU Linz"
        return f"after {plain}" if self.variant else plain

    def shape(self, length: int) -> Shape:
        """One input and one output."""
        return Shape(length, 1, 1)

    def draws(self, length: int) -> int:
        """One random number per step."""
        return length

    def make(self, u: Draws, length: int) -> Batch:
        """Make x and y from uniform random numbers."""
        x = 2 * u[..., np.newaxis] - 1
        y = x[self.element - 1].copy()
        if self.scale != 1:
            x *= self.scale
            x[self.element - 1] = y
        return Batch(x, y)

    def make_loss(self) -> MSELoss:
        """Return the mean squared error."""
        return MSELoss()

    def relevant(self, x: Sequences) -> Steps:
        """Mark the element to recall."""
        where = np.zeros(x.shape[:2], bool)
        where[self.element - 1] = True
        return where

    def trivial_answer(self, length: int) -> Answer:
        """The mean of the labels, 0."""
        return np.zeros(1)

    def trivial_risk(self, length: int = 1) -> float:
        """The variance of U(-1, 1), 1/3."""
        return 1 / 3

    def chance_accuracy(self, length: int = 1) -> float:
        """P(|y - c| <= tolerance), the same for every constant c within 1 - tolerance of 0."""
        return self.tolerance


@checked_keywords()
def generate_samples(
    batch_size: int, seq_length: int, rng: np.random.Generator | np.random.SeedSequence | int | None = None
) -> Iterator[Batch]:
    """An endless generator of batches of the memory task, with the names of the assignment.

    Parameters
    ----------
    batch_size : int
        B, the number of sequences in a batch.
    seq_length : int
        T, the number of random numbers in a sequence.
    rng : Generator, SeedSequence or int, optional
        The source of the random numbers; fresh entropy if None.

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
