"""Loss functions: the value and its derivative together."""

from typing import Any, Protocol

import numpy as np

from memspan.axes import Array, Outputs
from memspan.errors import InvalidArgument, NotReady


class Loss(Protocol):
    """What a loss must offer.

    The fast engine calls it from Python between its forward and its backward half; unless the class has a static
    method `into(y_hat, y, d_y_hat) -> float` too, an importable function over arrays `[K, B, O]` that Numba can
    compile, which returns the loss and writes its derivative.
    """

    def forward(self, y_hat: Any, y: Any, /) -> Any:
        """The loss of predictions for labels, one number."""

    def backward(self) -> Any:
        """dL/dŷ at the last `forward`."""


def squared_error(y_hat: Array, y: Array, d_y_hat: Array) -> float:
    """`MSELoss` for kernels, over `[K, B, O]`: the value, summed in float64; dL/dŷ goes into `d_y_hat`."""
    total, share = 0.0, 2.0 / y.size
    for k in range(y.shape[0]):
        for b in range(y.shape[1]):
            for o in range(y.shape[2]):
                error = y_hat[k, b, o] - y[k, b, o]
                total += float(error) * float(error)
                d_y_hat[k, b, o] = error * share
    return total / y.size


class MSELoss:
    """The mean squared error over samples and outputs.

        L = 1/N Σ (y - ŷ)²          dL/dŷ = 2/N (ŷ - y)

    with N = B·O, the number of predictions: for the one output of the memory task, the assignment's equation.

    Examples
    --------
    >>> loss = MSELoss()
    >>> loss.forward(np.array([[1.0], [0.0]]), np.array([[0.0], [0.0]]))
    0.5
    >>> loss.backward()
    array([[1.],
           [0.]])
    """

    into = staticmethod(squared_error)

    def __init__(self) -> None:
        self._error: Array | None = None

    def forward(self, y_hat: Outputs, y: Outputs) -> float:
        """The loss of predictions `y_hat [B, O]` for labels `y [B, O]`: one number, never broadcast.

        Raises
        ------
        InvalidArgument
            When the two shapes differ, or what they hold are not floating-point numbers.
        """
        y_hat, y = np.asarray(y_hat), np.asarray(y)
        for name, values in (("y_hat", y_hat), ("y", y)):
            if values.dtype.kind not in "fc":
                raise InvalidArgument(name, "an array of floating-point numbers", f"dtype {values.dtype}")
        if np.shape(y_hat) != np.shape(y):
            raise InvalidArgument("y_hat", f"of the labels' shape {np.shape(y)}", f"shape {np.shape(y_hat)}")
        if np.size(y) == 0:
            raise InvalidArgument("y", "at least one label", f"shape {np.shape(y)}")
        error = y_hat - y
        value = (error * error).mean()
        self._error = error
        return value.item()

    def backward(self) -> Outputs:
        """dL/dŷ `[B, O]` at the last `forward`.

        Raises
        ------
        NotReady
            When there was none.
        """
        if self._error is None:
            raise NotReady("the derivative of a loss needs its value: call .forward(y_hat, y) first")
        return self._error * (2 / self._error.size)


LOSSES: dict[str, type[MSELoss]] = {"mse": MSELoss}
"""Every loss by name."""
