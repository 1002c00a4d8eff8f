"""Loss functions: the value and its derivative together.

All of them take what the network reads out, ŷ, as it is: a cross-entropy applies its softmax or logistic function
itself. They are means, over every number that is asked for.
"""

import math
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Inexact

from memspan.errors import InvalidArgument, LossTooLarge, NotReady, plain_array, true_or_false
from memspan.losses.compiled import SQUARED, Kind, evaluate
from memspan.runtime.floats import quiet
from memspan.shapes import Array, Outputs


@runtime_checkable
class Loss(Protocol):
    """What a loss must offer.

    The compiled engine calls it from Python between its forward and its backward half; unless the class has a
    static method `into(y_hat, y, d_y_hat, kind) -> float` too, an importable function over arrays `[K, B, O]` that
    Numba can compile, which returns the loss and writes its derivative. `kind` is the loss's attribute of that
    name, a whole number or a named tuple of them, and 0 if it has none: so one compiled function may serve several
    losses.
    """

    def forward(self, y_hat: Any, y: Any, /) -> Any:
        """The loss of predictions for labels, one number."""

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
    """`loss.forward`, but infinity where memspan's losses refuse one: in training that is a result."""
    try:
        return loss.forward(y_hat, y)
    except LossTooLarge:
        return math.inf


class MeanLoss:
    """What the losses have in common: checks, the mask, and the mean.

    Parameters
    ----------
    masked : bool
        Whether a label of NaN is one that is not asked for: then it counts neither in the sum nor in the mean, and
        its derivative is 0. Otherwise NaN is a label like any other, and makes the loss NaN.
    """

    function = SQUARED
    """Number of the loss among those of `memspan.losses.compiled`."""

    label = ""
    """What the loss is called in figures."""

    into = staticmethod(evaluate)
    """Each subclass names it again: of one that does not, the engine cannot know that it is the same loss."""

    def __init__(self, masked: bool = False) -> None:
        self.masked = true_or_false("masked", masked)
        self._derivative: Outputs | None = None

    @property
    def kind(self) -> Kind:
        """Which loss `into` is to compute."""
        return Kind(self.function, self.masked)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({'masked=True' if self.masked else ''})"

    @quiet
    def forward(self, y_hat: Outputs, y: Outputs) -> float:
        """The loss of predictions `y_hat [B, O]` or `[K, B, O]` for labels `y` of the same shape, never broadcast.

        Raises
        ------
        InvalidArgument
            When the two shapes differ, one is a masked array or does not hold floating-point numbers, or no label
            is asked for; when the loss of finite numbers is too large for their dtype.
        """
        y_hat, y = plain_array("y_hat", y_hat), plain_array("y", y)
        for name, values in (("y_hat", y_hat), ("y", y)):
            if values.dtype.kind not in "fc":
                raise InvalidArgument(name, "an array of floating-point numbers", f"dtype {values.dtype}")
        if np.shape(y_hat) != np.shape(y):
            raise InvalidArgument("y_hat", f"of the labels' shape {np.shape(y)}", f"shape {np.shape(y_hat)}")
        self.check_labels(y)
        asked = self._mask(y)
        values, derivative = self._parts(y_hat, np.where(asked, y, 0))
        of = asked[..., : values.shape[-1]]  # one value a row, or one a number
        count = int(of.sum())
        self._derivative = np.where(asked, derivative, 0) / count
        loss = np.where(of, values, 0).sum() / count
        if not np.isfinite(loss) and np.isfinite(y_hat).all() and np.isfinite(y[asked]).all():
            largest = np.abs(y_hat).max()
            raise LossTooLarge(
                "y_hat", f"such that the loss is finite in {y_hat.dtype}", f"numbers up to {largest:g}"
            )
        return loss.item()

    def check_labels(self, y: Array) -> None:
        """Raise `InvalidArgument` if `y` cannot be the labels of a batch.

        If the loss is not masked, the compiled engine looks at the first batch of each shape only: later ones
        cost no time.
        """
        if np.size(y) == 0:
            raise InvalidArgument("y", "at least one label", f"shape {np.shape(y)}")
        if not self._mask(y).any():
            raise InvalidArgument("y", "at least one label that is asked for", f"NaN alone, in shape {y.shape}")

    def _mask(self, y: Inexact[np.ndarray, "*shape"]) -> Bool[np.ndarray, "*shape"]:
        """Which labels are asked for."""
        return ~np.isnan(y) if self.masked else np.ones(y.shape, bool)

    def backward(self) -> Outputs:
        """dL/dŷ at the last `forward`, in its shape.

        Raises
        ------
        NotReady
            When there was none.
        """
        if self._derivative is None:
            raise NotReady("the derivative of a loss needs its value: call .forward(y_hat, y) first")
        return self._derivative.copy()

    def _parts(
        self, y_hat: Outputs, y: Outputs
    ) -> tuple[Inexact[np.ndarray, "*output_steps batch terms"], Outputs]:
        """The loss of each number, or of each row as `[..., 1]`, and its derivative."""
        raise NotImplementedError
