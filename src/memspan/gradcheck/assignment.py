"""The two gradients that the assignment (Kratzert 2019) compares, for any model with the assignment's methods."""

import copy
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from memspan.errors import plain_array, real_number
from memspan.runtime.renamed import checked_keywords
from memspan.shapes import Array


class AssignmentRNN(Protocol):
    """The methods of the RNN class in the assignment (Kratzert 2019)."""

    def forward(self, x: Array, /) -> Array:
        """Return the predictions ŷ."""

    def backward(self, d_loss: Array, /) -> Mapping[str, Array]:
        """Return the gradients by name."""

    def get_weights(self) -> dict[str, Array]:
        """Return the weights by name."""

    def set_weights(self, weights: dict[str, Array], /) -> Any:
        """Set the weights by name."""


@checked_keywords()
def get_analytical_gradient(model: AssignmentRNN, x: Array) -> dict[str, Array]:
    """Return the gradient of the sum of the outputs by back-propagation, averaged over the batch.

    Parameters
    ----------
    model : RNN, or any object with its methods
        Not changed.
    x : array [T, F] or [T, B, F]
        Input sequence(s).

    Returns
    -------
    dict
        `d_V`, `d_W`, `d_R`, `d_bs` and `d_by`, each of its weight's shape, for dL/dŷ = 1; summed over time and
        averaged over the batch.
    """
    model, batch = copy.deepcopy(model), _batch_size(plain_array("x", x))
    y_hat = model.forward(x)
    d_loss = np.ones_like(y_hat if np.ndim(x) == 3 else np.ravel(y_hat))
    gradients = model.backward(d_loss)
    return {
        name: (gradient.sum(axis=0) if gradient.ndim == 3 else gradient) / batch
        for name, gradient in gradients.items()
    }


@checked_keywords()
def get_numerical_gradient(model: AssignmentRNN, x: Array, eps: float | None = None) -> dict[str, Array]:
    """Return the same gradient by the central difference (f(w + eps) - f(w - eps)) / 2 eps, weight by weight.

    Parameters
    ----------
    model : RNN, or any object with its methods
        Not changed.
    x : array [T, F] or [T, B, F]
        Input sequence(s).
    eps : float, optional
        The step. The error is about eps² from truncation and 1e-16/eps from rounding; the default, 6e-6, balances
        the two. (In float32, where rounding is 1e-7, the default is 5e-3.)

    Returns
    -------
    dict
        The same keys and shapes as `get_analytical_gradient`.
    """
    model, batch = copy.deepcopy(model), _batch_size(plain_array("x", x))
    weights = model.get_weights()
    rounding = max(np.finfo(weight.dtype).eps for weight in weights.values())
    eps = float(np.cbrt(rounding)) if eps is None else real_number("eps", eps, above=0)

    def mean_output(name: str, index: tuple[int, ...], change: float) -> float:
        varied = weights[name].copy()
        varied[index] += change
        model.set_weights({**weights, name: varied})
        return float(model.forward(x).sum()) / batch

    gradients = {f"d_{name}": np.zeros_like(weight) for name, weight in weights.items()}
    for name, weight in weights.items():
        for index in np.ndindex(weight.shape):
            difference = mean_output(name, index, eps) - mean_output(name, index, -eps)
            gradients[f"d_{name}"][index] = difference / (2 * eps)
    return gradients


def _batch_size(x: Array) -> int:
    return np.shape(x)[1] if np.ndim(x) == 3 else 1
