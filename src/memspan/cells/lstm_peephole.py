"""The LSTM with peepholes: each gate reads c of the same unit through a per-unit weight.

Gers, Schraudolph & Schmidhuber 2002 (JMLR 3:115-143). The input and forget gates read c[t-1]; the output gate
reads c[t]:

    i, f = σ(s_i + p_i c[t-1]), σ(s_f + p_f c[t-1])        g = tanh(s_g)
    c[t] = f c[t-1] + i g        o = σ(s_o + p_o c[t])     a[t] = o tanh(c[t])

The equations and the full gradient are those of the "vanilla LSTM" of Greff et al. 2017
(doi:10.1109/TNNLS.2016.2582924); the 2002 paper truncates the gradient.

Backward. c[t] enters a[t], the output gate, c[t+1] and the gates of step t+1. The part of the gradient through
step t+1 arrives as `d_c`:

    dL/ds_o = d_a · tanh(c) · o (1 - o)
    dL/dc = d_c + d_a · o · (1 - tanh²(c)) + dL/ds_o · p_o
    dL/ds_i = dL/dc · g · i (1 - i)         dL/ds_f = dL/dc · c[t-1] · f (1 - f)
    dL/ds_g = dL/dc · i · (1 - g²)
    dL/dc[t-1] = dL/dc · f + dL/ds_i · p_i + dL/ds_f · p_f
    dL/dp_i, dp_f, dp_o = dL/ds_i · c[t-1], dL/ds_f · c[t-1], dL/ds_o · c[t]
"""

import numpy as np

from memspan.cells.activations import sigmoid, sigmoid_derivative, tanh, tanh_derivative
from memspan.cells.base import Cell, Values
from memspan.cells.initializers import uniform
from memspan.shapes import Array


def forward(s: Values, previous: Values, unit: Values) -> tuple[Values, Values]:
    """One step: `(s_i, s_f, s_g, s_o), (a, c)[t-1] -> (a, c)[t], (i, f, g, o)`."""
    (s_i, s_f, s_g, s_o), (p_i, p_f, p_o) = s, unit
    before = previous[1]
    i, f, g = sigmoid(s_i + p_i * before), sigmoid(s_f + p_f * before), tanh(s_g)
    c = f * before + i * g
    o = sigmoid(s_o + p_o * c)
    return (o * tanh(c), c), (i, f, g, o)


def backward(
    d_state: Values, residuals: Values, previous: Values, state: Values, unit: Values
) -> tuple[Values, Values, Values]:
    """The backward equations of the module docstring, in the same order."""
    (d_a, d_c), (i, f, g, o), (p_i, p_f, p_o) = d_state, residuals, unit
    before, c = previous[1], state[1]
    tanh_c = tanh(c)
    d_o = d_a * tanh_c * sigmoid_derivative(o)
    d_c = d_c + d_a * o * tanh_derivative(tanh_c) + d_o * p_o
    d_i = d_c * g * sigmoid_derivative(i)
    d_f = d_c * before * sigmoid_derivative(f)
    d_g = d_c * i * tanh_derivative(g)
    d_before = d_c * f + d_i * p_i + d_f * p_f
    return (d_i, d_f, d_g, d_o), (0.0, d_before), (d_i * before, d_f * before, d_o * c)


def small(rng: np.random.Generator, hidden: int) -> Array:
    """Draw peephole weights from U(-0.2, 0.2), as the other weights; at 0 the gates would not depend on c."""
    return uniform(rng, 3, hidden)


LSTM_PEEPHOLE = Cell(
    "lstm-peephole",
    ("i", "f", "g", "o"),
    ("a", "c"),
    forward,
    backward,
    "Gers, Schraudolph & Schmidhuber 2002",
    unit_weights=("p_i", "p_f", "p_o"),
    bias={"f": 1.0},
    unit_init=small,
    sigmoid_gates=("i", "f", "o"),
)
