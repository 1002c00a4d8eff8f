"""Check back-propagation through time for every weight, and for every time step on the scale of that step.

An absolute tolerance cannot see a gradient that has vanished: a backward pass that stops half way passes. Here the
error of every time step is relative to the size of that step's gradient. The reference is the complex step, which
is exact to rounding even where the gradient is 1e-200 (`memspan.gradcheck.oracle`).

The loss and the network are checked separately. The loss's dL/dŷ is compared with the derivative of the loss's
value. The network's gradient is compared with that of L = Σ dL/dŷ · ŷ for the given dL/dŷ. By the chain rule the
whole gradient is right if both are, and a mistake is reported where it was made.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from memspan.engines.readable import flat_steps
from memspan.errors import InvalidArgument, generator, shown, whole_number
from memspan.gradcheck.assignment import AssignmentRNN
from memspan.gradcheck.contracts import contract_comparisons, trajectory_comparison
from memspan.gradcheck.elements import compare, gate_of, index_of
from memspan.gradcheck.loss import ZERO, compare_loss
from memspan.gradcheck.methods import check_methods
from memspan.gradcheck.objective import Objective, central_difference
from memspan.gradcheck.oracle import RECURRENT, Oracle
from memspan.gradcheck.report import Comparison, GradientReport
from memspan.gradcheck.steps import ComparedSteps, compare_steps
from memspan.gradcheck.tolerance import BLIND, MOVE, SILENT, tolerance, too_small, too_wide, underflow, widening
from memspan.losses import Loss
from memspan.network import Network
from memspan.runtime.floats import quiet
from memspan.runtime.renamed import checked_keywords
from memspan.shapes import Array, PerStep

ELEMENTS = 400  # the most elements of a weight to compare in the sum over time; a larger weight is sampled


@checked_keywords()
@quiet
def gradient_check(
    model: Network | AssignmentRNN,
    x: Array,
    y: Array | None = None,
    loss: Loss | None = None,
    *,
    elements: int = ELEMENTS,
    rng: np.random.Generator | int = 0,
) -> GradientReport:
    """Compare `model.backward` with the complex step for each weight and each time step.

    Parameters
    ----------
    model : Network, or any object with `forward`, `backward`, `get_weights` and `set_weights`
        Not changed. Its `backward` is checked, which a subclass may override. For an object that is not a Network
        only the gradients summed over time are checked (`memspan.gradcheck.methods`).
    x : array [T, F] or [T, B, F]
        Inputs. A single sequence is extended by its reverse to a batch of two, because a batch of one hides a
        mistake in the sum over the batch.
    y : array [B, O], optional
        Labels for the loss.
    loss : object with `forward(y_hat, y)` and `backward()`, optional
        Also checked, at several batch sizes, by varying the predictions. Without a loss L = Σ ŷ. A loss that
        returns `float(...)` drops the imaginary part, which carries the derivative. It is checked by central
        differences, which have half the digits.
    elements : int
        In the comparison of the sum over time, a weight with more elements than this is sampled. (The time steps
        are compared in all elements, or along random directions if T²·B·(G·H)² is large.)
    rng : Generator or int
        Chooses samples and directions.

    Returns
    -------
    GradientReport
        True if everything passed. It prints as a table.

    Raises
    ------
    InvalidArgument
        If an argument is invalid, or if the complex step cannot pass through the cell.

    Notes
    -----
    A comparison with a tolerance above 1 % does not count. Such tolerances arise at a kink, in saturation, and
    where terms cancel. Whatever could not be compared is compared again with all weights moved a little and, if
    that does not suffice, with the inputs scaled to 1 as well. The report says so.
    """
    elements, rng = whole_number("elements", elements), generator("rng", rng, "gradient check")
    objective = Objective.of(loss, y)
    if not isinstance(model, Network):
        return check_methods(model, x, objective, elements, rng)
    if model.dtype.kind != "f":
        raise InvalidArgument("model", "a Network of float32 or float64", shown(model))
    x = model.inputs(x)
    if x.shape[1] == 1:
        x = np.concatenate([x, x[::-1]], axis=1)
        objective = objective.doubled()
    checked = model.astype(model.dtype)
    comparisons, step_errors = _check_point(checked, x, objective, elements, rng)
    for moved, inputs in (("moved", x), ("moved, x scaled", x / (np.abs(x).max() or 1))):
        unseen = {weight for weight, _ in GradientReport("", tuple(comparisons), {}).unchecked}
        if unseen:
            rows = _check_moved(checked, inputs, objective, elements, rng)
            comparisons += [replace(row, moved=moved) for row in rows if row.weight in unseen]
    T, B, F = x.shape
    subject = f"Gradient check: {model.cell.name}, T={T} B={B} F={F} H={model.hidden_size} "
    subject += f"O={model.output_size} {model.dtype}"
    return GradientReport(subject, tuple(comparisons), step_errors)


def _check_point(
    model: Network, x: Array, objective: Objective, elements: int, rng: np.random.Generator
) -> tuple[list[Comparison], dict[str, PerStep]]:
    """Make every comparison at the current weights of `model`, and return the error of every time step."""
    y_hat = model.forward(x)
    if not np.isfinite(y_hat).all():
        raise InvalidArgument("x", "inputs for which y_hat stays finite", f"y_hat = {y_hat.ravel().tolist()}")
    d_loss = objective.derivative(y_hat).astype(model.dtype)
    oracle = Oracle.of(model, y_hat, d_loss)
    oracle.demand_complex_clean()
    gradients = {name: gradient.copy() for name, gradient in model.backward(d_loss).items()}
    comparisons = list(contract_comparisons(model, x, d_loss, underflow(model.dtype), _shapes(model, len(x))))
    if any(row.scope in ("shape", "finite") and not row.passed for row in comparisons):
        return comparisons, {}
    comparisons.append(trajectory_comparison(oracle, tolerance(1, model.dtype)))
    comparisons += compare_loss(objective, y_hat)
    steps = {step.comparison.weight: step for step in compare_steps(model, oracle, gradients, rng)}
    rows = [*_compare_sums(model, oracle, gradients, steps, elements, rng)]
    rows += [step.comparison for step in steps.values()]
    if not d_loss.any():
        rows = [replace(row, checked=False, reason=ZERO) if row.passed else row for row in rows]
    return comparisons + rows, {name: step.errors for name, step in steps.items()}


def _shapes(model: Network, T: int) -> dict[str, list[tuple[int, ...]]]:
    """The required shape of each gradient: one entry per time step for a weight that is used at every step."""
    shapes = model.layout.shapes.items()
    return {name: [(T, *shape) if name in RECURRENT else shape] for name, shape in shapes}


def _check_moved(
    model: Network, x: Array, objective: Objective, elements: int, rng: np.random.Generator
) -> Iterator[Comparison]:
    """Compare the gradients again with all weights moved a little, away from kinks and from labels met exactly."""
    moved = model.astype(model.dtype)
    largest = max(1.0, float(np.abs(moved.parameters).max()))
    moved.parameters[:] += MOVE * largest * rng.standard_normal(moved.parameters.shape)
    if np.isfinite(moved.forward(x)).all():
        for row in _check_point(moved, x, objective, elements, rng)[0]:
            if row.scope != "trajectory" and not row.is_contract:
                yield row


def _compare_sums(
    model: Network,
    oracle: Oracle,
    gradients: dict[str, Array],
    steps: dict[str, ComparedSteps],
    elements: int,
    rng: np.random.Generator,
) -> Iterator[Comparison]:
    """Compare each weight's gradient, summed over time, with the complex step on the weight."""
    d_y_hat = np.abs(flat_steps(oracle.d_y_hat))
    a_last = np.abs(flat_steps(oracle.trace.a[-len(oracle.d_y_hat) :]))
    # As for single steps, the rounding error of a sum has the scale of the magnitudes of its terms.
    scales = {name: step.scale.sum() for name, step in steps.items()}
    scales |= {"V": (a_last.T @ d_y_hat).max(), "by": d_y_hat.sum(axis=0).max()}
    T = len(oracle.trace.x)
    roundings = {name: step.rounding.sum() for name, step in steps.items()}
    for name, shape in model.layout.shapes.items():
        gradient = gradients[f"d_{name}"]
        gradient = (gradient.sum(axis=0) if gradient.ndim == 3 else gradient).ravel()
        indices = np.arange(gradient.size)
        if gradient.size > elements:
            indices = np.sort(rng.choice(gradient.size, elements, replace=False))
        truth = oracle.weight(name, indices)
        scale = float(max(scales[name], np.abs(gradient).max()))
        rounding, least = roundings.get(name, 0.0), underflow(model.dtype, oracle.step_of(name))
        allowed = tolerance(T, model.dtype) + widening(rounding, scale)
        row = compare(name, "sum", gradient[indices], truth, scale, allowed)
        if scale == 0:
            silent = not steps[name].comparison.checked if name in steps else bool(name == "by" or a_last.any())
            row = replace(row, checked=not silent, reason=SILENT if silent else "")
        elif scale < least:
            row = replace(row, passed=True, checked=False, reason=too_small(least))
        elif row.passed and allowed > BLIND:
            row = replace(row, checked=False, reason=too_wide(rounding, scale))
        index = index_of(int(indices[row.index[0]]), shape)
        yield replace(
            row,
            index=index,
            gate=gate_of(model, name, index),
            central=central_difference(model, oracle.trace.x, oracle.d_y_hat, name, index),
            note="" if len(indices) == gradient.size else f"{elements} of {gradient.size} elements",
        )
