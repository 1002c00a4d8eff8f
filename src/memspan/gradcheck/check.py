"""Is back-propagation through time right? For every weight, and for every time step on that step's own scale.

An absolute tolerance cannot see a gradient that has vanished: a backward pass that stops half way back passes
it. Here every time step is compared relative to its own size, against the complex step, which is exact to
rounding even where the gradient is 1e-200.

The oracle of one step. Step t uses the weights through s[t] alone, so perturbing s[t] of sample b gives its
δ[t], and `a[t-1] δ[t]ᵀ`, `x[t] δ[t]ᵀ` and `δ[t]` summed over the batch are the contributions of step t to
dL/dR, dL/dW and dL/db_s. The batch is laid T times side by side and copy t perturbed at step t only: one
forward pass differentiates every step at once.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from memspan.axes import Array, PerStep
from memspan.bptt import unroll
from memspan.errors import InvalidArgument, whole_number
from memspan.gradcheck.contracts import contract_comparisons
from memspan.gradcheck.objective import COMPLEX_STEP, Loss, Objective, central_difference, complex_step
from memspan.gradcheck.report import Comparison, GradientReport
from memspan.network import Network

RECURRENT = ("W", "R", "bs")
# Calibrated by benchmarks/calibrate_gradcheck.py; the table is in docs/gradient-check.md.
FLOOR, PER_STEP = 4500.0, 64.0  # in units of the machine epsilon: 1e-12, and 64 for every step travelled
UNDERFLOW = 1e-270  # below this neither h·gradient nor the products of the backward pass keep their digits


@dataclass(frozen=True)
class Effort:
    """How much work a check may do before it samples instead of visiting everything."""

    elements: int = 400
    activations: float = 3e7


def gradient_check(
    model: Network,
    x: Array,
    y: Array | None = None,
    loss: Loss | None = None,
    *,
    elements: int = Effort.elements,
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
    """
    if (y is None) != (loss is None):
        raise InvalidArgument("y and loss", "given together", f"y={y!r}, loss={loss!r}")
    rng = np.random.default_rng(rng)
    effort = Effort(whole_number("elements", elements))
    x = model.inputs(x)
    y = None if y is None else np.asarray(y)
    if x.shape[1] == 1:
        x = np.concatenate([x, x[::-1]], axis=1)
        y = None if y is None else np.concatenate([y, y])
    objective = Objective(loss, y)
    judged = model.astype(model.dtype)
    d_loss = objective.derivative(judged.forward(x))
    gradients = {name: gradient.copy() for name, gradient in judged.backward(d_loss).items()}

    comparisons = list(contract_comparisons(judged, x, d_loss))
    if loss is not None:
        comparisons += _loss_comparisons(objective, judged.forward(x))
    comparisons += _sums(judged, objective, x, gradients, effort, rng)
    step_errors = {}
    for comparison, errors in _steps(judged, objective, x, gradients, effort, rng):
        comparisons.append(comparison)
        step_errors[comparison.weight] = errors
    T, B, F = x.shape
    subject = f"Gradient check: {model.cell.name}, T={T} B={B} F={F} H={model.hidden_size} "
    subject += f"O={model.output_size} {model.dtype}"
    return GradientReport(subject, tuple(comparisons), step_errors)


def tolerance(steps: Array | int, dtype: np.dtype) -> Array:
    """The relative error allowed after an error has travelled `steps` time steps."""
    return np.maximum(FLOOR, PER_STEP * np.asarray(steps)) * np.finfo(dtype).eps


def _loss_comparisons(objective: Objective, y_hat: Array) -> list[Comparison]:
    """dL/dŷ at batch sizes 1, B and B + 1, so that a constant in place of the batch size is seen."""
    assert objective.y is not None
    found = []
    for batch in (1, len(y_hat), len(y_hat) + 1):
        rows = np.arange(batch) % len(y_hat)
        part = Objective(objective.loss, objective.y[rows])
        stated = part.derivative(y_hat[rows])
        units = (_unit(stated.shape, index) for index in np.ndindex(stated.shape))
        oracle = np.array([part.complex_step(y_hat[rows], unit) for unit in units])
        errors = np.abs(stated.ravel() - oracle)
        worst = int(errors.argmax())
        error = _relative(errors.max(), stated, oracle)
        allowed = float(tolerance(1, y_hat.dtype))
        found.append(
            Comparison(
                "y_hat",
                f"loss, B={batch}",
                error <= allowed,
                error,
                allowed,
                _index(worst, stated.shape),
                analytical=float(stated.ravel()[worst]),
                oracle=float(oracle[worst]),
            )
        )
    return found


def _sums(
    model: Network,
    objective: Objective,
    x: Array,
    gradients: dict[str, Array],
    effort: Effort,
    rng: np.random.Generator,
) -> Iterator[Comparison]:
    """Each weight's gradient, summed over time, against the complex step on the weight itself."""
    for name, shape in model.layout.shapes.items():
        gradient = gradients[f"d_{name}"]
        gradient = (gradient.sum(axis=0) if gradient.ndim == 3 else gradient).ravel()
        size = gradient.size
        indices = np.arange(size)
        if size > effort.elements:
            indices = np.sort(rng.choice(size, effort.elements, replace=False))
        oracle = complex_step(model, objective, x, name, indices)
        central = central_difference(model, objective, x, name, indices)
        errors = np.abs(gradient[indices] - oracle)
        worst = int(np.nan_to_num(errors, nan=np.inf).argmax())
        error = _relative(errors[worst], gradient, oracle)
        allowed = float(tolerance(len(x), model.dtype))
        index = _index(int(indices[worst]), shape)
        yield Comparison(
            name,
            "sum",
            error <= allowed,
            error,
            allowed,
            index,
            gate=_gate(model, name, index),
            analytical=float(gradient[indices[worst]]),
            oracle=float(oracle[worst]),
            central=float(central[worst]),
            note="" if len(indices) == size else f"{len(indices)} of {size} elements",
        )


def _steps(
    model: Network,
    objective: Objective,
    x: Array,
    gradients: dict[str, Array],
    effort: Effort,
    rng: np.random.Generator,
) -> Iterator[tuple[Comparison, PerStep]]:
    """Each step's contribution to dL/dW, dL/dR and dL/db_s, on that step's own scale."""
    T, B, _ = x.shape
    columns = model.layout.shapes["bs"][0]
    affordable = int(effort.activations / (T * T * B * columns))
    elementwise = affordable >= columns
    directions = np.eye(columns) if elementwise else rng.standard_normal((columns, max(3, affordable)))
    delta, a_previous = step_oracle(model, objective, x, directions)
    factors = {"W": x.astype(np.float64), "R": a_previous, "bs": np.ones((T, B, 1))}
    allowed = tolerance(T - np.arange(T), model.dtype)
    for name in RECURRENT:
        gradient = gradients[f"d_{name}"]
        if name == "bs":
            gradient = gradient.transpose(0, 2, 1)
        analytical = gradient.astype(np.float64) @ directions
        oracle = np.einsum("tbr,tbd->trd", factors[name], delta)
        # The sum of magnitudes over the batch is the scale on which a sum is rounded: samples that cancel
        # each other leave a small gradient with the error of large ones.
        magnitude = np.einsum("tbr,tbd->trd", np.abs(factors[name]), np.abs(delta)).max(axis=(1, 2))
        errors, difference = _step_errors(analytical, oracle, magnitude)
        yield _worst_step(model, name, analytical, oracle, difference, errors, allowed, elementwise), errors


def step_oracle(
    model: Network, objective: Objective, x: Array, directions: Array, memory: int = 2**27
) -> tuple[Array, Array]:
    """δ[t] = dL/ds[t] of every step and sample along each direction, by the complex step.

    Parameters
    ----------
    model, objective, x
        As in `gradient_check`.
    directions : array [G·H, D]
        Columns along which s[t] is varied; the identity gives every element.
    memory : int
        Bytes that one pass may take; the time steps are divided over several passes accordingly.

    Returns
    -------
    delta : array [T, B, D]
    a_previous : array [T, B, H]
        a[t-1], in float64.
    """
    T, B, F = x.shape
    columns, count = directions.shape
    twin = model.astype(np.complex128)
    base = unroll(twin.cell, twin.weights, x.astype(np.complex128))
    y_hat = base.y_hat.real
    per_copy = 16 * T * B * (F + 3 * columns + model.hidden_size * (2 + len(twin.cell.states)))
    chunk = max(1, memory // per_copy)
    delta = np.empty((T, B, count))
    for begin in range(0, T, chunk):
        steps = np.arange(begin, min(begin + chunk, T))
        tiled = np.tile(x.astype(np.complex128), (1, len(steps), 1))
        for d in range(count):
            probe = np.zeros((T, len(steps), B, columns), np.complex128)
            probe[steps, np.arange(len(steps))] = 1j * COMPLEX_STEP * directions[:, d]
            varied = unroll(twin.cell, twin.weights, tiled, probe.reshape(T, -1, columns)).y_hat
            d_y_hat = varied.imag.reshape(len(steps), B, -1) / COMPLEX_STEP
            for t, b in np.ndindex(len(steps), B):
                alone = np.zeros_like(y_hat)
                alone[b] = d_y_hat[t, b]
                delta[steps[t], b, d] = objective.complex_step(y_hat, alone)
    return delta, base.a_previous.real


def _step_errors(analytical: Array, oracle: Array, magnitude: Array) -> tuple[PerStep, Array]:
    difference = np.abs(analytical - oracle)
    scale = np.maximum(np.abs(analytical).max(axis=(1, 2)), magnitude)
    worst = difference.max(axis=(1, 2))
    with np.errstate(divide="ignore", invalid="ignore"):
        errors = np.where(worst == 0, 0.0, worst / scale)
    errors = np.where(scale < UNDERFLOW, 0.0, errors)
    return np.nan_to_num(errors, nan=np.inf), difference


def _worst_step(
    model: Network,
    name: str,
    analytical: Array,
    oracle: Array,
    difference: Array,
    errors: PerStep,
    allowed: PerStep,
    elementwise: bool,
) -> Comparison:
    t = int((errors / allowed).argmax())
    row, column = _index(int(np.nan_to_num(difference[t], nan=np.inf).argmax()), difference[t].shape)
    index: tuple[int, ...] = ()
    if elementwise:
        index = (column, 0) if name == "bs" else (row, column)
    failing = np.flatnonzero(errors > allowed)
    notes = [] if elementwise else [f"along {analytical.shape[2]} random directions"]
    if len(failing):
        notes.append(f"{len(failing)} of {len(errors)} steps, t={failing[0]}..{failing[-1]}")
    return Comparison(
        name,
        "steps",
        not len(failing),
        float(errors[t]),
        float(allowed[t]),
        index,
        step=t,
        gate=_gate(model, name, index),
        analytical=float(analytical[t, row, column]),
        oracle=float(oracle[t, row, column]),
        note="; ".join(notes),
    )


def _relative(worst: float, *tensors: Array) -> float:
    """`worst` on the scale of the largest element; two gradients that are all zero agree."""
    scale = max(float(np.abs(tensor).max()) for tensor in tensors)
    if worst == 0 or scale < UNDERFLOW:
        return 0.0
    return float(np.nan_to_num(worst / scale, nan=np.inf))


def _gate(model: Network, name: str, index: tuple[int, ...]) -> str | None:
    """The gate of a column of W and R, or of a row of bs."""
    if name not in RECURRENT or not index:
        return None
    return model.cell.gates[index[0 if name == "bs" else 1] // model.hidden_size]


def _index(flat: int, shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(int(i) for i in np.unravel_index(flat, shape))


def _unit(shape: tuple[int, ...], index: tuple[int, ...]) -> Array:
    unit = np.zeros(shape)
    unit[index] = 1.0
    return unit
