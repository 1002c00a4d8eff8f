"""A cell of your own: a leaky integrator whose leak is a gate.

h = tanh(s_h)    g = sigmoid(s_g)    where s = Wᵀ x[t] + Rᵀ a[t-1] + b_s is memspan's part
a[t] = (1 - g) a[t-1] + g h
"""

from memspan import Cell
from memspan.cells.activations import one_minus, sigmoid, sigmoid_derivative, tanh, tanh_derivative


def forward(s, previous, unit):
    """One step, for each unit alone: return the new states, and the values that `backward` needs."""
    h, g = tanh(s[0]), sigmoid(s[1])
    return (one_minus(g) * previous[0] + g * h,), (h, g)


def backward(d_state, residuals, previous, state, unit):
    """From dL/da[t]: return dL/ds, the part of dL/da[t-1] that does not pass through s, and no unit weights."""
    d_a, (h, g) = d_state[0], residuals
    d_h = d_a * g * tanh_derivative(h)
    d_g = d_a * (h - previous[0]) * sigmoid_derivative(g)
    return (d_h, d_g), (d_a * one_minus(g),), ()


mine = Cell(
    "mine",
    gates=("h", "g"),  # in the order of s
    states=("a",),  # the first one is the output
    forward=forward,
    backward=backward,
    source="the publication that it comes from",
)
