"""Memory capacity: recall all past numbers at once, and measure how many of them the answers contain."""

from dataclasses import dataclass

import numpy as np

from memspan.errors import InvalidArgument, float_array, real_number
from memspan.losses import MSELoss
from memspan.runtime.renamed import checked_keywords
from memspan.shapes import Array, PerStep
from memspan.tasks.base import (
    Answer,
    Batch,
    Correctness,
    Draws,
    Labels,
    Sequences,
    Shape,
    Steps,
    WithinTolerance,
    parameter,
)

GROUPS = 20
"""The number of groups of sequences; the jackknife leaves out one at a time for the standard error."""


@dataclass(frozen=True)
class Capacity:
    """The memory capacity, by lag and in total.

    Attributes
    ----------
    by_lag : array [lags]
        The squared correlation of answers and numbers for lags of 1, 2 and so on, without its bias.
    total : float
        Their sum, the memory capacity. For independent inputs, the capacity of a linear readout is at most the
        number of states that it reads.
    error : float
        The standard error of the total.
    """

    by_lag: PerStep
    total: float
    error: float

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % confidence interval of the total, from the normal distribution."""
        return self.total - 1.96 * self.error, self.total + 1.96 * self.error


@checked_keywords()
@dataclass(frozen=True)
class MemoryCapacity(WithinTolerance):
    """Recall all lags at once: after T numbers U(-1, 1), answer with all of them except the last.

    Output k is x at k steps before the last, k = 1 ... T-1. As in `Recall`, answering 0 has the risk 1/3, and an
    interval of width 2·tolerance contains a label with probability `tolerance`. The accuracy is the share of
    correct numbers, over all lags.

    Parameters
    ----------
    tolerance : float
        A number is correct if it lies within this distance of its label; above 0 and below 1.
    """

    tolerance: float = parameter(0.1, real_number, above=0, below=1)

    family = "memory-capacity"
    sentence = "After T random numbers in [-1, 1], answer with all of them except the last."
    source = "Jaeger 2001, Short term memory in echo state networks (GMD report 152)"

    @property
    def rule(self) -> str:
        """The condition under which an answer is correct."""
        return f"{super().rule}, separately for each lag"

    def shape(self, length: int) -> Shape:
        """One input, and one output per lag."""
        return Shape(length, 1, length - 1)

    def draws(self, length: int) -> int:
        """One random number per step."""
        return length

    def make(self, u: Draws, length: int) -> Batch:
        """Make x and y from uniform random numbers."""
        x = 2 * u[..., np.newaxis] - 1
        return Batch(x, x[-2::-1, :, 0].T.copy())

    def make_loss(self) -> MSELoss:
        """Return the mean squared error, which is also a mean over lags."""
        return MSELoss()

    def correct(self, y_hat: Labels, y: Labels) -> Correctness:
        """Return the share of correct numbers among the lags with a label."""
        labelled = ~np.isnan(y)
        right = (np.abs(y_hat - y) <= self.tolerance).sum(axis=-1, where=labelled)
        return right / np.maximum(labelled.sum(axis=-1), 1)

    def accuracy(self, y_hat: Array, y: Array) -> float:
        """Return the share of correct numbers; every number with a label has the same weight."""
        share = super().accuracy(y_hat, y)  # also checks the arrays
        if not np.isnan(y).any():  # all sequences have the same number of labels
            return share
        return float(np.mean((np.abs(y_hat - y) <= self.tolerance)[~np.isnan(y)]))

    def relevant(self, x: Sequences) -> Steps:
        """Mark all steps except the last."""
        where = np.ones(x.shape[:2], bool)
        where[-1] = False
        return where

    def trivial_answer(self, length: int) -> Answer:
        """The mean of the labels, 0."""
        return np.zeros(length - 1)

    def trivial_risk(self, length: int) -> float:
        """The variance of U(-1, 1), 1/3."""
        return 1 / 3

    def chance_accuracy(self, length: int) -> float:
        """The tolerance, as for a single number in `Recall`."""
        return self.tolerance

    @staticmethod
    def capacity(y_hat: Array, y: Array) -> Capacity:
        """Measure the memory capacity from answers and labels of many sequences, both `[B, lags]`.

        The squared correlation of n independent pairs is 1/(n-1) on average, not 0, and over many lags that adds
        up. Each squared correlation r² is therefore replaced by 1 - (1 - r²) (n-1)/(n-2), whose mean is 0 where
        nothing is remembered. A constant answer has a correlation of 0. The standard error comes from the
        jackknife, which leaves out a twentieth of the sequences at a time.

        Raises
        ------
        InvalidArgument
            If there are fewer than 60 sequences, an array is not `[B, lags]`, or a number is not finite.
        """
        y_hat, y = (float_array(name, values).astype(float) for name, values in (("y_hat", y_hat), ("y", y)))
        if y_hat.shape != y.shape or y.ndim != 2:
            raise InvalidArgument(
                "y_hat", f"of shape [B, lags], like y of shape {y.shape}", f"shape {y_hat.shape}"
            )
        if len(y) < 3 * GROUPS:
            raise InvalidArgument("y", f"the labels of at least {3 * GROUPS} sequences", len(y))
        for name, values in (("y_hat", y_hat), ("y", y)):
            if not np.isfinite(values).all():
                raise InvalidArgument(name, "finite", "NaN or infinity")
        group = np.arange(len(y)) % GROUPS
        left = np.array([_corrected(y_hat[group != g], y[group != g]).sum() for g in range(GROUPS)])
        by_lag = _corrected(y_hat, y)
        error = np.sqrt((GROUPS - 1) * np.mean((left - left.mean()) ** 2))
        return Capacity(by_lag, float(by_lag.sum()), float(error))


def _corrected(y_hat: Array, y: Array) -> PerStep:
    """The squared correlation of each column without its bias; 0 if a column is constant."""
    a, b = (_standardised(values) for values in (y_hat, y))
    square = (a * b).sum(axis=0) ** 2
    corrected = 1 - (1 - square) * (len(y) - 1) / (len(y) - 2)
    return np.where(a.any(axis=0) & b.any(axis=0), corrected, 0.0)


def _standardised(values: Array) -> Array:
    """Subtract each column's mean and scale the column to length 1; constant columns become 0."""
    centred = values - values.mean(axis=0)
    largest = np.abs(centred).max(axis=0)
    same = (values == values[0]).all(axis=0)
    scaled = np.divide(centred, largest, out=np.zeros_like(centred), where=~same & (largest > 0))
    length = np.sqrt((scaled * scaled).sum(axis=0))
    return np.divide(scaled, length, out=np.zeros_like(scaled), where=length > 0)
