"""The linear recurrent unit: each unit is an independent damped oscillation, and there is no R.

Orvieto et al. 2023 (arXiv:2303.06349). The state a + ic is complex, and each step multiplies it by λ:

    λ = exp(-exp(ν)) (cos θ + i sin θ)
    a[t] + i c[t] = λ (a[t-1] + i c[t-1]) + exp(γ) (s_a + i s_c)

For every ν, |λ| < 1: the state fades and never explodes. ν, θ and γ are trained and start as in the paper: λ on a
ring (here |λ| from 0.9 to 0.999, at any angle), and exp(γ) = √(1 - |λ|²). The paper trains the logarithm of the
angle. Here the angle itself is trained, which keeps more digits of λ and of its powers.

This is the unit alone, without the paper's architecture (several layers, each with a normalisation, a gated
feed-forward part and a skip connection). The input map has a bias. The readout reads the real part a, where the
paper reads Re(C (a + ic)) with a complex C. With one output both give the same set of functions, because the angle
of C can be moved into the input map.

Backward. With d = dL/da, e = dL/dc and λ = p + iq:

    dL/ds_a = exp(γ) d        dL/ds_c = exp(γ) e
    dL/da[t-1] = p d + q e    dL/dc[t-1] = p e - q d
    dL/dp = d a[t-1] + e c[t-1]        dL/dq = e a[t-1] - d c[t-1]
    dL/dν = -exp(ν) (p dL/dp + q dL/dq)        dL/dθ = p dL/dq - q dL/dp
    dL/dγ = exp(γ) (d s_a + e s_c)
"""

import numpy as np

from memspan.cells.activations import cos, exp, sin
from memspan.cells.base import Cell, Values
from memspan.shapes import Array

RING = (0.9, 0.999)
"""The smallest and the largest initial |λ|."""


def forward(s: Values, previous: Values, unit: Values) -> tuple[Values, Values]:
    """One step: `(s_a, s_c), (a, c)[t-1] -> (a, c)[t], (s_a, s_c)`."""
    (s_a, s_c), (a, c), (nu, theta, gamma) = s, previous, unit
    size, scale = exp(-exp(nu)), exp(gamma)
    p, q = size * cos(theta), size * sin(theta)
    return (p * a - q * c + scale * s_a, q * a + p * c + scale * s_c), (s_a, s_c)


def backward(
    d_state: Values, residuals: Values, previous: Values, state: Values, unit: Values
) -> tuple[Values, Values, Values]:
    """The backward equations of the module docstring, in the same order."""
    (d, e), (s_a, s_c), (a, c), (nu, theta, gamma) = d_state, residuals, previous, unit
    rate, scale = exp(nu), exp(gamma)
    p, q = exp(-rate) * cos(theta), exp(-rate) * sin(theta)
    d_p, d_q = d * a + e * c, e * a - d * c
    d_nu, d_theta = -rate * (p * d_p + q * d_q), p * d_q - q * d_p
    d_gamma = scale * (d * s_a + e * s_c)
    return (scale * d, scale * e), (p * d + q * e, p * e - q * d), (d_nu, d_theta, d_gamma)


def ring(rng: np.random.Generator, hidden: int) -> Array:
    """Draw λ uniformly over the area of the ring; γ gives the state the variance of a white-noise input."""
    inner, outer = RING
    size = np.sqrt(rng.uniform(inner**2, outer**2, hidden))
    angle = rng.uniform(-np.pi, np.pi, hidden)
    return np.stack([np.log(-np.log(size)), angle, np.log(1 - size**2) / 2])


LRU = Cell(
    "lru",
    ("a_in", "c_in"),
    ("a", "c"),
    forward,
    backward,
    "Orvieto et al. 2023",
    recurrent_gates=(),
    unit_weights=("nu", "theta", "gamma"),
    unit_init=ring,
)
