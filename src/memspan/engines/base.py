"""The interface of an engine: losses, gradients and predictions of several networks of one shape."""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Inexact

from memspan.shapes import Array, Outputs


class Differentiated(NamedTuple):
    """The result of a pass.

    Attributes
    ----------
    losses : array [M]
        In float64.
    gradients : array [M, P]
    norms : array [N, T, B]
        ‖dL/da[t]‖ of every sample in float64, for the N networks for which it was measured. A list of N arrays if
        the batches have different shapes.
    """

    losses: Float[np.ndarray, "models"]
    gradients: Inexact[np.ndarray, "models parameters"]
    norms: Any


class Engine(Protocol):
    """An engine computes for M networks in one call, each on its own data. It does not train."""

    def differentiate(
        self,
        parameters: Inexact[np.ndarray, "models parameters"],
        batches: Sequence[tuple[Array, Array]],
        *,
        norms: Sequence[int] = (),
    ) -> Differentiated:
        """Return the loss of each network on its batch, and its gradient.

        Parameters
        ----------
        parameters : array [M, P]
            The weights of each network.
        batches : M pairs of x [T, B, F] and y [B, O] or [K, B, O]
        norms : sequence of int
            The networks, as rows of `parameters`, for which ‖dL/da[t]‖ is measured as well.
        """

    def predict(
        self, parameters: Inexact[np.ndarray, "models parameters"], inputs: Sequence[Array]
    ) -> Sequence[Outputs] | Inexact[np.ndarray, "models *output_steps batch outputs"]:
        """Return ŷ of each network for its own x `[T, B, F]`."""


@runtime_checkable
class PreparedEngine(Engine, Protocol):
    """An engine that serves all networks of one shape, any number of them in each call.

    Attributes
    ----------
    layout : object
        The places of their weights.
    output_steps : int or None
        K, as for `Network`.
    """

    @property
    def layout(self) -> Any:
        """The places of the weights."""

    @property
    def output_steps(self) -> int | None:
        """K."""


@runtime_checkable
class EngineMaker(Protocol):
    """What makes the engine of the networks that are still in training."""

    def make_engine(self, networks: Sequence[Any], loss: Any, truncate: int | None = None) -> Engine:
        """Return an engine for these networks, whose weights are the rows of `parameters`.

        The gradient of each output goes back through `truncate` steps, or to the beginning if it is None.
        """
