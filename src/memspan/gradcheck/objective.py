"""The scalar function of the predictions whose gradient is checked, and its numerical derivatives."""

import warnings
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from memspan.errors import InvalidArgument, plain_array
from memspan.gradcheck.oracle import COMPLEX_STEP
from memspan.losses import Loss, check_loss
from memspan.network import Network
from memspan.shapes import Array

CENTRAL_STEP = float(np.cbrt(np.finfo(np.float64).eps))  # balances truncation h² against rounding ε/h


@dataclass(frozen=True)
class Objective:
    """L(ŷ): a loss against labels, or without one the plain sum of the predictions (dL/dŷ = 1)."""

    loss: Loss | None
    y: Array | None

    @classmethod
    def of(cls, loss: Loss | None, y: Array | None) -> Self:
        """Both of them, or neither."""
        if (y is None) != (loss is None):
            raise InvalidArgument("y" if y is None else "loss", "given, as the other of y and loss is", None)
        if loss is not None:
            check_loss(loss)
        return cls(loss, None if y is None else plain_array("y", y))

    def doubled(self) -> Self:
        """The same labels twice."""
        return replace(self, y=None if self.y is None else np.concatenate([self.y, self.y], axis=-2))

    def value(self, y_hat: Array) -> Any:
        """L, real or complex as the predictions are."""
        return y_hat.sum() if self.loss is None else self.loss.forward(y_hat, self.y)

    def derivative(self, y_hat: Array) -> Array:
        """dL/dŷ as the loss itself states it."""
        if self.loss is None:
            return np.ones_like(y_hat)
        self.loss.forward(y_hat, self.y)
        return np.asarray(self.loss.backward())

    def complex_step(self, y_hat: Array) -> Array:
        """dL/dŷ by the complex step, one prediction at a time."""
        derivative = np.empty(y_hat.shape)
        for index in np.ndindex(y_hat.shape):
            varied = y_hat.astype(np.complex128)
            varied[index] += 1j * COMPLEX_STEP
            derivative[index] = self._imaginary(varied) / COMPLEX_STEP
        return derivative

    def _imaginary(self, y_hat: Array) -> float:
        """The imaginary part of L; a loss that drops it would seem to have no derivative."""
        rule = "one that the complex step can differentiate (no float(), no abs, no real part)"
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", np.exceptions.ComplexWarning)
                value = self.value(y_hat)
        except (TypeError, np.exceptions.ComplexWarning) as error:
            raise InvalidArgument("loss", rule, f"{type(self.loss).__name__}: {error}") from error
        if not np.iscomplexobj(value):
            raise InvalidArgument("loss", rule, f"{type(self.loss).__name__}, which returns a real number")
        return float(np.imag(value))


def central_difference(
    model: Network, x: Array, d_y_hat: Array, name: str, index: tuple[int, ...], step: float = CENTRAL_STEP
) -> float:
    """d(Σ d_y_hat · ŷ)/dw of one weight, through the model's own forward.

    The step grows with the weight where that is above 1. Unlike the complex step this has no digits below ε·L/h.
    So it stands in the report for comparison, and decides nothing.
    """
    twin = model.astype(np.float64)
    weight = getattr(twin, name)
    kept = weight[index]
    h = step * max(1.0, abs(kept))
    weight[index] = upper = kept + h
    above = (d_y_hat.ravel() * twin.forward(x).ravel()).sum()
    weight[index] = lower = kept - h
    below = (d_y_hat.ravel() * twin.forward(x).ravel()).sum()
    return float((above - below) / (upper - lower))
