"""The cross-entropy of several classes."""

import numpy as np
from jaxtyping import Inexact

from memspan.errors import InvalidArgument
from memspan.losses.base import MeanLoss
from memspan.losses.compiled import SOFTMAX, evaluate
from memspan.shapes import Array, Outputs


class SoftmaxCrossEntropy(MeanLoss):
    """The cross-entropy of O classes after a softmax, in nats.

        p = exp(ŷ) / Σ exp(ŷ)        L = -1/N Σ y log p        dL/dŷ = 1/N (p - y)

    A label is a row of probabilities that sum to 1, usually one 1 among zeros. N is the number of rows. The
    largest ŷ of each row is first subtracted from the row, so that no exponential overflows.

    Parameters
    ----------
    masked : bool
        Whether to leave out rows that are NaN: they count neither in the sum nor in N.

    Examples
    --------
    >>> loss = SoftmaxCrossEntropy()
    >>> round(loss.forward(np.zeros((1, 4)), np.array([[0.0, 1.0, 0.0, 0.0]])), 6)  # log 4
    1.386294
    >>> loss.backward()
    array([[ 0.25, -0.75,  0.25,  0.25]])
    """

    function = SOFTMAX
    label = "cross-entropy (nats)"
    into = staticmethod(evaluate)

    def check_labels(self, y: Array) -> None:
        """Raise `InvalidArgument` unless every row is probabilities, or all NaN if the loss is masked."""
        super().check_labels(y)
        asked = self._mask(y)
        if (asked.any(axis=-1) != asked.all(axis=-1)).any():
            raise InvalidArgument("y", "rows that are all NaN or free of NaN", "a row that is partly NaN")
        rows = y[asked.all(axis=-1)].real
        if y.shape[-1] < 2:
            raise InvalidArgument("y", "an array with a column per class, at least two", f"shape {y.shape}")
        if (rows < 0).any() or (np.abs(rows.sum(axis=-1) - 1) > 1e-3).any():
            raise InvalidArgument("y", "rows of probabilities that sum to 1", "a negative number or another sum")

    def _parts(self, y_hat: Outputs, y: Outputs) -> tuple[Inexact[np.ndarray, "*output_steps batch 1"], Outputs]:
        shifted = y_hat - y_hat.real.max(axis=-1, keepdims=True)
        powers = np.exp(shifted)
        whole = powers.sum(axis=-1, keepdims=True)
        wanted = np.where(y == 0, 0, y * shifted)  # 0 of minus infinity is 0, where two ŷ are farthest apart
        return np.log(whole) - wanted.sum(axis=-1, keepdims=True), powers / whole - y
