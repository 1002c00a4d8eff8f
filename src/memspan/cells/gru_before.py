"""The gated recurrent unit as published: the reset comes before the product with R.

Cho et al. 2014 (arXiv:1406.1078, equations 5 to 8), with biases. R reads a[t-1] for r and z but q for the
candidate n, so one step has two linear maps, one after the other:

    r, z = σ(s_r), σ(s_z)            q = r a[t-1]
    n = tanh(s_n)                    a[t] = z a[t-1] + (1 - z) n

Backward. The network computes dL/dq = R dL/ds_n:

    dL/ds_n = dL/da · (1 - z) · (1 - n²)             dL/ds_z = dL/da · (a[t-1] - n) · z (1 - z)
    dL/ds_r = dL/dq · a[t-1] · r (1 - r)             dL/da[t-1] = dL/da · z + dL/dq · r
"""

from typing import Any

from memspan.cells.activations import one_minus, sigmoid, sigmoid_derivative, tanh, tanh_derivative
from memspan.cells.base import Cell, Reset, Values


def reset(s_first: Values, previous: Values, unit: Values) -> Any:
    """The reset state: `(s_r, s_z), (a,)[t-1] -> q`."""
    return sigmoid(s_first[0]) * previous[0]


def reset_back(d_q: Any, residuals: Values, previous: Values, unit: Values) -> tuple[Values, Values]:
    """The parts of dL/ds and dL/da[t-1] that pass through q."""
    r = residuals[0]
    return (d_q * previous[0] * sigmoid_derivative(r), 0.0), (d_q * r,)


def forward(s: Values, previous: Values, unit: Values) -> tuple[Values, Values]:
    """One step: `(s_r, s_z, s_n), (a,)[t-1] -> (a,)[t], (r, z, n, q)`."""
    s_r, s_z, s_n = s
    r, z, n = sigmoid(s_r), sigmoid(s_z), tanh(s_n)
    return (z * previous[0] + one_minus(z) * n,), (r, z, n, r * previous[0])


def backward(
    d_state: Values, residuals: Values, previous: Values, state: Values, unit: Values
) -> tuple[Values, Values, Values]:
    """The backward equations of the module docstring, without the parts that pass through q."""
    d_a, z, n = d_state[0], residuals[1], residuals[2]
    d_n = d_a * one_minus(z) * tanh_derivative(n)
    d_z = d_a * (previous[0] - n) * sigmoid_derivative(z)
    return (0.0, d_z, d_n), (d_a * z,), ()


GRU_BEFORE = Cell(
    "gru-before",
    ("r", "z", "n"),
    ("a",),
    forward,
    backward,
    "Cho et al. 2014",
    residuals=("r", "z", "n", "q"),
    reset=Reset(("n",), reset, reset_back),
    sigmoid_gates=("r", "z"),
)
