"""The minimal GRU: gate and candidate depend on the input alone, so a is a weighted sum of past candidates.

Feng et al. 2024 (arXiv:2410.01201), in the sequential form. There is no R.

    z = σ(s_z)        h = s_h        a[t] = (1 - z) a[t-1] + z h

Backward. Along a the gradient is multiplied at each step by 1 - z alone:

    dL/ds_z = dL/da · (h - a[t-1]) · z (1 - z)
    dL/ds_h = dL/da · z                              dL/da[t-1] = dL/da · (1 - z)
"""

from memspan.cells.activations import one_minus, sigmoid, sigmoid_derivative
from memspan.cells.base import Cell, Values


def forward(s: Values, previous: Values, unit: Values) -> tuple[Values, Values]:
    """One step: `(s_z, s_h), (a,)[t-1] -> (a,)[t], (z, h)`."""
    z, h = sigmoid(s[0]), s[1]
    return (one_minus(z) * previous[0] + z * h,), (z, h)


def backward(
    d_state: Values, residuals: Values, previous: Values, state: Values, unit: Values
) -> tuple[Values, Values, Values]:
    """The backward equations of the module docstring, in the same order."""
    d_a, (z, h) = d_state[0], residuals
    d_z = d_a * (h - previous[0]) * sigmoid_derivative(z)
    return (d_z, d_a * z), (d_a * one_minus(z),), ()


MINGRU = Cell(
    "mingru", ("z", "h"), ("a",), forward, backward, "Feng et al. 2024", recurrent_gates=(), sigmoid_gates=("z",)
)
