"""The interface of an engine: losses, gradients and predictions of several networks of one shape."""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from jaxtyping import Float, Inexact

from memspan.shapes import Array, Outputs


class Differentiated(NamedTuple):
    """The result of a pass: `losses [M]` in float64, `gradients [M, P]`, and for `norms=True` ‖dL/da‖ `[M, T]`."""

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
        norms: bool = False,
    ) -> Differentiated:
        """Return the loss of each network on its batch, and its gradient.

        Parameters
        ----------
        parameters : array [M, P]
            The weights of each network.
        batches : M pairs of x [T, B, F] and y [B, O] or [K, B, O]
        norms : bool
            Whether to measure Σ_b ‖dL/da[t]‖ at every time step as well.
        """

    def predict(
        self, parameters: Inexact[np.ndarray, "models parameters"], inputs: Sequence[Array]
    ) -> Sequence[Outputs] | Inexact[np.ndarray, "models *output_steps batch outputs"]:
        """Return ŷ of each network for its own x `[T, B, F]`."""
