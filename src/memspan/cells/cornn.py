"""The coupled oscillatory RNN: each unit is a driven, damped oscillator with position a and velocity z.

Rusch & Mishra 2021 (arXiv:2010.00951). R reads both a and z, so it has 2H rows. The paper gives two
discretisations. This is the one with explicit damping, which the authors' code uses: first the new velocity from
the old position, then the new position from the new velocity.

    h = tanh(s_h)
    z[t] = z[t-1] + Δt (h - γ a[t-1] - ε z[t-1])        a[t] = a[t-1] + Δt z[t]

Backward. z[t] enters a[t] and the next step, whose part of the gradient arrives as `d_z`:

    dL/dz = d_z + d_a · Δt                              dL/ds_h = dL/dz · Δt · (1 - h²)
    dL/da[t-1] = d_a - dL/dz · Δt γ                     dL/dz[t-1] = dL/dz · (1 - Δt ε)
"""

from memspan.cells.activations import one_minus, tanh, tanh_derivative
from memspan.cells.base import Cell, Values
from memspan.errors import real_number
from memspan.runtime.renamed import checked_keywords


def forward(s: Values, previous: Values, unit: Values) -> tuple[Values, Values]:
    """One step: `(s_h,), (a, z)[t-1] -> (a, z)[t], (h,)`."""
    (a, z), (dt, gamma, epsilon) = previous, unit
    h = tanh(s[0])
    z = z + dt * (h - gamma * a - epsilon * z)
    return (a + dt * z, z), (h,)


def backward(
    d_state: Values, residuals: Values, previous: Values, state: Values, unit: Values
) -> tuple[Values, Values, Values]:
    """The backward equations of the module docstring, in the same order."""
    (d_a, d_z), (dt, gamma, epsilon) = d_state, unit
    d_z = d_z + d_a * dt
    d_h = d_z * dt * tanh_derivative(residuals[0])
    return (d_h,), (d_a - d_z * (dt * gamma), d_z * one_minus(dt * epsilon)), ()


@checked_keywords()
def cornn(dt: float = 0.042, gamma: float = 2.7, epsilon: float = 4.7) -> Cell:
    """Return the coupled oscillatory RNN. The defaults are the authors' values for sequential MNIST.

    Parameters
    ----------
    dt : float
        Δt, the time step.
    gamma : float
        The restoring force per unit of displacement.
    epsilon : float
        The damping coefficient.
    """
    constants = {
        "dt": real_number("dt", dt, above=0),
        "gamma": real_number("gamma", gamma, above=0),
        "epsilon": real_number("epsilon", epsilon, above=0),
    }
    return Cell(
        "cornn",
        ("h",),
        ("a", "z"),
        forward,
        backward,
        "Rusch & Mishra 2021",
        reads=("a", "z"),
        constants=constants,
    )
