"""The simple recurrent cell, with three activations (Elman 1990, doi:10.1207/s15516709cog1402_1).

    a[t] = f(s[t])        f(s) = tanh(s), max(s, 0), or s

The one gate and the one state are the same quantity, `a`.

Backward. With f' written as a function of a,

    dL/ds[t] = dL/da[t] · f'(a[t])

a[t-1] reaches a[t] only through s[t].
"""

from memspan.cells.activations import relu, relu_derivative, tanh, tanh_derivative
from memspan.cells.base import Cell, Values

Step = tuple[Values, Values]
Backward = tuple[Values, Values, Values]


def tanh_forward(s: Values, previous: Values, unit: Values) -> Step:
    """a = tanh(s)."""
    return (tanh(s[0]),), ()


def tanh_backward(d_state: Values, residuals: Values, previous: Values, state: Values, unit: Values) -> Backward:
    """ds = da (1 - a²)."""
    return (d_state[0] * tanh_derivative(state[0]),), (0.0,), ()


def relu_forward(s: Values, previous: Values, unit: Values) -> Step:
    """a = max(s, 0)."""
    return (relu(s[0]),), ()


def relu_backward(d_state: Values, residuals: Values, previous: Values, state: Values, unit: Values) -> Backward:
    """ds = da where a > 0, else 0."""
    return (d_state[0] * relu_derivative(state[0]),), (0.0,), ()


def linear_forward(s: Values, previous: Values, unit: Values) -> Step:
    """a = s."""
    return (s[0],), ()


def linear_backward(d_state: Values, residuals: Values, previous: Values, state: Values, unit: Values) -> Backward:
    """ds = da."""
    return (d_state[0],), (0.0,), ()


RNN_TANH = Cell("rnn", ("a",), ("a",), tanh_forward, tanh_backward, "Elman 1990", residuals=())
RNN_RELU = Cell(
    "rnn-relu", ("a",), ("a",), relu_forward, relu_backward, "Le, Jaitly & Hinton 2015", (), init="identity"
)
RNN_LINEAR = Cell("rnn-linear", ("a",), ("a",), linear_forward, linear_backward, "closed-form reference", ())
