"""The cross-entropy of binary outputs."""

from memspan.cells.activations import sigmoid, softplus
from memspan.errors import InvalidArgument
from memspan.losses.base import MeanLoss
from memspan.losses.compiled import SIGMOID, evaluate
from memspan.shapes import Array, Outputs


class SigmoidCrossEntropy(MeanLoss):
    """The binary cross-entropy of each output after a logistic function, in nats.

        p = σ(ŷ)        L = -1/N Σ (y log p + (1-y) log(1-p))        dL/dŷ = 1/N (p - y)

    with N = B·O and y from 0 to 1. It is computed as softplus(ŷ) - y ŷ, which does not overflow.

    Parameters
    ----------
    masked : bool
        Whether to leave out labels that are NaN: they count neither in the sum nor in N.

    Examples
    --------
    >>> import numpy as np
    >>> loss = SigmoidCrossEntropy()
    >>> round(loss.forward(np.array([[0.0]]), np.array([[1.0]])), 6)  # log 2
    0.693147
    >>> loss.backward()
    array([[-0.5]])
    """

    function = SIGMOID
    label = "cross-entropy (nats)"
    into = staticmethod(evaluate)

    def check_labels(self, y: Array) -> None:
        """Raise `InvalidArgument` unless every label is a probability, or NaN if the loss is masked."""
        super().check_labels(y)
        numbers = y[self._mask(y)].real
        if (numbers < 0).any() or (numbers > 1).any():
            raise InvalidArgument("y", "an array of probabilities from 0 to 1", "a number outside that range")

    def _parts(self, y_hat: Outputs, y: Outputs) -> tuple[Outputs, Outputs]:
        return softplus(y_hat) - y * y_hat, sigmoid(y_hat) - y
