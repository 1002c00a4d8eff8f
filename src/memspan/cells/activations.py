"""Activation functions and their derivatives.

Each derivative takes the *value* of its function, not the argument, because a trace keeps the value. All functions
keep the dtype, branch on the real part only and never conjugate, so the complex step (`memspan.gradcheck`) passes
through them.
"""

from typing import Any

import numpy as np

from memspan.shapes import Array


def tanh(x: Any) -> Any:
    """Hyperbolic tangent."""
    return np.tanh(x)


def tanh_derivative(a: Any) -> Any:
    """Derivative of tanh where its value is `a`: `1 - a²`."""
    return 1 - a * a


def exp(x: Any) -> Any:
    """Exponential function; its derivative is its value."""
    return np.exp(x)


def decay(x: Any) -> Any:
    """`exp(-|x|)`, which never overflows."""
    return np.exp(np.where(x.real < 0, x, -x))


def sigmoid(x: Any) -> Any:
    """Logistic function `1 / (1 + exp(-x))`, accurate for large arguments of either sign."""
    e = decay(x)
    return np.where(x.real < 0, e, 1) / (1 + e)


def sigmoid_derivative(g: Any) -> Any:
    """Derivative of the logistic function where its value is `g`: `g (1 - g)`."""
    return g * (1 - g)


def softplus(x: Any) -> Any:
    """Smooth relu `log(1 + exp(x))`, by arctanh: NumPy's complex log1p is inaccurate for small arguments."""
    e = decay(x)  # decay uses exp(-x) at 0, so both terms take the same side there
    return np.where(x.real < 0, 0, x) + 2 * np.arctanh(e / (2 + e))


def softplus_derivative(a: Any) -> Any:
    """Derivative of softplus where its value is `a`: `1 - exp(-a)`."""
    return -np.expm1(-a)


def relu(x: Array) -> Array:
    """The larger of `x` and 0; NaN stays NaN."""
    return np.where(x.real <= 0, 0, x)


def relu_derivative(a: Array) -> Array:
    """Derivative of relu where its value is `a`: 1 where `a` is positive, else 0 (also at the kink)."""
    return (a.real > 0).astype(a.dtype)


def one_minus(x: Any) -> Any:
    """`1 - x`. Cells call this because a literal 1 in a compiled cell would turn float32 into float64."""
    return 1 - x


def larger(x: Any, y: Any) -> Any:
    """Whichever of `x` and `y` has the larger real part; `x` if these are equal."""
    return np.where(x.real >= y.real, x, y)


def where_positive(condition: Any, x: Any, y: Any) -> Any:
    """`x` where the real part of `condition` is positive, else `y`."""
    return np.where(condition.real > 0, x, y)


def cos(x: Any) -> Any:
    """Cosine; its derivative is minus the sine."""
    return np.cos(x)


def sin(x: Any) -> Any:
    """Sine; its derivative is the cosine."""
    return np.sin(x)
