"""A JAX model as `memspan.testing.check_model` sees it: NumPy arrays in, NumPy arrays out.

What a model is and which arrays are its parameters is said in `memspan.jax.parts`.
"""

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np

from memspan.errors import FaultyPart
from memspan.foreign.factory import Y_ALONE
from memspan.jax.context import computing
from memspan.jax.parts import Frame, Leaves, is_array, is_no_pytree, is_real, parts_of
from memspan.shapes import Array

DROPPED = "Casting complex values to real"
"""The beginning of NumPy's and JAX's warning about a lost imaginary part."""


class JaxSubject:
    """A model in one dtype.

    Attributes
    ----------
    dtype : dtype
        That of the parameters.
    made_in : set of str
        The dtypes of the parameters as the factory made them.
    """

    def __init__(self, model: Any, dtype: Any) -> None:
        self.dtype = np.dtype(dtype)
        with self._computing():
            parts = parts_of(model)
            self.made_in = {str(part.dtype) for part in parts.parameters}
            moved = [jnp.asarray(np.asarray(part), self.dtype) for part in parts.parameters]
        self._parts = parts._replace(parameters=moved)

    @classmethod
    def build(cls, make: Callable[..., Any], seed: int, dtype: Any) -> Self:
        """Make the model with `key=jax.random.key(seed)`, and move its parameters to `dtype`."""
        model = make(key=jax.random.key(seed))
        if not callable(model):
            raise FaultyPart(f"the factory returned a value of type {type(model).__name__} instead of a model")
        if is_no_pytree(model):
            rule = "a pytree, whose leaves are its parameters (an equinox or nnx module, or a registered class)"
            raise FaultyPart(f"the model is of type {type(model).__name__}, not {rule}")
        return cls(model, dtype)

    @property
    def weights(self) -> dict[str, Array]:
        """The values of the parameters, copied."""
        return {name: np.array(part) for name, part in zip(self._parts.names, self._parts.parameters, strict=True)}

    def set_weights(self, weights: Mapping[str, Array]) -> None:
        """Overwrite the parameters that are named."""
        with self._computing():
            for name, values in weights.items():
                self._parts.parameters[self._parts.names.index(name)] = jnp.asarray(values, self.dtype)

    def run(self, x: Array, state: Any = None) -> tuple[Array, Any]:
        """Call the model once, without compiling; y is an array, and the state stays the model's own."""
        with self._computing():
            y, state = _call(*self._given, jnp.asarray(x), state)
        return np.array(y), state

    def evaluate(self, x: Array, state: Any = None) -> tuple[Array, Any]:
        """The same, compiled once for each shape of x."""
        with self._computing():
            y, state = _compiled(*self._given, jnp.asarray(x), state)
        return np.array(y), state

    def step(self, x: Array, state: Any) -> tuple[Array, Any]:
        """Call the model's own step on `x [B, F]`."""
        with self._computing():
            y, state = _pair(self._model.step(jnp.asarray(x), state), "step")
        return np.array(y), state

    @property
    def has_step(self) -> bool:
        """Whether the model has a step beside its call."""
        return callable(getattr(self._model, "step", None))

    def leaves(self, state: Any) -> list[Array]:
        """The arrays of a state."""
        return [np.asarray(leaf) for leaf in jax.tree_util.tree_leaves(state)]

    def with_leaves(self, state: Any, leaves: Iterable[Array]) -> Any:
        """A state of the same form with other arrays."""
        with self._computing():
            return jax.tree_util.tree_unflatten(jax.tree_util.tree_structure(state), map(jnp.asarray, leaves))

    def pull(
        self, x: Array, d_ys: Iterable[Array], state: Any = None
    ) -> Iterator[tuple[Array, dict[str, Array], list[Array]]]:
        """The gradient of Σ d_y · y with respect to x, to each parameter and to the state, for each d_y."""
        with self._computing():
            for d_y in d_ys:
                pulled = _pull(*self._given, jnp.asarray(x), state, jnp.asarray(d_y))
                gradients, d_x, d_state = jax.tree_util.tree_map(np.array, pulled)
                yield d_x, dict(zip(self._parts.names, gradients, strict=True)), d_state

    def strays(self, x: Array) -> list[str]:
        """The arrays of floating-point numbers that the model uses but does not hold as leaves."""
        frame, *arrays = self._given
        closed = jax.make_jaxpr(lambda p, c, x: _call(frame, p, c, x, None))(*arrays, jnp.asarray(x))
        found = (one for one in closed.consts if is_array(one) and is_real(one) and one.ndim)
        return [f"an array of shape {one.shape} held outside the model's leaves" for one in found]

    def evaluating(self) -> bool:
        """Put the model into its mode for use after training, if it has `eval()`; whether there is one."""
        model = self._model
        if not callable(getattr(model, "eval", None)):
            return False
        model.eval()
        self._parts = parts_of(model)
        return True

    def parts(self) -> Iterator[str]:
        """The names and descriptions of the model's own attributes."""
        for name, part in vars(self._model).items():
            yield f"{name} = {type(part).__name__}"

    @property
    def _model(self) -> Any:
        """The model with the present weights."""
        return self._parts.frame.model(self._parts.parameters, self._parts.constants)

    @property
    def _given(self) -> tuple[Frame, Leaves, Leaves]:
        """What `_call` takes in front of x."""
        return self._parts.frame, self._parts.parameters, self._parts.constants

    def _computing(self) -> Any:
        """A context with 64 bits, if this subject needs them."""
        return computing(self.dtype)


def _call(frame: Frame, parameters: Leaves, constants: Leaves, x: Any, state: Any) -> tuple[Any, Any]:
    model = frame.model(parameters, constants)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=DROPPED)
        y, state = _pair(model(x) if state is None else model(x, state), "the model")
    if not isinstance(y, jax.Array):
        raise FaultyPart(f"y is a value of type {type(y).__name__} instead of an array")
    return y, state


def _back(frame: Frame, parameters: Leaves, constants: Leaves, x: Any, state: Any, d_y: Any) -> Any:
    leaves, tree = jax.tree_util.tree_flatten(state)

    def y(parameters: Leaves, x: Any, floats: Leaves) -> Any:
        others = iter(floats)
        start = jax.tree_util.tree_unflatten(tree, [next(others) if is_real(one) else one for one in leaves])
        return _call(frame, parameters, constants, x, start)[0]

    _, pull_back = jax.vjp(y, parameters, x, [one for one in leaves if is_real(one)])
    gradients, d_x, d_floats = pull_back(d_y)
    others = iter(d_floats)
    return gradients, d_x, [next(others) if is_real(one) else jnp.zeros(one.shape) for one in leaves]


_compiled: Any = jax.jit(_call, static_argnums=0)
_pull: Any = jax.jit(_back, static_argnums=0)


def _pair(result: Any, what: str) -> tuple[Any, Any]:
    """Return (y, state); raise if the result is something else."""
    if not isinstance(result, tuple | list) or len(result) != 2:
        shape = f"an array of shape {result.shape}" if isinstance(result, jax.Array) else type(result).__name__
        raise FaultyPart(f"{what} returned {shape} instead of a pair (y, state)", Y_ALONE)
    return result[0], result[1]
