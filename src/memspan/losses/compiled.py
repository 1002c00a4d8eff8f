"""The losses as the compiled engine computes them: `evaluate`, one function for all.

It is one function so that a kernel need not be compiled again for another loss. The NumPy form of each loss is in
its own file. This file is plain Python over arrays of numbers; Numba compiles it as part of a kernel.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Inexact

from memspan.cells.activations import exp, sigmoid, softplus

SQUARED, SOFTMAX, SIGMOID = 0, 1, 2
"""The losses by number."""

Answers = Inexact[np.ndarray, "output_steps batch outputs"]
Row = Inexact[np.ndarray, "outputs"]


class Kind(NamedTuple):
    """Which loss `evaluate` is to compute."""

    function: int
    """`SQUARED`, `SOFTMAX` or `SIGMOID`."""
    masked: bool
    """Whether a label of NaN is one that is not asked for."""


def evaluate(y_hat: Answers, y: Answers, d_y_hat: Answers, kind: Kind) -> float:
    """The loss of predictions `y_hat [K, B, O]` for labels `y`, in float64; dL/dŷ goes into `d_y_hat`.

    It is NaN where no label is asked for.
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
    """N, how many labels are asked for: rows for the softmax, else numbers."""
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
    """(ŷ - y)², and its derivative times `share`, which is 1/N."""
    error = z - label
    return float(error) * float(error), error * (2.0 * share)


def sigmoid_cross_entropy(z: float, label: float, share: float) -> tuple[float, float]:
    """softplus(ŷ) - y ŷ, and its derivative σ(ŷ) - y times `share`, which is 1/N."""
    return float(softplus(z)) - float(label) * float(z), (sigmoid(z) - label) * share


def softmax_cross_entropy(z: Row, label: Row, d_z: Row, share: float, masked: bool) -> float:
    """log Σ exp(ŷ) - y·ŷ of one row, or 0 if it is masked; `d_z` gets the derivative, (p - y) times `share`."""
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
