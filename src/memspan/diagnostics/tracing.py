"""What the diagnostics start from: a forward pass in float64, or the gradients of a backward pass."""

import reprlib
from typing import Any

import numpy as np

from memspan.engines.parameters import Weights
from memspan.engines.readable import Gradients, Trace, unroll
from memspan.errors import InvalidArgument, shown
from memspan.network import Network
from memspan.shapes import Array


def traced(network: Network, x: Array) -> tuple[Weights, Trace]:
    """Run a network on `x` in float64, whatever its dtype; the network keeps its own trace.

    Parameters
    ----------
    network : Network
    x : array [T, F] or [T, B, F]

    Returns
    -------
    Weights, Trace
        The weights in float64, and the trace.

    Raises
    ------
    InvalidArgument
        If `network` is no network or a complex one, if `x` does not fit it, or if a state is not finite.
    """
    if not isinstance(network, Network):
        raise InvalidArgument("network", "a Network", shown(network))
    if network.dtype.kind == "c":
        raise InvalidArgument("network", "one with real weights", repr(network))
    network = network.astype(np.float64)
    trace = unroll(network.cell, network.weights, network.inputs(x))
    finite = np.isfinite(trace.states[:, 1:]).all(axis=(0, 2, 3))
    if not finite.all():
        rule = "one whose states stay finite on x"
        raise InvalidArgument("network", rule, f"infinity or NaN after time step {int(np.argmin(finite)) + 1}")
    return network.weights, trace


def checked_gradients(gradients: Any) -> Gradients:
    """Return the gradients of a backward pass. Raise `InvalidArgument` if it is something else."""
    if not isinstance(gradients, Gradients):
        rule = "the grads of a network, after its backward pass"
        raise InvalidArgument("gradients", rule, reprlib.repr(gradients))
    return gradients
