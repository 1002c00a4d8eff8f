"""The memory task of the assignment: say, at the end of a sequence, what its first number was."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from memspan.errors import InvalidArgument, generator, real_number, whole_number
from memspan.tasks.base import Batch


@dataclass(frozen=True)
class Recall:
    """Recall the first of T random numbers.

    x[t] ~ U(-1, 1), independent; y = x[1]. Without looking at the input the best answer is the label's mean,
    0, with risk E[y²] = 1/3; and an interval of width 2·tolerance inside [-1, 1] holds the label with probability
    `tolerance`, which is the chance accuracy.

    Parameters
    ----------
    tolerance : float
        A prediction is correct when it lies within this distance of the label; above 0 and below 1.
    """

    tolerance: float = 0.1

    name = "recall"
    sentence = "After T random numbers in [-1, 1], answer with the first."
    features = 1
    outputs = 1
    trivial_risk = 1 / 3

    def __post_init__(self) -> None:
        real_number("tolerance", self.tolerance, above=0, below=1)

    @property
    def chance_accuracy(self) -> float:
        """P(|y - constant| <= tolerance), the same for every constant that is not near ±1."""
        return self.tolerance

    def sample(self, rng: np.random.Generator, length: int, batch: int) -> Batch:
        """Draw x `[T, B, 1]` and y `[B, 1]`, in float64; a length of 1 is the copy of the only number."""
        shape = (whole_number("length", length), whole_number("batch", batch), 1)
        x = rng.uniform(-1, 1, shape)
        return Batch(x, x[0].copy())

    def accuracy(self, y_hat: np.ndarray, y: np.ndarray) -> float:
        """The share of predictions within the tolerance of their labels."""
        if y_hat.shape != y.shape:
            raise InvalidArgument("y_hat", f"of the labels' shape {y.shape}", f"shape {y_hat.shape}")
        return float(np.mean(np.abs(y_hat - y) <= self.tolerance))


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
    source = generator("rng", rng)

    def samples() -> Iterator[Batch]:
        while True:
            yield Recall().sample(source, length, batch)

    return samples()
