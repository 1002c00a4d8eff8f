"""The mean product of labels and predictions: not a loss to train with, but a way to their covariance."""

from memspan.losses.base import MeanLoss
from memspan.losses.compiled import PRODUCT, evaluate
from memspan.shapes import Outputs


class MeanProduct(MeanLoss):
    """The mean of label times prediction.

        L = 1/N Σ y ŷ          dL/dŷ = y / N

    with N = B·O. Because dL/dŷ does not depend on ŷ, a backward pass of this loss back-propagates any given
    gradient `y / N`. `memspan.diagnostics` uses it for the label gradient ∇E[y ŷ].

    Parameters
    ----------
    masked : bool
        Whether to leave out labels that are NaN, as for `MSELoss`.
    """

    function = PRODUCT
    label = "mean product"
    into = staticmethod(evaluate)

    def _parts(self, y_hat: Outputs, y: Outputs) -> tuple[Outputs, Outputs]:
        return y * y_hat, y
