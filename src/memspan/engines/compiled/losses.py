"""The loss inside a kernel: one function for all losses of memspan, so that a kernel is not compiled for each."""

from collections.abc import Callable
from typing import Any

from memspan.losses import Loss, evaluate
from memspan.losses.compiled import SQUARED, Answers, Kind
from memspan.losses.product import mean_product

PRODUCT = 3
"""The number of `mean_product` in `evaluate_any`, beside those of `evaluate`."""
UNUSED = Kind(SQUARED, masked=False)  # for a loss that is called from Python, not by the kernel


def evaluate_any(y_hat: Answers, y: Answers, d_y_hat: Answers, kind: Kind) -> float:
    """Return what `evaluate` or `mean_product` returns. Only inside kernels.

    The code of these two belongs to the identity of studies, so they stay two functions.
    """
    if kind.function == PRODUCT:
        return mean_product(y_hat, y, d_y_hat, kind)
    return evaluate(y_hat, y, d_y_hat, kind)


def loss_in_kernel(loss: Loss) -> tuple[Callable[..., float], Any, bool]:
    """Return the function for a kernel, its last argument, and whether it computes the loss.

    It does not for a loss without `into`, or with an inherited one, which may compute another loss.
    """
    into = vars(type(loss)).get("into")
    into = getattr(into, "__func__", into)
    if into is None:
        return evaluate_any, UNUSED, False
    kind: Any = getattr(loss, "kind", 0)
    if into is mean_product:
        return evaluate_any, Kind(PRODUCT, kind.masked), True
    return (evaluate_any if into is evaluate else into), kind, True
