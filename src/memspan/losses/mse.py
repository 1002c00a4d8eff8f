"""The mean squared error."""

from memspan.losses.base import MeanLoss
from memspan.losses.compiled import SQUARED, evaluate
from memspan.shapes import Outputs


class MSELoss(MeanLoss):
    """The mean squared error over samples and outputs.

        L = 1/N Σ (y - ŷ)²          dL/dŷ = 2/N (ŷ - y)

    with N = B·O, the number of predictions. For one output this is the loss of the assignment (Kratzert 2019).

    Parameters
    ----------
    masked : bool
        Whether to leave out labels that are NaN: they count neither in the sum nor in N.

    Examples
    --------
    >>> import numpy as np
    >>> loss = MSELoss()
    >>> loss.forward(np.array([[1.0], [0.0]]), np.array([[0.0], [0.0]]))
    0.5
    >>> loss.backward()
    array([[1.],
           [0.]])
    """

    function = SQUARED
    label = "mean squared error"
    into = staticmethod(evaluate)

    def _parts(self, y_hat: Outputs, y: Outputs) -> tuple[Outputs, Outputs]:
        error = y_hat - y
        return error * error, 2 * error
