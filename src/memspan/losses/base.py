"""Loss functions: the value and its derivative together.

A loss takes the readout ŷ as the network returns it: a cross-entropy applies its softmax or logistic function
itself. Each loss is a mean over all labels that are not masked.
"""

import math
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Inexact

from memspan.errors import InvalidArgument, LossTooLarge, NotReady, plain_array, truth
from memspan.losses.compiled import SQUARED, Kind, evaluate
from memspan.runtime.floats import quiet
from memspan.runtime.renamed import checked_keywords
from memspan.shapes import Array, Outputs


@runtime_checkable
class Loss(Protocol):
    """The methods of a loss.

    The compiled engine calls them from Python, between its forward and its backward pass. To run inside a kernel,
    a class adds a static method `into(y_hat, y, d_y_hat, kind) -> float`: an importable function over arrays
    `[K, B, O]` that Numba can compile. It returns the loss and writes the derivative into `d_y_hat`. `kind` is the
    attribute of that name, a whole number or a named tuple of them, or 0 if the loss has none. It lets one
    compiled function serve several losses.
    """

    def forward(self, y_hat: Any, y: Any, /) -> Any:
        """The loss of the predictions `y_hat` for the labels `y`, one number."""

    def backward(self) -> Any:
        """dL/dŷ at the last `forward`."""


def check_loss(loss: Any) -> None:
    """Raise `InvalidArgument` if `loss` is not an object with the two methods of a loss."""
    if isinstance(loss, type):
        raise InvalidArgument("loss", f"an object, such as {loss.__name__}()", f"the class {loss.__name__}")
    for name in ("forward", "backward"):
        if not callable(getattr(loss, name, None)):
            raise InvalidArgument("loss", f"an object with a method {name}", repr(loss))


def value_of(loss: Loss, y_hat: Any, y: Any) -> Any:
    """Return `loss.forward(y_hat, y)`, or infinity if the loss overflows, which is a valid result in training."""
    try:
        return loss.forward(y_hat, y)
    except LossTooLarge:
        return math.inf


class MeanLoss:
    """The common base of the losses: the checks, the mask and the mean.

    Parameters
    ----------
    masked : bool
        Whether to leave out labels that are NaN. A label left out counts neither in the sum nor in the mean, and
        its derivative is 0. Without the mask a NaN label makes the loss NaN.
    """

    function = SQUARED
    """The number of the loss in `memspan.losses.compiled`."""

    label = ""
    """The name of the loss in figures."""

    into = staticmethod(evaluate)
    """Every subclass must set this again. The engine ignores an inherited `into`, which may not match."""

    @checked_keywords()
    def __init__(self, masked: bool = False) -> None:
        self.masked = truth("masked", masked)
        self._derivative: Outputs | None = None

    @property
    def kind(self) -> Kind:
        """The loss that `into` computes, and whether it is masked."""
        return Kind(self.function, self.masked)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({'masked=True' if self.masked else ''})"

    @quiet
    def forward(self, y_hat: Outputs, y: Outputs) -> float:
        """Return the loss of predictions `y_hat [B, O]` or `[K, B, O]` for labels `y` of exactly the same shape.

        Raises
        ------
        InvalidArgument
            If the shapes differ, an array is a masked array or not of floating-point numbers, no label counts, or
            finite numbers give a loss that overflows their dtype.
        """
        y_hat, y = plain_array("y_hat", y_hat), plain_array("y", y)
        for name, values in (("y_hat", y_hat), ("y", y)):
            if values.dtype.kind not in "fc":
                raise InvalidArgument(name, "an array of floating-point numbers", f"dtype {values.dtype}")
        if np.shape(y_hat) != np.shape(y):
            raise InvalidArgument("y_hat", f"of the labels' shape {np.shape(y)}", f"shape {np.shape(y_hat)}")
        self.check_labels(y)
        counted = self._mask(y)
        values, derivative = self._parts(y_hat, np.where(counted, y, 0))
        terms = counted[..., : values.shape[-1]]  # a loss has one term for each row or for each number
        count = int(terms.sum())
        self._derivative = np.where(counted, derivative, 0) / count
        loss = np.where(terms, values, 0).sum() / count
        if not np.isfinite(loss) and np.isfinite(y_hat).all() and np.isfinite(y[counted]).all():
            largest = np.abs(y_hat).max()
            raise LossTooLarge(
                "y_hat", f"small enough for a finite loss in {y_hat.dtype}", f"numbers up to {largest:g}"
            )
        return loss.item()

    def check_labels(self, y: Array) -> None:
        """Raise `InvalidArgument` if `y` cannot be the labels of a batch.

        If the loss is not masked, the compiled engine calls this only for the first batch of each shape, to save
        time.
        """
        if np.size(y) == 0:
            raise InvalidArgument("y", "an array with at least one label", f"shape {np.shape(y)}")
        if not self._mask(y).any():
            raise InvalidArgument("y", "an array with a label that is not NaN", f"NaN alone, in shape {y.shape}")

    def _mask(self, y: Inexact[np.ndarray, "*shape"]) -> Bool[np.ndarray, "*shape"]:
        """True for each label that counts."""
        return ~np.isnan(y) if self.masked else np.ones(y.shape, bool)

    def backward(self) -> Outputs:
        """dL/dŷ at the last `forward`, in its shape.

        Raises
        ------
        NotReady
            If `forward` has not been called.
        """
        if self._derivative is None:
            raise NotReady("The derivative needs a forward pass: call .forward(y_hat, y) first.")
        return self._derivative.copy()

    def _parts(
        self, y_hat: Outputs, y: Outputs
    ) -> tuple[Inexact[np.ndarray, "*output_steps batch terms"], Outputs]:
        """The loss of each number (or of each row, as `[..., 1]`), and its derivative."""
        raise NotImplementedError
