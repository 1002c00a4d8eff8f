"""JAX models of your own: adapters for cells and layers, and the network and engine that train them.

It needs JAX: `pip install 'memspan[jax]'`. Nothing else in memspan imports this package until it is used.
"""

from memspan.foreign import FaultyModel, choose_form, time_forms
from memspan.jax.adapters import Sequence, Steps
from memspan.jax.engine import Form, JaxEngine
from memspan.jax.factory import make_network, weight_count
from memspan.jax.network import JaxNetwork
from memspan.jax.weights import load_weights, to_equinox, to_linen, to_nnx

__all__ = [
    "FaultyModel",
    "Form",
    "JaxEngine",
    "JaxNetwork",
    "Sequence",
    "Steps",
    "choose_form",
    "load_weights",
    "make_network",
    "time_forms",
    "to_equinox",
    "to_linen",
    "to_nnx",
    "weight_count",
]
