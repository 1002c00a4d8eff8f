"""The mean product of labels and predictions: not a loss to train with, but a way to their covariance."""

from memspan.losses.base import MeanLoss
from memspan.losses.compiled import Answers, Kind
from memspan.shapes import Outputs


def mean_product(y_hat: Answers, y: Answers, d_y_hat: Answers, kind: Kind) -> float:
    """Return the mean of y ŷ for `y_hat [K, B, O]`, in float64; write y / N into `d_y_hat`.

    It is not a part of `evaluate`, whose code belongs to the identity of every study.
    """
    steps, batch, outputs = y.shape
    total, asked = 0.0, 0
    for k in range(steps):
        for b in range(batch):
            for o in range(outputs):
                label = y[k, b, o]
                d_y_hat[k, b, o] = 0
                if not kind.masked or label == label:
                    total += float(label) * float(y_hat[k, b, o])
                    d_y_hat[k, b, o] = label
                    asked += 1
    share = 1.0 / max(asked, 1)
    for k in range(steps):
        for b in range(batch):
            for o in range(outputs):
                d_y_hat[k, b, o] *= share
    return total * share


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

    label = "mean product"
    into = staticmethod(mean_product)

    def _parts(self, y_hat: Outputs, y: Outputs) -> tuple[Outputs, Outputs]:
        return y * y_hat, y
