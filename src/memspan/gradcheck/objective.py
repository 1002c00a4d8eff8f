"""The scalar function of the predictions whose gradient is checked, and its numerical derivatives."""

import contextlib
import warnings
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from memspan.errors import Conflict, plain_array
from memspan.gradcheck.oracle import COMPLEX_STEP
from memspan.losses import Loss, check_loss
from memspan.network import Network
from memspan.shapes import Array

RELATIVE_STEP = 2.0**-20  # the relative change of y and ŷ that measures the terms of a derivative
CENTRAL_STEP = float(np.cbrt(np.finfo(np.float64).eps))  # balances truncation h² against rounding ε/h


@dataclass(frozen=True)
class Objective:
    """L(ŷ): a loss with labels, or without a loss the sum of the predictions (dL/dŷ = 1)."""

    loss: Loss | None
    y: Array | None

    @classmethod
    def of(cls, loss: Loss | None, y: Array | None) -> Self:
        """Make an objective from a loss and labels, or from neither."""
        if (y is None) != (loss is None):
            missing, given = ("y", "loss") if y is None else ("loss", "y")
            raise Conflict(f"Pass {missing} together with {given}.")
        if loss is not None:
            check_loss(loss)
        return cls(loss, None if y is None else plain_array("y", y))

    def doubled(self) -> Self:
        """The objective for a batch that holds every label twice."""
        return replace(self, y=None if self.y is None else np.concatenate([self.y, self.y], axis=-2))

    def value(self, y_hat: Array) -> Any:
        """L, real for real and complex for complex predictions."""
        return y_hat.sum() if self.loss is None else self.loss.forward(y_hat, self.y)

    def derivative(self, y_hat: Array) -> Array:
        """dL/dŷ as the loss returns it."""
        if self.loss is None:
            return np.ones_like(y_hat)
        self.loss.forward(y_hat, self.y)
        return np.asarray(self.loss.backward())

    def reference(self, y_hat: Array) -> tuple[Array, float]:
        """Return dL/dŷ from the values of the loss alone, and its error beyond rounding.

        dL/dŷ comes from the complex step, whose error is 0. For a loss that drops the imaginary part it comes from
        the central difference; a second one with twice the step estimates the error.
        """
        if self.drops_imaginary(y_hat):
            narrow, wide = self.central(y_hat, CENTRAL_STEP), self.central(y_hat, 2 * CENTRAL_STEP)
            noise = np.finfo(np.float64).eps * abs(self.value(y_hat)) / CENTRAL_STEP
            return narrow, float(np.abs(wide - narrow).max() + noise)
        return self.complex_step(y_hat), 0.0

    def complex_step(self, y_hat: Array) -> Array:
        """Return dL/dŷ by the complex step, one prediction at a time."""
        derivative = np.empty(y_hat.shape)
        for index in np.ndindex(y_hat.shape):
            varied = y_hat.astype(np.complex128)
            varied[index] += 1j * COMPLEX_STEP
            derivative[index] = np.imag(self.value(varied)) / COMPLEX_STEP
        return derivative

    def central(self, y_hat: Array, step: float) -> Array:
        """Return dL/dŷ by the central difference, one prediction at a time."""
        derivative = np.empty(y_hat.shape)
        for index in np.ndindex(y_hat.shape):
            h = step * max(1.0, float(abs(y_hat[index])))
            above, below = y_hat.copy(), y_hat.copy()
            above[index] += h
            below[index] -= h
            derivative[index] = (self.value(above) - self.value(below)) / (above[index] - below[index])
        return derivative

    def drops_imaginary(self, y_hat: Array) -> bool:
        """Whether the loss returns a real number for complex predictions, or refuses them."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", np.exceptions.ComplexWarning)
                return not np.iscomplexobj(self.value(y_hat.astype(np.complex128)))
        except (TypeError, np.exceptions.ComplexWarning):
            return True

    def terms(self, y_hat: Array) -> float:
        """The largest term in dL/dŷ, such as y in p - y, measured by small relative changes of y and of ŷ.

        The rounding error of a sum has the scale of its terms, not of their sum. A term that jumps when its
        argument varies, as in a loss that tests whether y is 1, is left out.
        """
        y = self.y
        if y is None or y.dtype.kind != "f":
            return 0.0
        here = self.derivative(y_hat)

        def slope(h: float, of_y: float, of_y_hat: float) -> Array:
            varied = replace(self, y=y * (1 - of_y * h))  # downwards, because a probability cannot exceed 1
            with contextlib.suppress(ValueError, TypeError, ArithmeticError):
                return np.abs(varied.derivative(y_hat * (1 - of_y_hat * h)) - here) / h
            return np.zeros_like(here)

        largest = 0.0
        for variable in ((1.0, 0.0), (0.0, 1.0)):
            narrow, wide = slope(RELATIVE_STEP, *variable), slope(2 * RELATIVE_STEP, *variable)
            smooth = (narrow < 1.5 * wide) & (wide < 1.5 * narrow)
            largest = max(largest, float(np.max(narrow, where=smooth, initial=0.0)))
        return largest


def central_difference(
    model: Network, x: Array, d_y_hat: Array, name: str, index: tuple[int, ...], step: float = CENTRAL_STEP
) -> float:
    """d(Σ d_y_hat · ŷ)/dw of one weight element by the central difference through `model.forward`.

    For a weight above 1 the step is proportional to it. Unlike the complex step, the result has no digits below
    ε·L/h. The report shows it for comparison only.
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
