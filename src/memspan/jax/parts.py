"""A JAX model in parts: its parameters, its other arrays, and the rest, for which its functions are compiled.

A model is any pytree that can be called, such as a module of equinox or of flax.nnx, or an adapter. Its parameters
are its arrays of floating-point numbers; of the variables of flax.nnx only those of the kind `Param`.
"""

import sys
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

Leaves = list[Any]
"""Arrays among the leaves of a model."""


class Frame:
    """A model without its arrays; equal for equal models, so that they share what is compiled.

    Parameters
    ----------
    tree : PyTreeDef
        The structure of the model.
    parameters, constants : tuple of int
        The places of the parameters and of the other arrays among the leaves.
    others : tuple
        The leaves that are not arrays, with None in the places of arrays.
    """

    def __init__(
        self, tree: Any, parameters: tuple[int, ...], constants: tuple[int, ...], others: tuple[Any, ...]
    ) -> None:
        self.tree, self.parameters, self.constants, self.others = tree, parameters, constants, others
        self.key: Any = (tree, parameters, constants, others)
        try:
            hash(self.key)
        except TypeError:  # a leaf that cannot be compared
            self.key = id(self)

    def __hash__(self) -> int:
        return hash(self.key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Frame) and bool(self.key == other.key)

    def model(self, parameters: Leaves, constants: Leaves) -> Any:
        """Return the model with the given arrays."""
        leaves = list(self.others)
        for places, arrays in ((self.parameters, parameters), (self.constants, constants)):
            for k, array in zip(places, arrays, strict=True):
                leaves[k] = array
        return jax.tree_util.tree_unflatten(self.tree, leaves)


class Parts(NamedTuple):
    """A model in parts.

    Attributes
    ----------
    names : tuple of str
        The paths of the parameters in the model, such as `module.weight_hh`.
    parameters, constants : list of array
    frame : Frame
    """

    names: tuple[str, ...]
    parameters: Leaves
    constants: Leaves
    frame: Frame


def parts_of(model: Any) -> Parts:
    """Take a model apart."""
    found, tree = jax.tree_util.tree_flatten_with_path(model)
    leaves, variables = [leaf for _, leaf in found], _variables(model)
    paths = [path[:-1] if path[:-1] in variables else path for path, _ in found]  # without nnx's `.value`
    trained = [
        is_array(leaf) and is_real(leaf) and variables.get(path, True)
        for path, leaf in zip(paths, leaves, strict=True)
    ]
    parameters = tuple(k for k, is_trained in enumerate(trained) if is_trained)
    constants = tuple(k for k, leaf in enumerate(leaves) if is_array(leaf) and not trained[k])
    others = tuple(None if is_array(leaf) else leaf for leaf in leaves)
    return Parts(
        tuple(jax.tree_util.keystr(paths[k], simple=True, separator=".") for k in parameters),
        [leaves[k] for k in parameters],
        [leaves[k] for k in constants],
        Frame(tree, parameters, constants, others),
    )


def is_no_pytree(model: Any) -> bool:
    """Whether JAX sees nothing inside a model, because its class is not registered."""
    leaves = jax.tree_util.tree_leaves(model)
    return len(leaves) == 1 and leaves[0] is model


def is_array(leaf: Any) -> bool:
    """Whether a leaf is an array, of whatever kind."""
    return isinstance(leaf, jax.Array | np.ndarray)


def is_real(leaf: Any) -> bool:
    """Whether a leaf is an array of floating-point numbers, or the shape of one."""
    return hasattr(leaf, "dtype") and bool(jnp.issubdtype(leaf.dtype, jnp.inexact))


def _variables(model: Any) -> dict[Any, bool]:
    """Return the paths of the variables of flax.nnx, and whether each is a parameter; others are running means."""
    nnx = sys.modules.get("flax.nnx")
    if nnx is None:
        return {}
    found, _ = jax.tree_util.tree_flatten_with_path(model, is_leaf=lambda part: isinstance(part, nnx.Variable))
    return {path: isinstance(part, nnx.Param) for path, part in found if isinstance(part, nnx.Variable)}
