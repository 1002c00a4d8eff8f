"""Activation functions and their slopes.

Each slope takes the *value* of its function, not the argument: that is what a trace keeps. All of them keep
the dtype, branch on the real part only and never conjugate, so that the complex step
(`memspan.gradcheck`) passes through them.
"""

from typing import Any

import numpy as np

from memspan.axes import Array


def tanh(x: Any) -> Any:
    """Hyperbolic tangent."""
    return np.tanh(x)


def tanh_slope(a: Any) -> Any:
    """Slope of tanh where its value is `a`: `1 - a²`."""
    return 1 - a * a


def sigmoid(x: Any) -> Any:
    """Logistic function `1 / (1 + exp(-x))`, by the tangent: it cannot overflow, real or complex."""
    return 0.5 + 0.5 * np.tanh(0.5 * x)


def sigmoid_slope(g: Any) -> Any:
    """Slope of the logistic function where its value is `g`: `g (1 - g)`."""
    return g * (1 - g)


def relu(x: Array) -> Array:
    """The larger of `x` and 0."""
    return np.where(x.real > 0, x, 0)


def relu_slope(a: Array) -> Array:
    """Slope of relu where its value is `a`: 1 where `a` is positive, else 0 (at the kink too)."""
    return (a.real > 0).astype(a.dtype)
