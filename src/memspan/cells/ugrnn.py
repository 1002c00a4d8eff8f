"""The update gate RNN: a tanh unit with one gate, the fraction of the old value that is kept.

Collins, Sohl-Dickstein & Sussillo 2017 (arXiv:1611.09913).

    g = σ(s_g)        h = tanh(s_h)        a[t] = g a[t-1] + (1 - g) h

Backward.

    dL/ds_g = dL/da · (a[t-1] - h) · g (1 - g)
    dL/ds_h = dL/da · (1 - g) · (1 - h²)             dL/da[t-1] = dL/da · g
"""

from memspan.cells.activations import one_minus, sigmoid, sigmoid_derivative, tanh, tanh_derivative
from memspan.cells.base import Cell, Values


def forward(s: Values, previous: Values, unit: Values) -> tuple[Values, Values]:
    """One step: `(s_g, s_h), (a,)[t-1] -> (a,)[t], (g, h)`."""
    g, h = sigmoid(s[0]), tanh(s[1])
    return (g * previous[0] + one_minus(g) * h,), (g, h)


def backward(
    d_state: Values, residuals: Values, previous: Values, state: Values, unit: Values
) -> tuple[Values, Values, Values]:
    """The backward equations of the module docstring, in the same order."""
    d_a, (g, h) = d_state[0], residuals
    d_g = d_a * (previous[0] - h) * sigmoid_derivative(g)
    return (d_g, d_a * one_minus(g) * tanh_derivative(h)), (d_a * g,), ()


UGRNN = Cell(
    "ugrnn", ("g", "h"), ("a",), forward, backward, "Collins, Sohl-Dickstein & Sussillo 2017", sigmoid_gates=("g",)
)
