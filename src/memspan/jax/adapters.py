"""Adapters: a JAX cell or recurrent layer of any known convention becomes a model that memspan calls.

The protocol of a model is `model(x [T, B, F], state=None) -> (y [T, B, O], state)`. The model is a pytree, and
its parameters are its arrays of floating-point numbers. The state is any nesting of tuples, lists and dictionaries
with arrays `[B, ...]`. A call without a state starts afresh. memspan reads the last K steps of y.
"""

import re
import sys
from collections.abc import Callable
from typing import Any, Self

import jax
import jax.numpy as jnp

from memspan.errors import InvalidArgument, one_of, shown, whole_number
from memspan.foreign.adapters import (
    checked_batch_first,
    checked_initial,
    checked_pair,
    checked_read,
    demand_new_state,
    demand_width,
    described,
)
from memspan.foreign.gradients import KnownWeights, State
from memspan.jax.parts import is_array, is_real

Tensor = Any
"""An array of JAX, which mypy does not know."""


class Adapter:
    """The common part of `Steps` and `Sequence`: the read-out, and the part of a state that is read."""

    PARTS = ("module", "params", "read_out")
    """The attributes that have parameters; all others belong to the structure of the pytree."""

    def __init__(self, module: Any, width: int | None, outputs: int, key: Tensor) -> None:
        if not callable(module):
            raise InvalidArgument("module", "a pytree or a function that can be called", shown(module))
        for name in LAYERS_OF_FLAX:
            if _is(module, name):
                rule = "a cell; memspan repeats it itself, so write Steps(rnn.cell, ...)"
                raise InvalidArgument("module", rule, type(module).__name__)
        self.module, self.params = module, None
        self.width = whole_number("width", width) if width is not None else None
        self.outputs = whole_number("outputs", outputs)
        if self.width is not None and key is None:
            raise InvalidArgument("key", "the key of the factory, which draws the read-out of width", "None")
        self.read_out = None if self.width is None else _read_out(self.width, self.outputs, key)
        self.initial: Any = None

    def __call__(self, x: Tensor, state: State = None) -> tuple[Tensor, State]:
        """Return y `[T, B, O]` for x `[T, B, F]`, and the state after the last step."""
        a, state = self.features(x, state)
        return (a if self.read_out is None else a @ self.read_out["weight"].T + self.read_out["bias"]), state

    def features(self, x: Tensor, state: State = None) -> tuple[Tensor, State]:
        """Return what the read-out reads, `[T, B, width]`, and the state after the last step."""
        raise NotImplementedError

    def read(self, state: State, x: Tensor) -> Tensor:
        """Return the part of a state that the read-out reads, `[B, width]`, or all of it if it reads no part.

        x `[1, B, F]` is the input of a step.
        """
        return side_by_side(state)

    def start(self, x: Tensor) -> State:
        """Return the initial state for x `[T, B, F]`; None if the module makes it when called without one."""
        batch, initial = x.shape[1], self.initial
        if callable(initial):
            return initial(batch, x)
        if isinstance(initial, tuple):
            return tuple(jnp.zeros((batch, width), x.dtype) for width in initial)
        return None if initial is None else jnp.zeros((batch, initial), x.dtype)

    def tree_flatten_with_keys(self) -> tuple[list[tuple[Any, Any]], tuple[Any, ...]]:
        """Return the parts with parameters, and the rest: the protocol of pytrees."""
        children = [(jax.tree_util.GetAttrKey(name), getattr(self, name)) for name in self.PARTS]
        return children, tuple((name, value) for name, value in vars(self).items() if name not in self.PARTS)

    @classmethod
    def tree_unflatten(cls, rest: tuple[Any, ...], children: tuple[Any, ...]) -> Self:
        """Put an adapter together again."""
        made = object.__new__(cls)
        vars(made).update(zip(cls.PARTS, children, strict=True))
        vars(made).update(rest)
        return made

    @property
    def _name(self) -> str:
        return getattr(self.module, "__name__", type(self.module).__name__)


@jax.tree_util.register_pytree_with_keys_class
class Steps(Adapter):
    """A model from a cell that takes one time step.

    Parameters
    ----------
    cell : pytree or function
        The cell. Its convention is known from its base class for the cells of equinox, flax.linen and flax.nnx;
        `form` names that of other cells.
    width : int or None
        The width of the cell's output, which memspan's linear read-out reads; its initial weights are uniform
        between -1/sqrt(width) and 1/sqrt(width). If None, the cell gives the O outputs itself.
    outputs : int
        O.
    key : key of jax.random, optional
        For the read-out, and for the parameters of a cell of flax.linen.
    state : int, tuple of int or callable, optional
        The initial state. A function `state(batch, x)` returns it, for x `[T, B, F]`. Otherwise it is that of the
        cell, if the cell is of a known base class or has `get_initial_state`. Otherwise it is zeros of this width,
        or a tuple of zeros of these widths.
    form : str, optional
        `torch`: `cell(x, h) -> h` or `cell(x, (h, c)) -> (h, c)`, the default; the first array is the output.
        `equinox`: the same for a single sample, x `[F]`. An equinox module of your own must have one of the two.
        `carry`: `cell(carry, x) -> (carry, output)`, as in flax. `keras`: `cell(x, states) -> (output, states)`.
    features : int, optional
        F, for a cell of flax.linen, whose parameters depend on it.

    Raises
    ------
    InvalidArgument
        If an argument is wrong, the cell is of a known base class with another form, or the cell returns something
        that the form does not allow.

    Examples
    --------
    >>> import equinox, jax
    >>> from memspan.jax import Steps
    >>> key = jax.random.key(0)
    >>> model = Steps(equinox.nn.GRUCell(1, 8, key=key), width=8, outputs=2, key=key)
    >>> y, state = model(jax.numpy.zeros((5, 3, 1)))
    >>> y.shape, state.shape
    ((5, 3, 2), (3, 8))
    """

    def __init__(
        self,
        cell: Any,
        width: int | None,
        outputs: int,
        *,
        key: Tensor = None,
        state: int | tuple[int, ...] | Callable[[int, Tensor], State] | None = None,
        form: str | None = None,
        features: int | None = None,
    ) -> None:
        super().__init__(cell, width, outputs, key)
        known = known_form(cell)
        if form is not None and one_of("form", form, FORMS) != (known or form):
            raise InvalidArgument("form", f"{known!r} for {self._name}, or left out", repr(form))
        if known is None and form is None and _is(cell, "equinox.Module"):
            rule = (
                f"given for {self._name}, an equinox module: form='equinox' if it takes a single sample, x [F], "
                "form='torch' if it takes a batch, x [B, F]"
            )
            raise InvalidArgument("form", rule, "None")
        self.form = form or known or "torch"
        if _is(cell, LINEN):
            self.params = _linen_params(cell, features, key)
        self.initial = self._own_initial(state) if state is None or not callable(state) else state

    def features(self, x: Tensor, state: State = None) -> tuple[Tensor, State]:
        """Return the cell's output at every step, `[T, B, width]`, and the last state."""
        state = self.start(x) if state is None else state
        if state is not None and len(x) > 1:
            return self._scanned(x, state)
        output, state = self._step(x[0], state)
        if len(x) == 1:
            return output[None], state
        outputs, state = self._scanned(x[1:], state)
        return jnp.concatenate([output[None], outputs]), state

    def _scanned(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        def step(state: State, x: Tensor) -> tuple[State, Tensor]:
            output, state = self._step(x, state)
            return state, output

        state, outputs = jax.lax.scan(step, state, x)
        return outputs, state

    def _step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Return the cell's output `[B, width]` and its new state, for x `[B, F]`."""
        cell = self.module
        if self.params is not None:
            return _swapped(self._name, cell.apply({"params": self.params}, state, x))
        output, after = FORMS[self.form](cell, x, state)
        if self.form in ("torch", "equinox"):
            demand_new_state(self._name, self.form, state, after)
        demand_width(self._name, output, (len(x),), "B", self.width, self.outputs)
        return output, after

    def read(self, state: State, x: Tensor) -> Tensor:
        """Return the part of a state that is also the cell's output, `[B, width]`; otherwise all of it."""
        place: list[int | None] = []

        def step(x: Tensor, state: State) -> Tensor:
            output, after = self._step(x, state)
            leaves = jax.tree_util.tree_leaves(after)
            place.append(next((k for k, leaf in enumerate(leaves) if leaf is output), None))
            return output

        jax.eval_shape(step, x[0], state)
        return (
            side_by_side(state) if place[0] is None else side_by_side(jax.tree_util.tree_leaves(state)[place[0]])
        )

    def start(self, x: Tensor) -> State:
        """Return the initial state for x `[T, B, F]`; None if the cell makes it when it is called without one."""
        cell = self.module
        if self.initial is None and self.form == "carry" and known_form(cell):
            # The arguments of flax's two libraries are in another order. The usual initial state is zeros.
            if self.params is not None:
                state = cell.initialize_carry(jax.random.key(0), x.shape[1:])
            else:
                state = cell.initialize_carry(x.shape[1:], sys.modules["flax.nnx"].Rngs(0))
            return jax.tree_util.tree_map(lambda leaf: leaf.astype(x.dtype), state)
        if self.initial is None and self.form == "keras" and callable(getattr(cell, "get_initial_state", None)):
            return cell.get_initial_state(batch_size=x.shape[1])
        return super().start(x)

    def _own_initial(self, state: int | tuple[int, ...] | None) -> Any:
        """Return the initial state of a cell of equinox, or else `state`; None if the cell makes it itself."""
        cell = self.module
        if known_form(cell) == "equinox":
            return (cell.hidden_size,) * 2 if _is(cell, "equinox.nn.LSTMCell") else cell.hidden_size
        if known_form(cell) or (self.form == "keras" and callable(getattr(cell, "get_initial_state", None))):
            return None
        if state is None:
            rule = f"the width of the state of {self._name}, a tuple of widths, or a function"
            raise InvalidArgument("state", rule, "None")
        return checked_initial(state)


@jax.tree_util.register_pytree_with_keys_class
class Sequence(Adapter):
    """A model from a recurrent layer that takes a whole sequence: `rnn(x, state) -> (y, state)`.

    Parameters
    ----------
    rnn : pytree or function
        The layer. The `RNN` of flax repeats a cell; give that to `Steps`.
    width : int or None
        The width of the layer's output, which memspan's linear read-out reads, as in `Steps`. If None, the layer
        gives the O outputs itself.
    outputs : int
        O.
    key : key of jax.random, optional
        For the read-out.
    batch_first : bool, optional
        Whether the layer takes `[B, T, F]`. It need not be said if the layer has an attribute `batch_first`.
    state : int, tuple of int or callable, optional
        The initial state, as in `Steps`. By default that of the layer, which is called without a state.
    read : callable, optional
        `read(state)` is the part `[B, width]` of memspan's state that is also the layer's output. It does not
        change the model, but tells the diagnostics which gradient dL/da[t] is.
    state_axis : int
        The batch axis of the arrays of a state: 1 for `[layers, B, H]`.

    Raises
    ------
    InvalidArgument
        If an argument is wrong, or the layer is bidirectional. Then y[t] depends on later inputs.
    """

    def __init__(
        self,
        rnn: Any,
        width: int | None,
        outputs: int,
        *,
        key: Tensor = None,
        batch_first: bool | None = None,
        state: int | tuple[int, ...] | Callable[[int, Tensor], State] | None = None,
        read: Callable[[State], Tensor] | None = None,
        state_axis: int = 0,
    ) -> None:
        super().__init__(rnn, width, outputs, key)
        if known_form(rnn):
            rule = f"a layer that takes a whole sequence; write Steps({self._name}(...), ...) for one time step"
            raise InvalidArgument("rnn", rule, self._name)
        self.batch_first = checked_batch_first(rnn, self._name, batch_first)
        self.read_given = checked_read(read)
        self.state_axis = whole_number("state_axis", state_axis, least=0, most=1)
        self.initial = None if state is None else checked_initial(state)

    def features(self, x: Tensor, state: State = None) -> tuple[Tensor, State]:
        """Return the layer's output at every step, `[T, B, width]`, and the last state."""
        state = self.start(x) if state is None else state
        given = jnp.swapaxes(x, 0, 1) if self.batch_first else x
        result = self.module(given) if state is None else self.module(given, self._turned(state))
        if not isinstance(result, tuple) or len(result) != 2 or not is_array(result[0]):
            raise InvalidArgument(f"The result of {self._name}", "the pair (y, state)", described(result))
        a, state = result[0], self._turned(result[1])
        axes = "B, T" if self.batch_first else "T, B"
        demand_width(self._name, a, given.shape[:2], axes, self.width, self.outputs)
        a = jnp.swapaxes(a, 0, 1) if self.batch_first else a
        if self.read_given is not None and len(x) == 1:  # so the gradient of the state is the whole one
            a = self.read_given(state)[None]
        return a, state

    def read(self, state: State, x: Tensor) -> Tensor:
        """Return the part of a state that is also the output, `[B, width]`, if it is known; or all of it."""
        return side_by_side(state) if self.read_given is None else self.read_given(state)

    def _turned(self, state: State) -> State:
        """Exchange memspan's `[B, layers, H]` and the layer's `[layers, B, H]`."""
        if self.state_axis == 0:
            return state
        return jax.tree_util.tree_map(lambda part: jnp.swapaxes(part, 0, 1), state)


def _torch_step(cell: Any, x: Tensor, state: State) -> tuple[Tensor, State]:
    after = cell(x, state)
    return (after if is_array(after) else next(iter(after), None)), after


def _equinox_step(cell: Any, x: Tensor, state: State) -> tuple[Tensor, State]:
    return _torch_step(jax.vmap(cell), x, state)


def _carry_step(cell: Any, x: Tensor, state: State) -> tuple[Tensor, State]:
    return _swapped(type(cell).__name__, cell(state, x))


def _keras_step(cell: Any, x: Tensor, state: State) -> tuple[Tensor, State]:
    return checked_pair(type(cell).__name__, cell(x, state), "(output, states)")


FORMS: dict[str, Callable[[Any, Tensor, State], tuple[Tensor, State]]] = {
    "torch": _torch_step,
    "equinox": _equinox_step,
    "carry": _carry_step,
    "keras": _keras_step,
}
"""The conventions of cells by name: each takes one step and returns the output and the new state."""

LINEN = "flax.linen.RNNCellBase"
KNOWN_FORMS = {
    "equinox.nn.LSTMCell": "equinox",
    "equinox.nn.GRUCell": "equinox",
    LINEN: "carry",
    "flax.nnx.RNNCellBase": "carry",
}
"""The conventions of cells by their base class."""
LAYERS_OF_FLAX = ("flax.linen.RNN", "flax.linen.Bidirectional", "flax.nnx.RNN", "flax.nnx.Bidirectional")


def known_form(cell: Any) -> str | None:
    """Return the convention of a cell by its base class; None if it is not known."""
    return next((form for name, form in KNOWN_FORMS.items() if _is(cell, name)), None)


def _is(part: Any, name: str) -> bool:
    """Whether a part is of a class of a library; the library of a real one is imported."""
    module, _, attribute = name.rpartition(".")
    kind = getattr(sys.modules.get(module), attribute, None)
    return kind is not None and isinstance(part, kind)


def _linen_params(cell: Any, features: int | None, key: Tensor) -> Any:
    """Draw the parameters of a cell of flax.linen, which does not contain them."""
    if features is None or key is None:
        given = (
            "features and key" if features is None and key is None else "features" if features is None else "key"
        )
        rule = f"given for {type(cell).__name__} of flax.linen, whose parameters they decide"
        raise InvalidArgument(given, rule, "None")
    x = jnp.zeros((1, whole_number("features", features)))
    found = dict(cell.init(key, cell.initialize_carry(key, x.shape), x))
    if found.keys() != {"params"}:
        raise InvalidArgument("cell", "one whose variables are all parameters", f"{', '.join(found)}")
    return found["params"]


def _read_out(width: int, outputs: int, key: Tensor) -> dict[str, Tensor]:
    """Draw a linear read-out."""
    bound = width**-0.5
    shapes = {"weight": (outputs, width), "bias": (outputs,)}
    keys = jax.random.split(jax.random.fold_in(key, 1), 2)  # the user's cell may have used the key itself
    return {
        name: jax.random.uniform(one, shape, minval=-bound, maxval=bound)
        for one, (name, shape) in zip(keys, shapes.items(), strict=True)
    }


def side_by_side(state: State) -> Tensor:
    """Return all arrays of floating-point numbers of a state side by side, `[B, n]`; n is 0 if there is none."""
    leaves = [leaf for leaf in jax.tree_util.tree_leaves(state) if is_real(leaf)]
    return (
        jnp.concatenate([leaf.reshape(len(leaf), -1) for leaf in leaves], axis=1) if leaves else jnp.zeros((0, 0))
    )


def _swapped(name: str, result: Any) -> tuple[Tensor, State]:
    """Return (output, carry) from (carry, output)."""
    state, output = checked_pair(name, result, "(carry, output)")
    return output, state


RECURRENT = re.compile(r"(?:^|\.)(?:weight_hh|(?:dense_)?h[a-z]?\.kernel)$")
INPUT = re.compile(r"(?:^|\.)(?:weight_ih|(?:dense_)?i[a-z]?_?\.kernel)$")
"""The names of the weights in cells of equinox and flax."""


def weights_of_known_cell(model: Any, names: list[str]) -> KnownWeights:
    """Return the recurrent and the input weights among `names`, if the model's cell is of equinox or flax."""
    cell = getattr(model, "module", getattr(model, "cell", None))
    library = type(cell).__module__.partition(".")[0]
    known = known_form(cell) and library in ("equinox", "flax")
    return KnownWeights(*([name for name in names if known and kind.search(name)] for kind in (RECURRENT, INPUT)))
