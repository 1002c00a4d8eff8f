"""Is back-propagation through time right? For every weight, and for every time step on that step's scale.

An absolute tolerance cannot see a gradient that has vanished: a backward pass that stops half way back passes
it. Here the error of every time step is relative to the size of that step's gradient. The reference is the complex
step, which is exact to rounding even where the gradient is 1e-200 (`memspan.gradcheck.oracle`).

The loss and the network are checked separately. The loss's dL/dŷ is compared with the loss's value. The network's
gradient is compared with that of L = Σ dL/dŷ · ŷ, for the dL/dŷ that it was given. By the chain rule the whole
gradient is right if both are, and a mistake is reported where it was made.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from memspan.engines.readable import flat_steps
from memspan.errors import InvalidArgument, generator, whole_number
from memspan.gradcheck.contracts import contract_comparisons, trajectory_comparison
from memspan.gradcheck.elements import compare, gate_of, index_of
from memspan.gradcheck.objective import Objective, central_difference
from memspan.gradcheck.oracle import Oracle
from memspan.gradcheck.report import Comparison, GradientReport
from memspan.gradcheck.steps import ComparedSteps, compare_steps
from memspan.gradcheck.tolerance import tolerance, underflow, widening
from memspan.losses import Loss
from memspan.network import Network
from memspan.runtime.floats import quiet
from memspan.shapes import Array, Outputs

ELEMENTS = 400  # of a weight, compared in the sum over time; more are sampled


@quiet
def gradient_check(
    model: Network,
    x: Array,
    y: Array | None = None,
    loss: Loss | None = None,
    *,
    elements: int = ELEMENTS,
    rng: np.random.Generator | int = 0,
) -> GradientReport:
    """Compare `model.backward` with the complex step, for each weight and for each time step.

    Parameters
    ----------
    model : Network
        Not changed. What is checked is its `backward`, which a subclass may override.
    x : array [T, F] or [T, B, F]
        Inputs. A single sequence is joined by its reverse, because a batch of one hides a mistake in the sum over
        the batch.
    y : array [B, O], optional
        Labels, for the loss.
    loss : object with `forward(y_hat, y)` and `backward()`, optional
        Checked too, at several batch sizes, by varying the predictions themselves. Without it L = Σ ŷ.
    elements : int
        A weight with more elements than this is sampled in the comparison of the sum over time. (The steps
        are compared in all elements, or along random directions where T²·B·(G·H)² is large.)
    rng : Generator or int
        Chooses samples and directions.

    Returns
    -------
    GradientReport
        True when everything passed; prints as a table.

    Raises
    ------
    InvalidArgument
        Where an argument is not what it must be; where the complex step cannot pass through the cell.
    """
    if not isinstance(model, Network) or model.dtype.kind != "f":  # type: ignore[redundant-expr]
        raise InvalidArgument("model", "a Network of float32 or float64", repr(model))
    elements = whole_number("elements", elements)
    rng = generator("rng", rng, "gradient check")
    x = model.inputs(x)
    objective = Objective.of(loss, y)
    if x.shape[1] == 1:
        x = np.concatenate([x, x[::-1]], axis=1)
        objective = objective.doubled()
    checked = model.astype(model.dtype)
    y_hat = checked.forward(x)
    if not np.isfinite(y_hat).all():
        raise InvalidArgument("x", "such that the forward pass stays finite", f"y_hat = {y_hat.ravel().tolist()}")
    d_loss = objective.derivative(y_hat).astype(model.dtype)
    oracle = Oracle.of(checked, y_hat, d_loss)
    oracle.demand_complex_clean()
    gradients = {name: gradient.copy() for name, gradient in checked.backward(d_loss).items()}

    T, B, F = x.shape
    subject = f"Gradient check: {model.cell.name}, T={T} B={B} F={F} H={model.hidden_size} "
    subject += f"O={model.output_size} {model.dtype}"
    comparisons = list(contract_comparisons(checked, x, d_loss, underflow(model.dtype)))
    if any(row.scope in ("shape", "finite") and not row.passed for row in comparisons):
        return GradientReport(subject, tuple(comparisons), {})
    comparisons.append(trajectory_comparison(oracle, tolerance(1, model.dtype)))
    comparisons += _compare_loss(objective, y_hat)
    steps = {step.comparison.weight: step for step in compare_steps(checked, oracle, gradients, rng)}
    comparisons += _compare_sums(checked, oracle, gradients, steps, elements, rng)
    comparisons += [step.comparison for step in steps.values()]
    return GradientReport(subject, tuple(comparisons), {name: step.errors for name, step in steps.items()})


def _compare_loss(objective: Objective, y_hat: Outputs) -> Iterator[Comparison]:
    """dL/dŷ at batch sizes 1, B and B + 1, so that a constant in place of the batch size is seen."""
    if objective.y is None:
        return
    B = y_hat.shape[-2]
    for batch in (1, B, B + 1):
        rows = np.arange(batch) % B
        part, some = Objective(objective.loss, objective.y[..., rows, :]), y_hat[..., rows, :]
        stated, oracle = part.derivative(some), part.complex_step(some)
        scale = float(max(np.abs(stated).max(), np.abs(oracle).max()))
        yield compare("y_hat", f"loss, B={batch}", stated, oracle, scale, tolerance(1, y_hat.dtype))


def _compare_sums(
    model: Network,
    oracle: Oracle,
    gradients: dict[str, Array],
    steps: dict[str, ComparedSteps],
    elements: int,
    rng: np.random.Generator,
) -> Iterator[Comparison]:
    """Each weight's gradient, summed over time, against the complex step on the weight itself."""
    d_y_hat = np.abs(flat_steps(oracle.d_y_hat))
    a_last = np.abs(flat_steps(oracle.trace.a[-len(oracle.d_y_hat) :]))
    # As for the steps, a sum is rounded on the scale of its terms' magnitudes.
    scales = {name: step.scale.sum() for name, step in steps.items()}
    scales |= {"V": (a_last.T @ d_y_hat).max(), "by": d_y_hat.sum(axis=0).max()}
    roundings = {name: step.rounding.sum() for name, step in steps.items()}
    for name, shape in model.layout.shapes.items():
        gradient = gradients[f"d_{name}"]
        gradient = (gradient.sum(axis=0) if gradient.ndim == 3 else gradient).ravel()
        indices = np.arange(gradient.size)
        if gradient.size > elements:
            indices = np.sort(rng.choice(gradient.size, elements, replace=False))
        truth = oracle.weight(name, indices)
        scale = float(max(scales[name], np.abs(gradient).max()))
        allowed = tolerance(len(oracle.trace.x), model.dtype) + widening(roundings.get(name, 0.0), scale)
        row = compare(name, "sum", gradient[indices], truth, scale, allowed)
        index = index_of(int(indices[row.index[0]]), shape)
        yield replace(
            row,
            index=index,
            gate=gate_of(model, name, index),
            central=central_difference(model, oracle.trace.x, oracle.d_y_hat, name, index),
            note="" if len(indices) == gradient.size else f"{elements} of {gradient.size} elements",
        )
