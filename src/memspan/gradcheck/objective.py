"""The scalar function whose gradient is checked, and its numerical derivatives.

Complex step (Squire & Trapp 1998, doi:10.1137/S003614459631241X): f(θ + ih) = f(θ) + ih f'(θ) + O(h²), so

    f'(θ) = Im f(θ + ih) / h

without a subtraction. With h = 1e-20 the O(h²) is far below rounding, and a gradient of 1e-200 keeps all its
digits. The central difference, (f(θ+h) - f(θ-h)) / 2h, loses those of anything below ε·f/h.
"""

import warnings
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from memspan.axes import Array
from memspan.network import Network

COMPLEX_STEP = 1e-20
CENTRAL_STEP = float(np.cbrt(np.finfo(np.float64).eps))  # balances truncation h² against rounding ε/h


class Loss(Protocol):
    """A loss in the manner of `memspan.MSELoss`."""

    def forward(self, y_hat: Any, y: Any, /) -> Any:
        """The loss, one number."""

    def backward(self) -> Any:
        """dL/dŷ at the last `forward`."""


@dataclass(frozen=True)
class Objective:
    """L(ŷ): a loss against labels, or without one the plain sum of the predictions (dL/dŷ = 1)."""

    loss: Loss | None
    y: Array | None

    def value(self, y_hat: Array) -> Any:
        """L, real or complex as the predictions are."""
        return y_hat.sum() if self.loss is None else self.loss.forward(y_hat, self.y)

    def derivative(self, y_hat: Array) -> Array:
        """dL/dŷ as the loss itself states it."""
        if self.loss is None:
            return np.ones_like(y_hat)
        self.loss.forward(y_hat, self.y)
        return np.asarray(self.loss.backward())

    def complex_step(self, y_hat: Array, direction: Array) -> float:
        """The derivative of L along `direction`, where that is dŷ times any small factor."""
        scale = np.abs(direction).max()
        if scale == 0:
            return 0.0
        value = self.value(y_hat + 1j * COMPLEX_STEP * (direction / scale))
        return float(np.imag(value) / COMPLEX_STEP * scale)


def complex_step(model: Network, objective: Objective, x: Array, name: str, indices: Array) -> Array:
    """dL/dw by the complex step for the elements `indices` (flat) of the weight `name`."""
    twin = model.astype(np.complex128)
    weight = getattr(twin, name).reshape(-1)
    gradient = np.empty(len(indices))
    with warnings.catch_warnings():
        # A cell that drops the imaginary part would make every derivative 0: that is an error, not a warning.
        warnings.simplefilter("error", np.exceptions.ComplexWarning)
        for k, index in enumerate(indices):
            kept = weight[index]
            weight[index] = kept + 1j * COMPLEX_STEP
            gradient[k] = np.imag(objective.value(twin.forward(x))) / COMPLEX_STEP
            weight[index] = kept
    return gradient


def central_difference(
    model: Network,
    objective: Objective,
    x: Array,
    name: str,
    indices: Array,
    step: float = CENTRAL_STEP,
) -> Array:
    """dL/dw by the central difference; the step grows with the weight where that is above 1."""
    twin = model.astype(np.float64)
    weight = getattr(twin, name).reshape(-1)
    gradient = np.empty(len(indices))
    for k, index in enumerate(indices):
        kept = weight[index]
        h = step * max(1.0, abs(kept))
        weight[index] = upper = kept + h
        above = objective.value(twin.forward(x))
        weight[index] = lower = kept - h
        below = objective.value(twin.forward(x))
        gradient[k] = (above - below) / (upper - lower)
        weight[index] = kept
    return gradient
