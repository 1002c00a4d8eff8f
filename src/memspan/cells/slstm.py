"""The sLSTM: input and forget gates are exponentials, and a is an average that they weight.

Beck et al. 2024 (arXiv:2405.04517). c is the weighted sum of the inputs g, and n is the sum of the weights.
Because exponentials overflow, both are stored divided by exp(m), where m is the larger of the two exponents:

    l = s_f + m[t-1]                   m[t] = max(l, s_i)
    i = exp(s_i - m[t])                f = exp(l - m[t])
    g = tanh(s_g)                      o = σ(s_o)
    c[t] = f c[t-1] + i g              n[t] = f n[t-1] + i
    a[t] = o c[t] / n[t]

At the first step, where n[t-1] = 0, there is nothing to forget, and l = s_i. So i or f is 1 at every step, n[t] is
never below 1, and 0/0 cannot occur. The paper also allows a logistic forget gate; here it is the exponential. R is
full; in the paper it is block diagonal, with one block per head.

Backward. The next step's parts of the gradients of c, n and m arrive as `d_c`, `d_n` and `d_m`:

    dL/ds_o = d_a · c/n · o (1 - o)
    dL/dc = d_c + d_a · o / n          dL/dn = d_n - d_a · o / n · c/n
    dL/ds_g = dL/dc · i · (1 - g²)     dL/dc[t-1] = dL/dc · f            dL/dn[t-1] = dL/dn · f
    I = (dL/dc · g + dL/dn) · i        F = (dL/dc · c[t-1] + dL/dn · n[t-1]) · f
    dL/dm = d_m - I - F

I and F are the gradients of the two exponents, s_i and l. dL/dm is added to that of the larger exponent. The
gradient of l passes to s_f and m[t-1], or to s_i at the first step. a does not depend on m, so dL/dm is 0 up to
rounding.
"""

from memspan.cells.activations import (
    exp,
    larger,
    one_minus,
    relu_derivative,
    sigmoid,
    sigmoid_derivative,
    tanh,
    tanh_derivative,
    where_positive,
)
from memspan.cells.base import Cell, Values


def forward(s: Values, previous: Values, unit: Values) -> tuple[Values, Values]:
    """One step: `(s_i, s_f, s_g, s_o), (a, c, n, m)[t-1] -> (a, c, n, m)[t], (i, f, g, o)`."""
    (s_i, s_f, s_g, s_o), (_, c, n, m) = s, previous
    decayed = where_positive(n, s_f + m, s_i)
    m = larger(decayed, s_i)
    i, f, g, o = exp(s_i - m), exp(decayed - m), tanh(s_g), sigmoid(s_o)
    c, n = f * c + i * g, f * n + i
    return (o * (c / n), c, n, m), (i, f, g, o)


def backward(
    d_state: Values, residuals: Values, previous: Values, state: Values, unit: Values
) -> tuple[Values, Values, Values]:
    """The backward equations of the module docstring, in the same order."""
    (d_a, d_c, d_n, d_m), (i, f, g, o), (_, c, n, _) = d_state, residuals, state
    mean, per_weight = c / n, d_a * o / n
    d_c, d_n = d_c + per_weight, d_n - per_weight * mean
    d_i, d_f = (d_c * g + d_n) * i, (d_c * previous[1] + d_n * previous[2]) * f
    d_m = d_m - d_i - d_f
    newer, begun = relu_derivative(one_minus(f)), relu_derivative(previous[2])  # 1 where positive, else 0
    d_i = d_i + newer * d_m
    d_f = d_f + one_minus(newer) * d_m
    d_gates = (
        d_i + one_minus(begun) * d_f,
        begun * d_f,
        d_c * i * tanh_derivative(g),
        d_a * mean * sigmoid_derivative(o),
    )
    return d_gates, (0.0, d_c * f, d_n * f, begun * d_f), ()


SLSTM = Cell(
    "slstm",
    ("i", "f", "g", "o"),
    ("a", "c", "n", "m"),
    forward,
    backward,
    "Beck et al. 2024",
    sigmoid_gates=("o",),  # the saved i and f are relative to the larger of the two exponentials
)
