"""The contracts that every correct forward and backward pass satisfies, for any numbers.

They find mistakes that no comparison of two gradients can find: a clip that these gradients do not reach, a buffer
that the next call overwrites, a trace of another network.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from memspan.gradcheck.assignment import AssignmentRNN
from memspan.gradcheck.oracle import Oracle
from memspan.gradcheck.report import Comparison, relative
from memspan.network import Network
from memspan.shapes import Array

HUGE = 2.0**60  # multiplying by a power of two is exact, so a linear map must commute with it to the last bit


def contract_comparisons(
    model: AssignmentRNN, x: Array, d_loss: Array, least: float, shapes: Mapping[str, Sequence[tuple[int, ...]]]
) -> Iterator[Comparison]:
    """Check the contracts shape, finite, ownership, repeat and linear for each weight.

    Parameters
    ----------
    model : Network, or any object with the methods of the assignment's RNN
        Its `forward` and `backward` are called several times.
    x : array [T, B, F]
    d_loss : array [B, O]
    least : float
        The smallest number for which products of the backward pass keep all digits.
    shapes : dict
        The permitted shapes of each weight's gradient.
    """
    weights = model.get_weights()
    model.forward(x)
    first = model.backward(d_loss)
    seen = {name: gradient.copy() for name, gradient in first.items()}
    owners = {"the inputs": x, "d_loss": d_loss} | _arrays_of(model)
    second = _backward(model, x, d_loss)
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = _backward(model, x, d_loss * HUGE)
        proportional = {name: gradient * HUGE for name, gradient in seen.items()}
    silent = _backward(model, x, np.zeros_like(d_loss))
    after = model.get_weights()
    for name, permitted in shapes.items():
        key = f"d_{name}"
        fits = seen[key].shape in permitted and seen[key].dtype == weights[name].dtype
        expected = " or ".join(map(str, permitted))
        yield _verdict(name, "shape", fits, f"{seen[key].shape} {seen[key].dtype}, expected {expected}")
        finite = np.isfinite(seen[key])
        yield _verdict(name, "finite", finite.all(), f"{finite.size - finite.sum()} elements are not finite")
        lenders = [owner for owner, array in owners.items() if np.shares_memory(first[key], array)]
        changed = not np.array_equal(first[key], seen[key], equal_nan=True)
        shared = f"shares memory with {', '.join(lenders)}" if lenders else "overwritten by a later backward"
        yield _verdict(name, "ownership", not lenders and not changed, shared)
        same = np.array_equal(seen[key], second[key], equal_nan=True)
        same &= np.array_equal(weights[name], after[name])
        yield _verdict(name, "repeat", same, "a second pass gives another gradient or changes the weight")
        # Elements that overflow in the larger pass or lose digits in the smaller one are not compared.
        in_range = np.isfinite(scaled[key]) & (np.abs(seen[key]) >= least)
        linear = np.array_equal(scaled[key][in_range], proportional[key][in_range]) and not silent[key].any()
        yield _verdict(name, "linear", linear, "not proportional to dL/dŷ")


def trajectory_comparison(oracle: Oracle, allowed: float) -> Comparison:
    """Check that each recorded state follows from the recorded state before it, and ŷ from the last states."""
    trace, V, by = oracle.trace, oracle.weights.V, oracle.weights.by
    state, residuals = oracle.pointwise()
    recorded = np.concatenate([trace.states[:, 1:], trace.residuals])
    difference = np.abs(np.stack([*state, *residuals]) - recorded).max(axis=(0, 2, 3))
    scale = np.maximum(oracle.terms.max(axis=(1, 2)), np.abs(recorded).max(axis=(0, 2, 3)))
    a = trace.a[-len(trace.y_hat) :]
    output_steps = np.abs(a @ V + by.T - trace.y_hat).max()
    read_out_scale = (np.abs(a) @ np.abs(V) + np.abs(by.T)).max()
    errors = relative(np.append(difference, output_steps), np.append(scale, read_out_scale))
    worst = int(errors.argmax())
    weight, step = ("a", worst) if worst < len(trace.x) else ("y_hat", None)
    passed = bool(errors[worst] <= allowed)
    return Comparison(weight, "trajectory", passed, float(errors[worst]), allowed, step=step)


def _arrays_of(model: AssignmentRNN) -> dict[str, Array]:
    """The arrays of a network with which a gradient must not share memory."""
    if not isinstance(model, Network):
        return {}
    arrays = {"the weights": model.parameters}
    if model.trace is not None:
        arrays |= {"the trace": model.trace.states, "the residuals": model.trace.residuals}
    return arrays


def _backward(model: AssignmentRNN, x: Array, d_loss: Array) -> dict[str, Array]:
    """Return copies of the gradients, which a later call cannot change."""
    model.forward(x)
    return {name: gradient.copy() for name, gradient in model.backward(d_loss).items()}


def _verdict(weight: str, contract: str, passed: bool | np.bool_, otherwise: str) -> Comparison:
    return Comparison(weight, contract, bool(passed), note="" if passed else otherwise)
