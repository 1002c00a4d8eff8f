"""Is back-propagation through time right? For every weight, and for every time step on that step's own scale.

An absolute tolerance cannot see a gradient that has vanished: a backward pass that stops half way back passes
it. Here every time step is compared relative to its own size, against the complex step, which is exact to
rounding even where the gradient is 1e-200 (`memspan.gradcheck.oracle`).

The loss and the network are judged apart. The loss's dL/dŷ is compared with the loss's value; the network's
gradient with that of L = Σ dL/dŷ · ŷ, for the dL/dŷ that it was given. By the chain rule both right is all
right, and a mistake is reported where it was made.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from memspan.engines.readable import flat_steps
from memspan.errors import InvalidArgument, generator, whole_number
from memspan.gradcheck.contracts import contract_comparisons, trajectory_comparison
from memspan.gradcheck.objective import Objective, central_difference
from memspan.gradcheck.oracle import COMPLEX_STEP, RECURRENT, Oracle
from memspan.gradcheck.report import Comparison, GradientReport, relative
from memspan.losses import Loss
from memspan.network import Network
from memspan.shapes import Array, PerStep

# Calibrated by benchmarks/calibrate_gradcheck.py; the table is in docs/gradient-check.md.
FLOOR, PER_STEP = 512.0, 8.0  # in units of the machine epsilon
ROUNDINGS = 16.0  # in units of what one rounding of the cell's slopes does to the gradient
ELEMENTS = 400  # of a weight, compared in the sum over time; more are sampled
ACTIVATIONS = 3e7  # evaluated to compare the steps; where all elements would take more, random directions do


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
        Not changed. Its own `backward` is what is judged, so a subclass may override it.
    x : array [T, F] or [T, B, F]
        Inputs. One sequence alone is joined by its reverse: a mistake in the sum over the batch cannot show
        on a batch of one.
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
    rng = generator("rng", rng)
    x = model.inputs(x)
    objective = Objective.of(loss, y)
    if x.shape[1] == 1:
        x = np.concatenate([x, x[::-1]], axis=1)
        objective = objective.doubled()
    judged = model.astype(model.dtype)
    y_hat = judged.forward(x)
    if not np.isfinite(y_hat).all():
        raise InvalidArgument("x", "such that the forward pass stays finite", f"y_hat = {y_hat.ravel().tolist()}")
    d_loss = objective.derivative(y_hat).astype(model.dtype)
    oracle = Oracle.of(judged, y_hat, d_loss)
    oracle.demand_complex_clean()
    gradients = {name: gradient.copy() for name, gradient in judged.backward(d_loss).items()}

    T, B, F = x.shape
    subject = f"Gradient check: {model.cell.name}, T={T} B={B} F={F} H={model.hidden_size} "
    subject += f"O={model.output_size} {model.dtype}"
    comparisons = list(contract_comparisons(judged, x, d_loss, underflow(model.dtype)))
    if any(row.scope in ("shape", "finite") and not row.passed for row in comparisons):
        return GradientReport(subject, tuple(comparisons), {})
    comparisons.append(trajectory_comparison(oracle, float(tolerance(1, model.dtype))))
    comparisons += _compare_loss(objective, y_hat)
    steps = {step.comparison.weight: step for step in _compare_steps(judged, oracle, gradients, rng)}
    comparisons += _compare_sums(judged, oracle, gradients, steps, elements, rng)
    comparisons += [step.comparison for step in steps.values()]
    return GradientReport(subject, tuple(comparisons), {name: step.errors for name, step in steps.items()})


def tolerance(steps: Array | int, dtype: np.dtype) -> Array:
    """The relative error allowed after an error has travelled `steps` time steps, saturation apart."""
    return np.maximum(FLOOR, PER_STEP * np.asarray(steps)) * np.finfo(dtype).eps


def _widening(rounding: Array | float, scale: Array | float) -> Array:
    """What rounding adds to a tolerance; nothing where the scale is 0 or not finite: a nan never passes."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return ROUNDINGS * np.nan_to_num(np.divide(rounding, scale), nan=0.0, posinf=0.0)


def underflow(dtype: np.dtype) -> float:
    """Below this a gradient has lost digits: in the products of the backward pass, or in h times the gradient."""
    numbers, double = np.finfo(dtype), np.finfo(np.float64)
    return max(float(numbers.tiny / numbers.eps), float(double.tiny / double.eps / COMPLEX_STEP))


def _compare_loss(objective: Objective, y_hat: Array) -> Iterator[Comparison]:
    """dL/dŷ at batch sizes 1, B and B + 1, so that a constant in place of the batch size is seen."""
    if objective.y is None:
        return
    B = y_hat.shape[-2]
    for batch in (1, B, B + 1):
        rows = np.arange(batch) % B
        part, some = Objective(objective.loss, objective.y[..., rows, :]), y_hat[..., rows, :]
        stated, oracle = part.derivative(some), part.complex_step(some)
        scale = max(np.abs(stated).max(), np.abs(oracle).max())
        yield _compare("y_hat", f"loss, B={batch}", stated, oracle, scale, tolerance(1, y_hat.dtype))


@dataclass(frozen=True)
class _Steps:
    """All steps of one weight compared; for each its error, its scale, and how far rounding moves it."""

    comparison: Comparison
    errors: PerStep
    scale: PerStep
    rounding: PerStep


@dataclass(frozen=True)
class _Directions:
    """What the steps' gradients are compared along, the true values, and how far rounding moves these.

    Attributes
    ----------
    along : array [columns, D]
        Unit vectors, or random ones where all elements would take too long.
    delta : array [T, B, D]
        The derivative along each.
    motions : array [draws, T, B, D]
    elementwise : bool
    """

    along: Array
    delta: Array
    motions: Array
    elementwise: bool

    def inside(self, columns: slice) -> tuple[Array, Array, Array]:
        """Those that lie in these columns and nowhere else."""
        outside = np.delete(self.along, columns, axis=0)
        mine = ~outside.any(axis=0)
        return self.along[columns][:, mine], self.delta[..., mine], self.motions[..., mine]


def _compare_steps(
    model: Network, oracle: Oracle, gradients: dict[str, Array], rng: np.random.Generator
) -> Iterator[_Steps]:
    """Each step's contribution to the gradient of W, R, b_s and U, on that step's own scale."""
    cell, H, trace = model.cell, model.hidden_size, oracle.trace
    columns, input_gates, (first, last) = len(cell.gates) * H, len(cell.input_gates) * H, cell.fed(H)
    motions = oracle.rounding(float(np.finfo(model.dtype).eps), rng)
    ones = np.ones((*trace.x.shape[:2], 1))
    through_s = _directions(oracle, motions[..., :columns], {0, input_gates, first, last, columns}, rng)
    # What stands left of dL/ds in each weight's gradient, and in which columns.
    factors = {
        "W": [(trace.x, slice(0, input_gates))],
        "R": [(trace.read, slice(first, last))],
        "bs": [(ones, slice(0, columns))],
    }
    if cell.reset is not None:
        factors["R"].append((trace.gate("q"), slice(last, columns)))
    for name in sorted(factors.keys() & model.layout.shapes.keys(), key=list(factors).index):
        yield _compare_weight(model, name, gradients[f"d_{name}"], factors[name], through_s)
    if cell.unit_weights:
        width = len(cell.unit_weights) * H
        own = _directions(oracle, motions[..., columns:], {0, width}, rng, own=True)
        yield _compare_weight(model, "U", gradients["d_U"], [(ones, slice(0, width))], own)


def _directions(
    oracle: Oracle, motions: Array, bounds: set[int], rng: np.random.Generator, *, own: bool = False
) -> _Directions:
    """All elements where that is affordable; else random directions between each two bounds."""
    (T, B, _), columns = oracle.trace.x.shape, motions.shape[-1]
    affordable = int(ACTIVATIONS / (T * T * B * columns))
    elementwise = affordable >= columns
    if elementwise:
        along = np.eye(columns)
    else:
        parts = sorted(bounds)
        many = max(3, affordable // (len(parts) - 1))
        along = np.zeros((columns, many * (len(parts) - 1)))
        for k, (begin, end) in enumerate(itertools.pairwise(parts)):
            along[begin:end, k * many : (k + 1) * many] = rng.standard_normal((end - begin, many))
    return _Directions(along, oracle.steps(along, own=own), motions @ along, elementwise)


def _compare_weight(
    model: Network, name: str, gradient: Array, factors: list[tuple[Array, slice]], directions: _Directions
) -> _Steps:
    """Each step's contribution to the gradient of one weight."""
    rows, T = _rows(name, gradient), len(gradient)
    begin = factors[0][1].start
    parts = []
    for factor, place in factors:
        along, delta, motions = directions.inside(place)
        analytical = rows[..., place.start - begin : place.stop - begin] @ along
        truth = np.einsum("tbr,tbd->trd", factor, delta)
        # The sum of magnitudes over the batch is the scale on which a sum is rounded: samples that cancel
        # each other leave a small gradient with the error of large ones.
        magnitude = np.einsum("tbr,tbd->trd", np.abs(factor), np.abs(delta))
        moved = np.max([np.abs(factor.transpose(0, 2, 1) @ motion) for motion in motions], axis=0)
        parts.append((analytical, truth, magnitude, moved))
    analytical, truth, magnitude, moved = (np.concatenate(part, axis=-1) for part in zip(*parts, strict=True))
    scale, rounding = np.maximum(_largest(analytical), _largest(magnitude)), _largest(moved)
    errors = relative(_largest(analytical - truth), scale)
    errors[scale < underflow(model.dtype)] = 0
    allowed = tolerance(T - np.arange(T), model.dtype) + _widening(rounding, scale)
    failing = np.flatnonzero(errors > allowed)
    # Back-propagation comes from the end: the latest step that fails is where a mistake entered.
    t = int(failing[-1] if len(failing) else np.nan_to_num(errors / allowed).argmax())
    row = _compare(name, "steps", analytical[t], truth[t], scale[t], allowed[t])
    index = _place(name, row.index, model) if directions.elementwise else ()
    notes = _caveats(0 if directions.elementwise else truth.shape[-1], allowed, model.dtype)
    row = replace(
        row,
        passed=not len(failing),
        error=float(errors[t]),
        index=index,
        step=t,
        gate=_gate(model, name, index),
        failing=tuple(failing.tolist()),
        note="; ".join(notes),
    )
    return _Steps(row, errors, scale, rounding)


def _caveats(directions: int, allowed: PerStep, dtype: np.dtype) -> Iterator[str]:
    """What a reader must know of a comparison that passed."""
    if directions:
        yield f"along {directions} random directions"
    blurred = int((allowed > np.sqrt(np.finfo(dtype).eps)).sum())
    if blurred:
        yield f"rounding leaves {blurred} of {len(allowed)} steps less than half of their digits"


def _compare_sums(
    model: Network,
    oracle: Oracle,
    gradients: dict[str, Array],
    steps: dict[str, _Steps],
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
        scale = max(scales[name], np.abs(gradient).max())
        allowed = tolerance(len(oracle.trace.x), model.dtype) + _widening(roundings.get(name, 0.0), scale)
        row = _compare(name, "sum", gradient[indices], truth, scale, allowed)
        index = _index(int(indices[row.index[0]]), shape)
        yield replace(
            row,
            index=index,
            gate=_gate(model, name, index),
            central=central_difference(model, oracle.trace.x, oracle.d_y_hat, name, index),
            note="" if len(indices) == gradient.size else f"{elements} of {gradient.size} elements",
        )


def _compare(
    weight: str, scope: str, analytical: Array, oracle: Array, scale: float, allowed: Array
) -> Comparison:
    """Two arrays at the element where they are farthest apart."""
    difference = np.abs(analytical - oracle)
    index = _index(int(difference.argmax()), difference.shape)
    error = float(relative(difference[index], scale))
    return Comparison(
        weight,
        scope,
        bool(error <= allowed),
        error,
        float(allowed),
        index,
        analytical=float(analytical[index]),
        oracle=float(oracle[index]),
    )


def _rows(name: str, gradient: Array) -> Array:
    """A per-step gradient `[T, rows, columns]` with the columns of s last: `bs` stands upright."""
    gradient = gradient.astype(np.float64)
    if name == "U":
        return gradient.reshape(len(gradient), 1, -1)
    return gradient.transpose(0, 2, 1) if name == "bs" else gradient


def _place(name: str, index: tuple[int, ...], model: Network) -> tuple[int, ...]:
    """An index into `_rows` as one into the weight."""
    if name == "U":
        return divmod(index[1], model.hidden_size)
    return index[::-1] if name == "bs" else index


def _largest(values: Array) -> PerStep:
    return np.abs(values).max(axis=(1, 2))


def _gate(model: Network, name: str, index: tuple[int, ...]) -> str | None:
    """The gate of a column of W and R, or of a row of bs; which of its own weights it is in U."""
    if name not in RECURRENT or not index:
        return None
    if name == "U":
        return model.cell.unit_weights[index[0]]
    cell = model.cell
    gates = {"W": cell.input_gates, "R": cell.recurrent_gates, "bs": cell.gates}[name]
    return gates[index[0 if name == "bs" else 1] // model.hidden_size]


def _index(flat: int, shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(int(i) for i in np.unravel_index(flat, shape))
