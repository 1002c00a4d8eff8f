"""Long short-term memory with a forget gate.

Hochreiter & Schmidhuber 1997 (doi:10.1162/neco.1997.9.8.1735); forget gate: Gers, Schmidhuber & Cummins 2000
(doi:10.1162/089976600300015015). One linear map gives the four gates, in PyTorch's order i, f, g, o:

    i, f, o = σ(s_i), σ(s_f), σ(s_o)        g = tanh(s_g)
    c[t] = f c[t-1] + i g                   a[t] = o tanh(c[t])

Backward. c[t] enters a[t] and c[t+1]; the part of the gradient through c[t+1] arrives as `d_c`:

    dL/dc = d_c + d_a · o · (1 - tanh²(c))
    dL/ds_i = dL/dc · g · i (1 - i)         dL/ds_f = dL/dc · c[t-1] · f (1 - f)
    dL/ds_g = dL/dc · i · (1 - g²)          dL/ds_o = d_a · tanh(c) · o (1 - o)
    dL/dc[t-1] = dL/dc · f

The last line is the point of the cell: along c the gradient is multiplied at each step by f alone.
"""

from memspan.cells.activations import sigmoid, sigmoid_derivative, tanh, tanh_derivative
from memspan.cells.base import Cell, Values
from memspan.errors import real_number
from memspan.runtime.renamed import checked_keywords


def forward(s: Values, previous: Values, unit: Values) -> tuple[Values, Values]:
    """One step: `(s_i, s_f, s_g, s_o), (a, c)[t-1] -> (a, c)[t], (i, f, g, o)`."""
    s_i, s_f, s_g, s_o = s
    i, f, g, o = sigmoid(s_i), sigmoid(s_f), tanh(s_g), sigmoid(s_o)
    c = f * previous[1] + i * g
    return (o * tanh(c), c), (i, f, g, o)


def backward(
    d_state: Values, residuals: Values, previous: Values, state: Values, unit: Values
) -> tuple[Values, Values, Values]:
    """The backward equations of the module docstring, in the same order."""
    (d_a, d_c), (i, f, g, o) = d_state, residuals
    tanh_c = tanh(state[1])
    d_c = d_c + d_a * o * tanh_derivative(tanh_c)
    d_i = d_c * g * sigmoid_derivative(i)
    d_f = d_c * previous[1] * sigmoid_derivative(f)
    d_g = d_c * i * tanh_derivative(g)
    d_o = d_a * tanh_c * sigmoid_derivative(o)
    return (d_i, d_f, d_g, d_o), (0.0, d_c * f), ()


@checked_keywords()
def lstm(forget_bias: float = 1.0) -> Cell:
    """Return the LSTM cell.

    Parameters
    ----------
    forget_bias : float
        Initial value of the forget gate's bias. At 0 the gate starts half open, and c halves at each step. The
        default 1 follows Gers et al. 2000 and Jozefowicz, Zaremba & Sutskever 2015 (section 5).
    """
    bias = {"f": real_number("forget_bias", forget_bias)}
    source = "Hochreiter & Schmidhuber 1997; Gers, Schmidhuber & Cummins 2000"
    gates = ("i", "f", "g", "o")
    return Cell("lstm", gates, ("a", "c"), forward, backward, source, bias=bias, sigmoid_gates=("i", "f", "o"))
