"""What the diagnostics start from: a forward pass in float64, or the gradients of a backward pass."""

import reprlib
from typing import Any

import numpy as np

from memspan.engines.parameters import Weights
from memspan.engines.readable import Gradients, Trace, unroll
from memspan.errors import InvalidArgument, shown
from memspan.network import Model
from memspan.network.steps import Steps, demand_finite
from memspan.shapes import Array


def traced(network: Model, x: Array) -> tuple[Weights, Trace]:
    """Run a network on `x` in float64, whatever its dtype; the network keeps its own trace.

    Parameters
    ----------
    network : Network or another Model
        Of another model the network of memspan's that computes the same.
    x : array [T, F] or [T, B, F]

    Returns
    -------
    Weights, Trace
        The weights in float64, and the trace.

    Raises
    ------
    InvalidArgument
        If `network` is no network or a complex one, if memspan has no cell that computes the same, if `x` does not
        fit it, or if a state is not finite.
    """
    network = _in_float64(network)
    known = network.built_in()
    if known is None:
        raise InvalidArgument("network", "one of a cell that memspan has", repr(network))
    trace = unroll(known.cell, known.weights, known.inputs(x))
    demand_finite(trace.states[:, 1:].swapaxes(0, 1))
    return known.weights, trace


def steps_of(network: Model, x: Array) -> Steps:
    """Run a network on `x` in float64, one step after the other.

    Raises
    ------
    InvalidArgument
        If `network` is no network or a complex one, if `x` does not fit it, or if a state is not finite.
    """
    network = _in_float64(network)
    return network.steps(network.inputs(x))


def _in_float64(network: Any) -> Model:
    if not isinstance(network, Model):
        raise InvalidArgument("network", "a Network", shown(network))
    if network.dtype.kind == "c":
        raise InvalidArgument("network", "one with real weights", repr(network))
    return network.astype(np.float64)


def checked_gradients(gradients: Any) -> Gradients:
    """Return the gradients of a backward pass. Raise `InvalidArgument` if it is something else."""
    if not isinstance(gradients, Gradients):
        rule = "the grads of a network, after its backward pass"
        raise InvalidArgument("gradients", rule, reprlib.repr(gradients))
    return gradients
