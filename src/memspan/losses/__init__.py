"""The losses, one file each; `LOSSES` lists them."""

from memspan.losses.base import Loss, MeanLoss, check_loss, value_of
from memspan.losses.compiled import evaluate
from memspan.losses.mse import MSELoss
from memspan.losses.product import MeanProduct
from memspan.losses.sigmoid import SigmoidCrossEntropy
from memspan.losses.softmax import SoftmaxCrossEntropy

LOSSES: dict[str, type[MSELoss] | type[SoftmaxCrossEntropy] | type[SigmoidCrossEntropy]] = {
    "mse": MSELoss,
    "softmax": SoftmaxCrossEntropy,
    "sigmoid": SigmoidCrossEntropy,
}
"""Every loss by name."""

__all__ = [
    "LOSSES",
    "Loss",
    "MSELoss",
    "MeanLoss",
    "MeanProduct",
    "SigmoidCrossEntropy",
    "SoftmaxCrossEntropy",
    "check_loss",
    "evaluate",
    "value_of",
]
