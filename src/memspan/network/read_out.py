"""The linear read-out of a network, ŷ = Vᵀ a + b_y, among its other weights."""

from typing import TYPE_CHECKING, Protocol

import numpy as np
from jaxtyping import Float, Int

from memspan.engines.parameters import Layout
from memspan.losses import MeanProduct
from memspan.runtime.blas import one_blas_thread
from memspan.shapes import Array

if TYPE_CHECKING:
    from memspan.network.network import Network

Read = Float[np.ndarray, "models *output_steps batch read"]


class ReadOut(Protocol):
    """The read-out of a model, for networks that differ from it in their weights only.

    What it reads does not depend on its own weights, so ŷ is a linear function of these.

    Attributes
    ----------
    places : array [H + 1, O]
        The place of each weight of [V; b_y] in `parameters`. Without a bias b_y, its row is missing.
    width : int
        H, the width of what it reads.
    """

    @property
    def width(self) -> int:
        """H."""

    @property
    def places(self) -> Int[np.ndarray, "read outputs"]:
        """The places of V and b_y."""

    def states(self, parameters: Float[np.ndarray, "models parameters"], x: Array) -> Read:
        """Return what each network reads out, `[M, B, H + 1]` or `[M, K, B, H + 1]`: the states, and 1 for b_y."""


class CellReadOut:
    """The read-out of a network of a cell. See `ReadOut`.

    The states are the predictions of networks with V = 1, in the compiled engine.
    """

    def __init__(self, network: "Network") -> None:
        from memspan.engines.compiled import CompiledEngine

        layout, H = network.layout, network.hidden_size
        self.width = H
        shapes = layout.views(np.empty(layout.size))
        begin = shapes.W.size + shapes.R.size + shapes.bs.size
        end = begin + shapes.V.size + shapes.by.size
        self.places = np.arange(begin, end).reshape(H + 1, -1)
        self._before, self._after, self._identity = slice(begin), slice(end, None), np.eye(H + 1, H).ravel()
        of_states = Layout(layout.cell, layout.features, H, H)
        self._engine = CompiledEngine(of_states, network.dtype, MeanProduct(), output_steps=network.output_steps)

    def states(self, parameters: Float[np.ndarray, "models parameters"], x: Array) -> Read:
        """See `ReadOut`."""
        identity = np.broadcast_to(self._identity, (len(parameters), len(self._identity)))
        rows = np.concatenate([parameters[:, self._before], identity, parameters[:, self._after]], axis=1)
        with one_blas_thread():
            states = self._engine.predict(rows, [x] * len(rows))
        return with_one(states)


def with_one(states: Array) -> Array:
    """Return the states `[..., H]` with a column of ones, for the bias of the read-out."""
    return np.concatenate([states, np.ones((*states.shape[:-1], 1), states.dtype)], axis=-1)
