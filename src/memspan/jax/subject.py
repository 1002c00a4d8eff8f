"""A JAX model as `memspan.testing.check_model` sees it: NumPy arrays in, NumPy arrays out.

A model is any pytree that can be called, such as a module of equinox or of flax.nnx. Its parameters are its arrays
of floating-point numbers.
"""

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np

from memspan.errors import FaultyPart
from memspan.shapes import Array

DROPPED = "Casting complex values to real"
"""The beginning of NumPy's and JAX's warning about a lost imaginary part."""


class JaxSubject:
    """A model in one dtype.

    Attributes
    ----------
    leaves_ : list
        All leaves of the model.
    tree : PyTreeDef
        Its structure.
    names : dict of str to int
        The place of each parameter among the leaves.
    dtype : dtype
        That of the parameters.
    """

    def __init__(self, model: Any, dtype: Any) -> None:
        found, self.tree = jax.tree_util.tree_flatten_with_path(model)
        self.dtype = np.dtype(dtype)
        paths = [jax.tree_util.keystr(path).strip(".") for path, _ in found]
        self.names = {name: k for k, (name, (_, leaf)) in enumerate(zip(paths, found, strict=True)) if _real(leaf)}
        self.leaves_ = [self._moved(leaf) for _, leaf in found]

    @classmethod
    def build(cls, make: Callable[..., Any], seed: int, dtype: Any) -> Self:
        """Make the model with `key=jax.random.key(seed)`, and move its parameters to `dtype`."""
        model = make(key=jax.random.key(seed))
        if not callable(model):
            raise FaultyPart(f"the factory returned a value of type {type(model).__name__} instead of a model")
        subject = cls(model, dtype)
        if len(subject.leaves_) == 1 and subject.leaves_[0] is model:
            rule = "a pytree, whose leaves are its parameters (an equinox or nnx module, or a registered class)"
            raise FaultyPart(f"the model is of type {type(model).__name__}, not {rule}")
        return subject

    @property
    def weights(self) -> dict[str, Array]:
        """The values of the parameters, copied."""
        return {name: np.array(self.leaves_[k]) for name, k in self.names.items()}

    def set_weights(self, weights: Mapping[str, Array]) -> None:
        """Overwrite the parameters that are named."""
        with self._precise():
            for name, values in weights.items():
                self.leaves_[self.names[name]] = jnp.asarray(values, self.dtype)

    def run(self, x: Array, state: Any = None) -> tuple[Array, Any]:
        """Call the model once, without compiling; y is an array, and the state stays the model's own."""
        with self._precise():
            y, state = _call(self._form, self._parameters, jnp.asarray(x), state)
        return np.array(y), state

    def evaluate(self, x: Array, state: Any = None) -> tuple[Array, Any]:
        """The same, compiled once for each shape of x."""
        with self._precise():
            y, state = _compiled(self._form, self._parameters, jnp.asarray(x), state)
        return np.array(y), state

    def step(self, x: Array, state: Any) -> tuple[Array, Any]:
        """Call the model's own step on `x [B, F]`."""
        with self._precise():
            y, state = _pair(self._model(self._parameters).step(jnp.asarray(x), state), "step")
        return np.array(y), state

    @property
    def has_step(self) -> bool:
        """Whether the model has a step beside its call."""
        return callable(getattr(self._model(self._parameters), "step", None))

    def leaves(self, state: Any) -> list[Array]:
        """The arrays of a state."""
        return [np.asarray(leaf) for leaf in jax.tree_util.tree_leaves(state)]

    def with_leaves(self, state: Any, leaves: Iterable[Array]) -> Any:
        """A state of the same form with other arrays."""
        with self._precise():
            return jax.tree_util.tree_unflatten(jax.tree_util.tree_structure(state), map(jnp.asarray, leaves))

    def pull(
        self, x: Array, d_ys: Iterable[Array], state: Any = None
    ) -> Iterator[tuple[Array, dict[str, Array], list[Array]]]:
        """The gradient of Σ d_y · y with respect to x, to each parameter and to the state, for each d_y."""
        with self._precise():
            for d_y in d_ys:
                pulled = _pull(self._form, self._parameters, jnp.asarray(x), state, jnp.asarray(d_y))
                gradients, d_x, d_state = jax.tree_util.tree_map(np.array, pulled)
                yield d_x, dict(zip(self.names, gradients, strict=True)), d_state

    def strays(self, x: Array) -> list[str]:
        """The arrays of floating-point numbers that the model uses but does not hold as leaves."""
        closed = jax.make_jaxpr(lambda p, x: _call(self._form, p, x, None))(self._parameters, jnp.asarray(x))
        found = (one for one in closed.consts if isinstance(one, jax.Array) and _real(one) and one.ndim)
        return [f"an array of shape {one.shape} held outside the model's leaves" for one in found]

    def evaluating(self) -> bool:
        """Put the model into its mode for use after training, if it has `eval()`; whether there is one."""
        model = self._model(self._parameters)
        if not callable(getattr(model, "eval", None)):
            return False
        model.eval()
        self.leaves_, self.tree = jax.tree_util.tree_flatten(model)
        return True

    def parts(self) -> Iterator[str]:
        """The names and descriptions of the model's own attributes."""
        for name, part in vars(self._model(self._parameters)).items():
            yield f"{name} = {type(part).__name__}"

    @property
    def _parameters(self) -> list[Any]:
        return [self.leaves_[k] for k in self.names.values()]

    @property
    def _form(self) -> "_Form":
        places = tuple(self.names.values())
        others = [None if k in places else leaf for k, leaf in enumerate(self.leaves_)]
        return _Form(self.tree, places, others)

    def _model(self, parameters: list[Any]) -> Any:
        return self._form.model(parameters)

    def _moved(self, leaf: Any) -> Any:
        """The leaf in the dtype of this subject, if it is a parameter."""
        if not _real(leaf):
            return leaf
        with self._precise():
            return jnp.asarray(np.asarray(leaf), self.dtype)

    def _precise(self) -> Any:
        """A context with 64 bits, if this subject needs them."""
        return jax.enable_x64(self.dtype.itemsize >= 8)


class _Form:
    """A model without its parameters; equal for equal models, so that they share what is compiled.

    Parameters
    ----------
    tree : PyTreeDef
        The structure of the model.
    places : tuple of int
        The places of the parameters among the leaves.
    others : list
        The other leaves.
    """

    def __init__(self, tree: Any, places: tuple[int, ...], others: list[Any]) -> None:
        self.tree, self.places, self.others = tree, places, others
        try:
            self.key: Any = (tree, places, tuple(others))
            hash(self.key)
        except TypeError:  # a leaf that is an array of whole numbers, such as a counter
            self.key = id(self)

    def __hash__(self) -> int:
        return hash(self.key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Form) and bool(self.key == other.key)

    def model(self, parameters: list[Any]) -> Any:
        """The model with the given parameters."""
        leaves = list(self.others)
        for k, parameter in zip(self.places, parameters, strict=True):
            leaves[k] = parameter
        return jax.tree_util.tree_unflatten(self.tree, leaves)


def _call(form: _Form, parameters: list[Any], x: Any, state: Any) -> tuple[Any, Any]:
    model = form.model(parameters)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=DROPPED)
        y, state = _pair(model(x) if state is None else model(x, state), "the model")
    if not isinstance(y, jax.Array):
        raise FaultyPart(f"y is a value of type {type(y).__name__} instead of an array")
    return y, state


def _back(form: _Form, parameters: list[Any], x: Any, state: Any, d_y: Any) -> Any:
    leaves, tree = jax.tree_util.tree_flatten(state)

    def y(parameters: list[Any], x: Any, floats: list[Any]) -> Any:
        others = iter(floats)
        start = jax.tree_util.tree_unflatten(tree, [next(others) if _real(one) else one for one in leaves])
        return _call(form, parameters, x, start)[0]

    _, pull_back = jax.vjp(y, parameters, x, [one for one in leaves if _real(one)])
    gradients, d_x, d_floats = pull_back(d_y)
    others = iter(d_floats)
    return gradients, d_x, [next(others) if _real(one) else jnp.zeros(one.shape) for one in leaves]


_compiled: Any = jax.jit(_call, static_argnums=0)
_pull: Any = jax.jit(_back, static_argnums=0)


def _real(leaf: Any) -> bool:
    """Whether a leaf is an array of floating-point numbers."""
    return isinstance(leaf, jax.Array | np.ndarray) and bool(jnp.issubdtype(leaf.dtype, jnp.inexact))


def _pair(result: Any, what: str) -> tuple[Any, Any]:
    """Return (y, state); raise if the result is something else."""
    if not isinstance(result, tuple | list) or len(result) != 2:
        shape = f"an array of shape {result.shape}" if isinstance(result, jax.Array) else type(result).__name__
        raise FaultyPart(f"{what} returned {shape} instead of a pair (y, state)")
    return result[0], result[1]
