"""Memory capacity: recall all numbers of the past at once, and count how many could be told."""

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
"""Of sequences, one left out at a time, for the standard error."""


@dataclass(frozen=True)
class Capacity:
    """How much of the past can be told.

    Attributes
    ----------
    by_lag : array [lags]
        The squared correlation of answers and numbers, for a lag of 1, 2 and so on, less what chance alone gives.
    total : float
        Their sum, the memory capacity. For independent inputs no linear read-out has more than its number of
        states.
    error : float
        The standard error of the total.
    """

    by_lag: PerStep
    total: float
    error: float

    @property
    def interval(self) -> tuple[float, float]:
        """A normal 95 % interval of the total."""
        return self.total - 1.96 * self.error, self.total + 1.96 * self.error


@checked_keywords()
@dataclass(frozen=True)
class MemoryCapacity(WithinTolerance):
    """Recall every lag: after T numbers U(-1, 1), answer with all of them but the last.

    Output k is x of k steps before the last, k = 1 ... T-1. As in `Recall`, answering 0 has the risk 1/3, and an
    interval of width 2·tolerance holds a label with probability `tolerance`. The accuracy is the share of correct
    numbers, over all lags.

    Parameters
    ----------
    tolerance : float
        An answer is correct within this distance of the label; above 0 and below 1.
    """

    tolerance: float = parameter(0.1, real_number, above=0, below=1)

    family = "memory-capacity"
    sentence = "After T random numbers in [-1, 1], answer with all of them but the last."
    source = "Jaeger 2001, Short term memory in echo state networks (GMD report 152)"

    @property
    def rule(self) -> str:
        """When an answer is correct."""
        return f"{super().rule}, separately for each lag"

    def shape(self, length: int) -> Shape:
        """An output for each lag."""
        return Shape(length, 1, length - 1)

    def draws(self, length: int) -> int:
        """One a step."""
        return length

    def make(self, u: Draws, length: int) -> Batch:
        """x and y, of uniform numbers."""
        x = 2 * u[..., np.newaxis] - 1
        return Batch(x, x[-2::-1, :, 0].T.copy())

    def make_loss(self) -> MSELoss:
        """The mean squared error, over lags too."""
        return MSELoss()

    def correct(self, y_hat: Labels, y: Labels) -> Correctness:
        """The share of lags within the tolerance, of those with a label."""
        labelled = ~np.isnan(y)
        right = (np.abs(y_hat - y) <= self.tolerance).sum(axis=-1, where=labelled)
        return right / np.maximum(labelled.sum(axis=-1), 1)

    def accuracy(self, y_hat: Array, y: Array) -> float:
        """The share of correct numbers among those with a label, each counted once."""
        share = super().accuracy(y_hat, y)  # also checks them; it is right where all sequences have as many
        if not np.isnan(y).any():
            return share
        return float(np.mean((np.abs(y_hat - y) <= self.tolerance)[~np.isnan(y)]))

    def relevant(self, x: Sequences) -> Steps:
        """All steps but the last."""
        where = np.ones(x.shape[:2], bool)
        where[-1] = False
        return where

    def trivial_answer(self, length: int) -> Answer:
        """The mean."""
        return np.zeros(length - 1)

    def trivial_risk(self, length: int) -> float:
        """The variance of U(-1, 1)."""
        return 1 / 3

    def chance_accuracy(self, length: int) -> float:
        """As for one number."""
        return self.tolerance

    @staticmethod
    def capacity(y_hat: Array, y: Array) -> Capacity:
        """The memory capacity that answers show, of many sequences `[B, lags]`.

        The squared correlation of n independent pairs is 1/(n-1) on average, not 0: over many lags that adds up.
        So each is corrected, 1 - (1 - r²) (n-1)/(n-2), which is 0 on average where nothing is remembered. An
        answer that does not vary at all has a correlation of 0. The standard error is that of the jackknife, a
        twentieth of the sequences left out at a time.

        Raises
        ------
        InvalidArgument
            For fewer than 60 sequences, other shapes than `[B, lags]`, and what is not finite.
        """
        y_hat, y = (float_array(name, values).astype(float) for name, values in (("y_hat", y_hat), ("y", y)))
        if y_hat.shape != y.shape or y.ndim != 2:
            raise InvalidArgument("y_hat", f"of shape [B, lags], and that of y, {y.shape}", f"shape {y_hat.shape}")
        if len(y) < 3 * GROUPS:
            raise InvalidArgument("y", f"of at least {3 * GROUPS} sequences", len(y))
        for name, values in (("y_hat", y_hat), ("y", y)):
            if not np.isfinite(values).all():
                raise InvalidArgument(name, "finite", "NaN or infinity")
        group = np.arange(len(y)) % GROUPS
        left = np.array([_corrected(y_hat[group != g], y[group != g]).sum() for g in range(GROUPS)])
        by_lag = _corrected(y_hat, y)
        error = np.sqrt((GROUPS - 1) * np.mean((left - left.mean()) ** 2))
        return Capacity(by_lag, float(by_lag.sum()), float(error))


def _corrected(y_hat: Array, y: Array) -> PerStep:
    """The squared correlation of each column without its bias; 0 where one of them does not vary."""
    a, b = (_standardised(values) for values in (y_hat, y))
    square = (a * b).sum(axis=0) ** 2
    corrected = 1 - (1 - square) * (len(y) - 1) / (len(y) - 2)
    return np.where(a.any(axis=0) & b.any(axis=0), corrected, 0.0)


def _standardised(values: Array) -> Array:
    """Columns without their means, and of length 1; 0 where all numbers are the same."""
    centred = values - values.mean(axis=0)
    largest = np.abs(centred).max(axis=0)
    same = (values == values[0]).all(axis=0)
    scaled = np.divide(centred, largest, out=np.zeros_like(centred), where=~same & (largest > 0))
    length = np.sqrt((scaled * scaled).sum(axis=0))
    return np.divide(scaled, length, out=np.zeros_like(scaled), where=length > 0)
