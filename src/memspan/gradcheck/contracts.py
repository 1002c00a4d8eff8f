"""What every backward pass must keep, whatever its numbers.

These see what no comparison of one gradient with another can: a clip that is not reached, a buffer that the
next call overwrites.
"""

from collections.abc import Iterator

import numpy as np

from memspan.axes import Array
from memspan.gradcheck.report import Comparison
from memspan.network import Network

HUGE = 2.0**60  # multiplying by a power of two is exact, so a linear map must commute with it to the last bit


def contract_comparisons(model: Network, x: Array, d_loss: Array) -> Iterator[Comparison]:
    """One comparison for each contract and weight: shape, ownership, repeat, linear.

    Parameters
    ----------
    model : Network
        Its `forward` and `backward` are called several times.
    x : array [T, B, F]
    d_loss : array [B, O]
    """
    weights = model.get_weights()
    model.forward(x)
    first = model.backward(d_loss)
    seen = {name: gradient.copy() for name, gradient in first.items()}
    owners = {"the weights": model.parameters, "the inputs": x, "d_loss": d_loss}
    if model.trace is not None:
        owners |= {"the trace": model.trace.states, "the trace's gates": model.trace.gates}
    second = _backward(model, x, d_loss)
    scaled = _backward(model, x, d_loss * HUGE)
    silent = _backward(model, x, np.zeros_like(d_loss))
    for name, shape in model.layout.shapes.items():
        key = f"d_{name}"
        expected = (len(x), *shape) if name in ("W", "R", "bs") else shape
        fits = seen[key].shape == expected and seen[key].dtype == model.dtype
        yield _verdict(name, "shape", fits, f"{seen[key].shape} {seen[key].dtype}, expected {expected}")
        lenders = [owner for owner, array in owners.items() if np.shares_memory(first[key], array)]
        changed = not np.array_equal(first[key], seen[key], equal_nan=True)
        shared = f"shares memory with {', '.join(lenders)}" if lenders else "overwritten by a later backward"
        yield _verdict(name, "ownership", not lenders and not changed, shared)
        same = np.array_equal(seen[key], second[key], equal_nan=True)
        same &= np.array_equal(weights[name], getattr(model, name))
        yield _verdict(name, "repeat", same, "a second pass gives another gradient, or changed the weight")
        linear = np.array_equal(seen[key] * HUGE, scaled[key], equal_nan=True) and not silent[key].any()
        yield _verdict(name, "linear", linear, "not proportional to dL/dŷ")


def _backward(model: Network, x: Array, d_loss: Array) -> dict[str, Array]:
    """Copies of the gradients, which a later call cannot change."""
    model.forward(x)
    return {name: gradient.copy() for name, gradient in model.backward(d_loss).items()}


def _verdict(weight: str, contract: str, passed: bool, otherwise: str) -> Comparison:
    return Comparison(weight, contract, bool(passed), note="" if passed else otherwise)
