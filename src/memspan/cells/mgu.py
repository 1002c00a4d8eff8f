"""The minimal gated unit: one gate both resets and forgets.

Zhou, Wu, Zhang & Zhou 2016 (arXiv:1603.09420). As in `gru-before`, R reads q for the candidate h:

    f = σ(s_f)        q = f a[t-1]
    h = tanh(s_h)     a[t] = (1 - f) a[t-1] + f h

Backward. The network computes dL/dq = R dL/ds_h:

    dL/ds_h = dL/da · f · (1 - h²)
    dL/ds_f = (dL/da · (h - a[t-1]) + dL/dq · a[t-1]) · f (1 - f)
    dL/da[t-1] = dL/da · (1 - f) + dL/dq · f
"""

from typing import Any

from memspan.cells.activations import one_minus, sigmoid, sigmoid_derivative, tanh, tanh_derivative
from memspan.cells.base import Cell, Reset, Values


def reset(s_first: Values, previous: Values, unit: Values) -> Any:
    """The reset state: `(s_f,), (a,)[t-1] -> q`."""
    return sigmoid(s_first[0]) * previous[0]


def reset_back(d_q: Any, residuals: Values, previous: Values, unit: Values) -> tuple[Values, Values]:
    """The parts of dL/ds and dL/da[t-1] that pass through q."""
    f = residuals[0]
    return (d_q * previous[0] * sigmoid_derivative(f),), (d_q * f,)


def forward(s: Values, previous: Values, unit: Values) -> tuple[Values, Values]:
    """One step: `(s_f, s_h), (a,)[t-1] -> (a,)[t], (f, h, q)`."""
    f, h = sigmoid(s[0]), tanh(s[1])
    return (one_minus(f) * previous[0] + f * h,), (f, h, f * previous[0])


def backward(
    d_state: Values, residuals: Values, previous: Values, state: Values, unit: Values
) -> tuple[Values, Values, Values]:
    """The backward equations of the module docstring, without the parts that pass through q."""
    d_a, f, h = d_state[0], residuals[0], residuals[1]
    d_f = d_a * (h - previous[0]) * sigmoid_derivative(f)
    return (d_f, d_a * f * tanh_derivative(h)), (d_a * one_minus(f),), ()


MGU = Cell(
    "mgu",
    ("f", "h"),
    ("a",),
    forward,
    backward,
    "Zhou, Wu, Zhang & Zhou 2016",
    residuals=("f", "h", "q"),
    reset=Reset(("h",), reset, reset_back),
    sigmoid_gates=("f",),
)
