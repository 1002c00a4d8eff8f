"""Loss functions: the value and its derivative together."""

from typing import Any, Protocol

import numpy as np

from memspan.axes import Array, Outputs
from memspan.errors import InvalidArgument, NotReady


class Loss(Protocol):
    """What a loss must offer."""

    def forward(self, y_hat: Any, y: Any, /) -> Any:
        """The loss of predictions for labels, one number."""

    def backward(self) -> Any:
        """dL/dŷ at the last `forward`."""


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
