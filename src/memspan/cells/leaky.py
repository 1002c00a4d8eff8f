"""The leaky integrator: a tanh unit that moves only part of the way to its new value at each step.

Jaeger 2001 (GMD report 148); Jaeger, Lukoševičius, Popovici & Siewert 2007 (doi:10.1016/j.neunet.2007.04.016).
These papers train only the readout of an echo state network; here all weights are trained. With the leaking rate
α,

    h = tanh(s_h)        a[t] = (1 - α) a[t-1] + α h

Backward. a[t-1] reaches a[t] through s and also directly, with the factor 1 - α:

    dL/ds_h = dL/da · α · (1 - h²)        dL/da[t-1] = dL/da · (1 - α)
"""

from memspan.cells.activations import one_minus, tanh, tanh_derivative
from memspan.cells.base import Cell, Values
from memspan.errors import real_number
from memspan.runtime.renamed import checked_keywords


def forward(s: Values, previous: Values, unit: Values) -> tuple[Values, Values]:
    """One step: `(s_h,), (a,)[t-1] -> (a,)[t], (h,)`."""
    alpha = unit[0]
    h = tanh(s[0])
    return (one_minus(alpha) * previous[0] + alpha * h,), (h,)


def backward(
    d_state: Values, residuals: Values, previous: Values, state: Values, unit: Values
) -> tuple[Values, Values, Values]:
    """The backward equations of the module docstring, in the same order."""
    d_a, alpha = d_state[0], unit[0]
    return (d_a * alpha * tanh_derivative(residuals[0]),), (d_a * one_minus(alpha),), ()


@checked_keywords()
def leaky(alpha: float = 0.1) -> Cell:
    """Return the leaky integrator.

    Parameters
    ----------
    alpha : float
        The leaking rate, above 0 and at most 1. The time constant is about 1/α steps; α = 1 is the simple
        recurrent cell.
    """
    constants = {"alpha": real_number("alpha", alpha, above=0, most=1)}
    source = "Jaeger 2001; Jaeger et al. 2007"
    return Cell("leaky", ("h",), ("a",), forward, backward, source, constants=constants)
