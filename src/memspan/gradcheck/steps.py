"""Every time step's contribution to the gradient, compared on that step's scale."""

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

ACTIVATIONS = 3e7  # evaluated to compare the steps; where all elements would take more, random directions do


@dataclass(frozen=True)
class ComparedSteps:
    """The comparison of all steps of one weight, with each step's error, scale, and effect of rounding."""

    comparison: Comparison
    errors: PerStep
    scale: PerStep
    rounding: PerStep


@dataclass(frozen=True)
class _Directions:
    """Directions along which steps are compared, the derivatives along them, and the effect of rounding on these.

    Attributes
    ----------
    along : array [columns, D]
        Unit vectors, or random ones where all elements would take too long.
    delta : array [T, B, D]
        The derivative along each.
    motions : array [draws, T, B, D]
    elementwise : bool
    """

    along: Directions
    delta: Deltas
    motions: Float[np.ndarray, "draws time batch directions"]
    elementwise: bool

    def inside(
        self, columns: slice
    ) -> tuple[Directions, Deltas, Float[np.ndarray, "draws time batch directions"]]:
        """Return the directions that are 0 outside of these columns."""
        outside = np.delete(self.along, columns, axis=0)
        mine = ~outside.any(axis=0)
        return self.along[columns][:, mine], self.delta[..., mine], self.motions[..., mine]


def compare_steps(
    model: Network, oracle: Oracle, gradients: dict[str, Array], rng: np.random.Generator
) -> Iterator[ComparedSteps]:
    """Compare each step's contribution to the gradients of W, R, b_s and U, on that step's scale."""
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
        through_u = _directions(oracle, motions[..., columns:], {0, width}, rng, unit_weights=True)
        yield _compare_weight(model, "U", gradients["d_U"], [(ones, slice(0, width))], through_u)


def _directions(
    oracle: Oracle, motions: Motions, bounds: set[int], rng: np.random.Generator, *, unit_weights: bool = False
) -> _Directions:
    """Return all unit directions if that is affordable, else random directions between each two bounds."""
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
        # The sum of magnitudes over the batch is the scale on which a sum is rounded: samples that cancel
        # each other leave a small gradient with the error of large ones.
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
    # Back-propagation comes from the end: the latest step that fails is where a mistake entered.
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
    """Return the smallest scale at which a step keeps all digits: δ[t] has a limit, and so has the product."""
    largest = np.max([np.abs(factor).max(axis=(1, 2)) for factor, _ in factors], axis=0)
    return np.maximum(smallest(dtype), underflow(dtype) * np.minimum(largest, 1.0))


def _reason(
    wide: Bool[np.ndarray, "time"],
    small: Bool[np.ndarray, "time"],
    rounding: PerStep,
    scale: PerStep,
    least: PerStep,
) -> str:
    """Return why some steps cannot be compared; empty if all can."""
    if wide.any():
        latest = np.flatnonzero(wide)[-1]
        return too_wide(float(rounding[latest]), float(scale[latest]))
    return too_small(float(least[small].max())) if small.any() else ""


def _caveats(directions: int, allowed: PerStep, dtype: np.dtype) -> Iterator[str]:
    """Yield remarks on a comparison that passed."""
    if directions:
        yield f"along {directions} random directions"
    blurred = int((allowed > np.sqrt(np.finfo(dtype).eps)).sum())
    if blurred:
        yield f"rounding leaves {blurred} steps less than half of their digits"


def _largest(values: Float[np.ndarray, "time rows directions"]) -> PerStep:
    """Return the largest magnitude of each step."""
    return np.abs(values).max(axis=(1, 2))
