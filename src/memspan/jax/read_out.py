"""The linear read-out of `Steps` and `Sequence`."""

import copy
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int

from memspan.jax.adapters import Adapter
from memspan.network.read_out import Read, with_one
from memspan.shapes import Array

if TYPE_CHECKING:
    from memspan.jax.network import JaxNetwork

WEIGHT, BIAS = "read_out.weight", "read_out.bias"


class JaxReadOut:
    """The read-out of an adapter. See `memspan.network.read_out.ReadOut`.

    Parameters
    ----------
    network : JaxNetwork
        Its model is an adapter with a width.
    features : JaxNetwork
        The same model without its read-out.
    """

    def __init__(self, network: "JaxNetwork", features: "JaxNetwork") -> None:
        named = network.layout.by_name(np.arange(network.layout.size))
        self.places: Int[np.ndarray, "read outputs"] = np.concatenate([named[WEIGHT].T, named[BIAS][np.newaxis]])
        self.width, self._features = named[WEIGHT].shape[1], features
        self._others = np.concatenate([named[name].ravel() for name in features.layout.shapes])

    def states(self, parameters: Float[np.ndarray, "models parameters"], x: Array) -> Read:
        """See `ReadOut`."""
        rows = parameters[:, self._others]
        return with_one(np.stack([self._features.with_parameters(row).predict(x) for row in rows]))


def without_read_out(model: Adapter, width: int) -> Adapter:
    """Return an adapter whose outputs are what the read-out of `width` reads."""
    found = copy.copy(model)
    found.read_out, found.width, found.outputs = None, None, width
    return found
