"""The gated recurrent unit, with the reset after the product with R.

Cho et al. 2014 (arXiv:1406.1078) reset a[t-1] before the product; that is `gru-before`. This is the variant of
cuDNN, PyTorch and Keras, where one linear map gives all gates. The recurrent part of the candidate, which r
scales, is a separate gate u; its bias is PyTorch's `b_hn`. W feeds n, r and z; R feeds r, z and u.

    r, z = σ(s_r), σ(s_z)            u = s_u
    n = tanh(s_n + r u)              a[t] = (1 - z) n + z a[t-1]

Backward.

    dL/ds_n = dL/da · (1 - z) · (1 - n²)             dL/ds_u = dL/ds_n · r
    dL/ds_r = dL/ds_n · u · r (1 - r)                dL/ds_z = dL/da · (a[t-1] - n) · z (1 - z)
    dL/da[t-1] = dL/da · z
"""

from memspan.cells.activations import one_minus, sigmoid, sigmoid_derivative, tanh, tanh_derivative
from memspan.cells.base import Cell, Values


def forward(s: Values, previous: Values, unit: Values) -> tuple[Values, Values]:
    """One step: `(s_n, s_r, s_z, s_u), (a,)[t-1] -> (a,)[t], (n, r, z, u)`."""
    s_n, s_r, s_z, u = s
    r, z = sigmoid(s_r), sigmoid(s_z)
    n = tanh(s_n + r * u)
    return (one_minus(z) * n + z * previous[0],), (n, r, z, u)


def backward(
    d_state: Values, residuals: Values, previous: Values, state: Values, unit: Values
) -> tuple[Values, Values, Values]:
    """The backward equations of the module docstring, in the same order."""
    d_a, (n, r, z, u) = d_state[0], residuals
    d_n = d_a * one_minus(z) * tanh_derivative(n)
    d_r = d_n * u * sigmoid_derivative(r)
    d_z = d_a * (previous[0] - n) * sigmoid_derivative(z)
    return (d_n, d_r, d_z, d_n * r), (d_a * z,), ()


GRU = Cell(
    "gru",
    ("n", "r", "z", "u"),
    ("a",),
    forward,
    backward,
    "Cho et al. 2014, as in cuDNN",
    input_gates=("n", "r", "z"),
    recurrent_gates=("r", "z", "u"),
    sigmoid_gates=("r", "z"),
)
