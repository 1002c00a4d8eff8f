"""The original long short-term memory, without a forget gate.

Hochreiter & Schmidhuber 1997 (doi:10.1162/neco.1997.9.8.1735).

    i, o = σ(s_i), σ(s_o)        g = 4σ(s_g) - 2 = 2 tanh(s_g / 2)
    c[t] = c[t-1] + i g          a[t] = o (2σ(c[t]) - 1) = o tanh(c[t] / 2)

The paper groups several cells under one pair of gates, feeds the gates of the previous step to the gates, and
truncates the gradient at the gates. Here every unit has its own gates, and the gradient is not truncated.

Backward. As for the LSTM with f = 1, with h = tanh(c/2):

    dL/dc = d_c + d_a · o · (1 - h²) / 2
    dL/ds_i = dL/dc · g · i (1 - i)      dL/ds_g = dL/dc · i · (1 - (g/2)²)
    dL/ds_o = d_a · h · o (1 - o)        dL/dc[t-1] = dL/dc

The last equation is the constant error carousel: along c the error neither fades nor grows.
"""

from memspan.cells.activations import sigmoid, sigmoid_derivative, tanh, tanh_derivative
from memspan.cells.base import Cell, Values


def forward(s: Values, previous: Values, unit: Values) -> tuple[Values, Values]:
    """One step: `(s_i, s_g, s_o), (a, c)[t-1] -> (a, c)[t], (i, g, o)`."""
    (s_i, s_g, s_o), (two, half) = s, unit
    i, g, o = sigmoid(s_i), two * tanh(half * s_g), sigmoid(s_o)
    c = previous[1] + i * g
    return (o * tanh(half * c), c), (i, g, o)


def backward(
    d_state: Values, residuals: Values, previous: Values, state: Values, unit: Values
) -> tuple[Values, Values, Values]:
    """The backward equations of the module docstring, in the same order."""
    (d_a, d_c), (i, g, o), (_, half) = d_state, residuals, unit
    h = tanh(half * state[1])
    d_c = d_c + d_a * o * half * tanh_derivative(h)
    d_i = d_c * g * sigmoid_derivative(i)
    d_g = d_c * i * tanh_derivative(half * g)
    d_o = d_a * h * sigmoid_derivative(o)
    return (d_i, d_g, d_o), (0.0, d_c), ()


LSTM_1997 = Cell(
    "lstm-1997",
    ("i", "g", "o"),
    ("a", "c"),
    forward,
    backward,
    "Hochreiter & Schmidhuber 1997",
    constants={"two": 2.0, "half": 0.5},
    sigmoid_gates=("i", "o"),
)
