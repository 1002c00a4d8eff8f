"""The losses as the compiled engine computes them: one function, `evaluate`, for all of them.

Because it is one function, a kernel is not compiled again for another loss. The NumPy form of each loss is in its
own file. This file is plain Python over arrays of numbers; Numba compiles it as part of a kernel.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Inexact

from memspan.cells.activations import exp, sigmoid, softplus

SQUARED, SOFTMAX, SIGMOID = 0, 1, 2
"""The number of each loss."""

Answers = Inexact[np.ndarray, "output_steps batch outputs"]
Row = Inexact[np.ndarray, "outputs"]


class Kind(NamedTuple):
    """The loss that `evaluate` computes."""

    function: int
    """`SQUARED`, `SOFTMAX` or `SIGMOID`."""
    masked: bool
    """Whether to leave out labels that are NaN."""


def evaluate(y_hat: Answers, y: Answers, d_y_hat: Answers, kind: Kind) -> float:
    """Return the loss of predictions `y_hat [K, B, O]` for labels `y`, in float64; write dL/dŷ into `d_y_hat`.

    The loss is NaN if all labels are masked.
    """
    steps, batch, outputs = y.shape
    asked = count_asked(y, kind)
    total, share = 0.0, 1.0 / max(asked, 1)
    for k in range(steps):
        for b in range(batch):
            if kind.function == SOFTMAX:
                total += softmax_cross_entropy(y_hat[k, b], y[k, b], d_y_hat[k, b], share, kind.masked)
                continue
            for o in range(outputs):
                z, label = y_hat[k, b, o], y[k, b, o]
                if kind.masked and label != label:
                    d_y_hat[k, b, o] = 0
                elif kind.function == SIGMOID:
                    value, d_y_hat[k, b, o] = sigmoid_cross_entropy(z, label, share)
                    total += value
                else:
                    value, d_y_hat[k, b, o] = squared_error(z, label, share)
                    total += value
    return total / asked if asked else np.nan


def count_asked(y: Answers, kind: Kind) -> int:
    """Return N, the number of labels that are not masked: rows for the softmax, otherwise numbers."""
    steps, batch, outputs = y.shape
    terms = 1 if kind.function == SOFTMAX else outputs
    asked = steps * batch * terms
    if kind.masked:
        for k in range(steps):
            for b in range(batch):
                for o in range(terms):
                    asked -= y[k, b, o] != y[k, b, o]
    return asked


def squared_error(z: float, label: float, share: float) -> tuple[float, float]:
    """(ŷ - y)², and its derivative times `share` = 1/N."""
    error = z - label
    return float(error) * float(error), error * (2.0 * share)


def sigmoid_cross_entropy(z: float, label: float, share: float) -> tuple[float, float]:
    """softplus(ŷ) - y ŷ, and its derivative σ(ŷ) - y times `share` = 1/N."""
    return float(softplus(z)) - float(label) * float(z), (sigmoid(z) - label) * share


def softmax_cross_entropy(z: Row, label: Row, d_z: Row, share: float, masked: bool) -> float:
    """log Σ exp(ŷ) - y·ŷ of one row, or 0 if it is masked. Write the derivative, (p - y) `share`, into `d_z`."""
    if masked and label[0] != label[0]:
        d_z[:] = 0
        return 0.0
    top = z[0]
    for o in range(1, z.shape[0]):
        top = max(top, z[o])
    whole, wanted = 0.0, 0.0
    for o in range(z.shape[0]):
        d_z[o] = exp(z[o] - top)
        whole += float(d_z[o])
        if label[o] != 0:  # 0 of minus infinity is 0, where two ŷ are farthest apart
            wanted += float(label[o]) * float(z[o] - top)
    for o in range(z.shape[0]):
        d_z[o] = (d_z[o] / whole - label[o]) * share
    return np.log(whole) - wanted
