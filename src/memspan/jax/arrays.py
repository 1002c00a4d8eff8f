"""What the modules of the libraries share: their arrays as NumPy's, and their activations by value."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from memspan.errors import InvalidArgument
from memspan.shapes import Array

POINTS = (-2.0, -0.5, 0.0, 0.3, 1.5)
ACTIVATIONS = {"sigmoid": jax.nn.sigmoid, "tanh": jnp.tanh, "relu": jax.nn.relu}


def array(name: str, values: Any) -> Array:
    """Return an array of JAX as one of float64, which holds the numbers of every smaller dtype."""
    found = np.asarray(values)
    if not jnp.issubdtype(found.dtype, jnp.floating):
        raise InvalidArgument(name, "a module with real weights", found.dtype.name)
    return found.astype(np.float64)


def activation(function: Callable[[Any], Any]) -> str:
    """Return the name of an activation, found by its values; empty if it is none of `ACTIVATIONS`."""
    points = jnp.asarray(POINTS)
    values = function(points)
    alike = (name for name, known in ACTIVATIONS.items() if jnp.allclose(values, known(points), atol=1e-6))
    return next(alike, "")


def demand_activations(cell: Any) -> None:
    """Raise unless the gates of a cell are sigmoids and its other activations tanh."""
    for name, right in {"gate_fn": "sigmoid", "activation_fn": "tanh"}.items():
        if activation(getattr(cell, name)) != right:
            raise InvalidArgument("module", f"a cell with {name}={right}", getattr(cell, name))


def simple(cell: Any) -> str:
    """Return the name of memspan's cell for a `SimpleCell` of flax."""
    names = {"tanh": "rnn", "relu": "rnn-relu"}
    if cell.residual:
        raise InvalidArgument("module", "a cell without a residual connection", "residual=True")
    if (found := activation(cell.activation_fn)) not in names:
        raise InvalidArgument("module", "a cell with activation_fn=tanh or relu", cell.activation_fn)
    return names[found]
