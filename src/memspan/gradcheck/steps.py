"""Compare every time step's contribution to the gradient on the scale of that step."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float

from memspan.gradcheck.elements import compare, gate_of, place_of, rows_of
from memspan.gradcheck.oracle import Deltas, Directions, Motions, Oracle
from memspan.gradcheck.report import Comparison, relative
from memspan.gradcheck.tolerance import (
    BLIND,
    SILENT,
    smallest,
    tolerance,
    too_small,
    too_wide,
    underflow,
    widening,
)
from memspan.network import Network
from memspan.shapes import Array, PerStep

ACTIVATIONS = 3e7  # the most activations to evaluate; if all elements would take more, random directions are used


@dataclass(frozen=True)
class ComparedSteps:
    """The comparison of all steps of one weight: each step's error, scale, and movement by rounding."""

    comparison: Comparison
    errors: PerStep
    scale: PerStep
    rounding: PerStep


@dataclass(frozen=True)
class _Directions:
    """Directions along which the steps are compared, and the derivatives along them.

    Attributes
    ----------
    along : array [columns, D]
        Unit vectors, or random directions if comparing all elements would take too long.
    delta : array [T, B, D]
        The derivative along each direction.
    motions : array [draws, T, B, D]
        How far rounding moves these derivatives.
    elementwise : bool
        Whether the directions are unit vectors.
    """

    along: Directions
    delta: Deltas
    motions: Float[np.ndarray, "draws time batch directions"]
    elementwise: bool

    def inside(
        self, columns: slice
    ) -> tuple[Directions, Deltas, Float[np.ndarray, "draws time batch directions"]]:
        """The directions that are 0 outside the given columns."""
        outside = np.delete(self.along, columns, axis=0)
        mine = ~outside.any(axis=0)
        return self.along[columns][:, mine], self.delta[..., mine], self.motions[..., mine]


def compare_steps(
    model: Network, oracle: Oracle, gradients: dict[str, Array], rng: np.random.Generator
) -> Iterator[ComparedSteps]:
    """Compare each step's contribution to the gradients of W, R, b_s and U on the scale of that step."""
    cell, H, trace = model.cell, model.hidden_size, oracle.trace
    columns, input_gates, (first, last) = len(cell.gates) * H, len(cell.input_gates) * H, cell.fed(H)
    motions = oracle.rounding(float(np.finfo(model.dtype).eps), rng)
    ones = np.ones((*trace.x.shape[:2], 1))
    through_s = _directions(oracle, motions[..., :columns], {0, input_gates, first, last, columns}, rng)
    # The factor of dL/ds in each weight's gradient, and the columns that it multiplies.
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
        through_u = _directions(oracle, motions[..., columns:], {0, width}, rng, unit_weights=True)
        yield _compare_weight(model, "U", gradients["d_U"], [(ones, slice(0, width))], through_u)


def _directions(
    oracle: Oracle, motions: Motions, bounds: set[int], rng: np.random.Generator, *, unit_weights: bool = False
) -> _Directions:
    """Use all elements if affordable, otherwise random directions between each pair of neighbouring bounds."""
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
    return _Directions(along, oracle.steps(along, unit_weights=unit_weights), motions @ along, elementwise)


def _compare_weight(
    model: Network, name: str, gradient: Array, factors: list[tuple[Array, slice]], directions: _Directions
) -> ComparedSteps:
    """Compare each step's contribution to the gradient of one weight."""
    rows, T = rows_of(name, gradient), len(gradient)
    begin = factors[0][1].start
    parts = []
    for factor, place in factors:
        along, delta, motions = directions.inside(place)
        analytical = rows[..., place.start - begin : place.stop - begin] @ along
        truth = np.einsum("tbr,tbd->trd", factor, delta)
        # The rounding error of a sum over the batch has the scale of the sum of magnitudes: samples that cancel
        # leave a small gradient with the error of large ones.
        magnitude = np.einsum("tbr,tbd->trd", np.abs(factor), np.abs(delta))
        moved = np.max([np.abs(factor.transpose(0, 2, 1) @ motion) for motion in motions], axis=0)
        parts.append((analytical, truth, magnitude, moved))
    analytical, truth, magnitude, moved = (np.concatenate(part, axis=-1) for part in zip(*parts, strict=True))
    scale, rounding = np.maximum(_largest(analytical), _largest(magnitude)), _largest(moved)
    errors = relative(_largest(analytical - truth), scale)
    least = _least(factors, model.dtype)
    errors[scale < least] = 0
    allowed = tolerance(T - np.arange(T), model.dtype) + widening(rounding, scale)
    failing = np.flatnonzero(errors > allowed)
    wide, small = (errors <= allowed) & (allowed > BLIND), (scale > 0) & (scale < least)
    # Back-propagation starts at the end, so a mistake entered at the latest step that fails.
    seen = np.where(wide | small, -1.0, np.nan_to_num(errors / allowed))
    t = int(failing[-1] if len(failing) else seen.argmax())
    row = compare(name, "steps", analytical[t], truth[t], float(scale[t]), float(allowed[t]))
    index = place_of(name, row.index, model) if directions.elementwise else ()
    blind, reason = np.flatnonzero(wide | small), _reason(wide, small, rounding, scale, least)
    silent = not scale.any() and any(factor.any() for factor, _ in factors)
    notes = _caveats(0 if directions.elementwise else truth.shape[-1], allowed[~wide], model.dtype)
    row = replace(
        row,
        passed=not len(failing),
        error=float(errors[t]),
        index=index,
        step=t,
        gate=gate_of(model, name, index),
        failing=tuple(failing.tolist()),
        checked=bool(((scale > 0) & ~wide & ~small).any()) or not (len(blind) or silent),
        blind=tuple(blind.tolist()),
        reason=SILENT if silent else reason,
        note="; ".join(notes),
    )
    return ComparedSteps(row, errors, scale, rounding)


def _least(factors: list[tuple[Array, slice]], dtype: np.dtype) -> PerStep:
    """The smallest scale of each step at which no digits are lost, neither in δ[t] nor in its product."""
    largest = np.max([np.abs(factor).max(axis=(1, 2)) for factor, _ in factors], axis=0)
    return np.maximum(smallest(dtype), underflow(dtype) * np.minimum(largest, 1.0))


def _reason(
    wide: Bool[np.ndarray, "time"],
    small: Bool[np.ndarray, "time"],
    rounding: PerStep,
    scale: PerStep,
    least: PerStep,
) -> str:
    """The reason why some steps cannot be compared; empty if all can."""
    if wide.any():
        latest = np.flatnonzero(wide)[-1]
        return too_wide(float(rounding[latest]), float(scale[latest]))
    return too_small(float(least[small].max())) if small.any() else ""


def _caveats(directions: int, allowed: PerStep, dtype: np.dtype) -> Iterator[str]:
    """Remarks on a comparison that passed."""
    if directions:
        yield f"along {directions} random directions"
    blurred = int((allowed > np.sqrt(np.finfo(dtype).eps)).sum())
    if blurred:
        yield f"rounding leaves less than half the digits at {blurred} steps"


def _largest(values: Float[np.ndarray, "time rows directions"]) -> PerStep:
    """The largest magnitude at each step."""
    return np.abs(values).max(axis=(1, 2))
