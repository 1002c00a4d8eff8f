"""Compare the derivative that a loss returns with that of its value."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from memspan.gradcheck.elements import compare
from memspan.gradcheck.objective import Objective
from memspan.gradcheck.report import Comparison, by_central_difference
from memspan.gradcheck.tolerance import BLIND, tolerance, too_wide, widening
from memspan.shapes import Array

ZERO = "dL/dŷ is 0"
DOUBLE = np.dtype(np.float64)


def compare_loss(objective: Objective, y_hat: Array) -> Iterator[Comparison]:
    """Compare dL/dŷ at batch sizes 1, B and B + 1, which reveals a constant in place of the batch size.

    The comparison is made in float64, on the scale of dL/dŷ. For a float32 network it is also made in float32, on
    the scale of the terms of dL/dŷ: where p is near y, too few digits of p - y are left to see a mistake of 1 %.
    """
    if objective.y is None:
        return
    if y_hat.ndim < 2:  # the model is not a Network, and its predictions have no batch axis
        yield from _compare_batch(objective, y_hat, "loss")
        return
    B = y_hat.shape[-2]
    for batch in sorted({1, B, B + 1}):
        rows = np.arange(batch) % B
        part, some = Objective(objective.loss, objective.y[..., rows, :]), y_hat[..., rows, :]
        yield from _compare_batch(part, some, f"loss, B={batch}")


def _compare_batch(objective: Objective, y_hat: Array, scope: str) -> Iterator[Comparison]:
    exact = y_hat.astype(DOUBLE)
    (truth, error), terms = objective.reference(exact), objective.terms(exact)
    stated = objective.derivative(exact)
    scale, rounding = _largest(stated, truth), float(np.finfo(DOUBLE).eps) * terms
    allowed = tolerance(1, DOUBLE) + widening(rounding, scale) + (error / scale if scale else 0.0)
    row = compare("y_hat", scope, stated, truth, scale, allowed)
    if row.passed and (scale == 0 or allowed > BLIND):
        row = replace(row, checked=False, reason=too_wide(max(rounding, error), scale) if scale else ZERO)
    yield by_central_difference(row, "loss") if error else row
    if y_hat.dtype != DOUBLE:
        stated = objective.derivative(y_hat)
        scale = max(_largest(stated, truth), terms)
        allowed = tolerance(1, y_hat.dtype) + (error / scale if scale else 0.0)
        row = compare("y_hat", f"{scope} {y_hat.dtype}", stated, truth, scale, allowed)
        yield by_central_difference(row, "loss") if error else row


def _largest(stated: Array, truth: Array) -> float:
    return float(max(np.abs(stated).max(), np.abs(truth).max()))
