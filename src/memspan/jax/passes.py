"""The functions of a JAX model that memspan compiles: its passes forward and back, and those of single steps."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from memspan.errors import shown
from memspan.foreign.faulty import FaultyModel
from memspan.foreign.gradients import State
from memspan.foreign.layout import ForeignLayout
from memspan.foreign.network import windows
from memspan.jax.adapters import Adapter, side_by_side
from memspan.jax.jaxprs import Step
from memspan.jax.parts import Frame, Leaves, is_array, is_real

Tensor = Any
"""An array of JAX, which mypy does not know."""


class Program(NamedTuple):
    """What decides the functions of a model, besides its arrays. Equal programs share what is compiled.

    Attributes
    ----------
    name : str
        What the model is called in messages.
    frame : Frame
    layout : ForeignLayout
        Of its parameters, in the order of the frame.
    outputs : int
        O.
    """

    name: str
    frame: Frame
    layout: ForeignLayout
    outputs: int

    def model(self, flat: Tensor, constants: Leaves) -> Any:
        """Return the model with the parameters `flat [P]` and its other arrays."""
        return self.frame.model([*self.layout.by_name(flat).values()], constants)

    def run(self, flat: Tensor, constants: Leaves, x: Tensor, state: State = None) -> tuple[Tensor, State]:
        """Call the model for x `[T, B, F]`, and check what it returns.

        Raises
        ------
        FaultyModel
            If it returns anything but y `[T, B, O]` in the dtype of x and a state.
        """
        model, named = self.model(flat, constants), f"The model {self.name}"
        result = model(x) if state is None else model(x, state)
        if not isinstance(result, tuple) or len(result) != 2:
            raise FaultyModel(named, "must return the pair (y, state)", f"it returned {kind(result)}")
        y, state = result
        shape = (*x.shape[:2], self.outputs)
        if not is_array(y) or y.shape != shape:
            rule = f"must return y of shape [T, B, O], which is {[*shape]} for x of shape {[*x.shape]}"
            raise FaultyModel(named, rule, f"it returned {kind(y)}")
        if y.dtype != x.dtype:
            hint = ", as with jnp.zeros(...) in the model where jnp.zeros(..., x.dtype) is needed"
            raise FaultyModel(
                named, f"must compute in the dtype of its input, {x.dtype}", f"it returned {y.dtype}", hint
            )
        return y, state

    def answer(
        self, flat: Tensor, constants: Leaves, x: Tensor, state: State, count: int, truncate: int | None
    ) -> tuple[Tensor, State]:
        """Return y after each of the last `count` steps, `[K, B, O]`, and the last state.

        The gradient of each answer goes back `truncate` steps.
        """
        ys, begin = [], 0
        for window in windows(len(x), count, truncate):
            if window.first > begin:
                state = jax.lax.stop_gradient(self.run(flat, constants, x[begin : window.first], state)[1])
                begin = window.first
            y, last = self.run(flat, constants, x[window.first : window.end], state)
            ys.append(y[-window.answers :])
        return jnp.concatenate(ys), last


compiled: Callable[..., Any] = jax.jit
statically: Callable[..., Any] = partial(jax.jit, static_argnums=(0, 1, 2))


@partial(jax.jit, static_argnums=0, compiler_options={"xla_backend_optimization_level": 0})
def tried(program: Program, flat: Any, constants: Any, x: Any) -> Any:
    """Return y `[T, B, O]` for a new model, y of its first step alone, and the state after that; go on from there.

    It runs once, so it is compiled without what makes it fast.
    """
    y, _ = program.run(flat, constants, x)
    first, state = program.run(flat, constants, x[:1])
    program.run(flat, constants, x[1:], state)
    return y, first, state


@statically
def predicted(program: Program, count: int, truncate: None, flat: Any, constants: Any, x: Any, state: Any) -> Any:
    """Return y after each of the last `count` steps, and the last state."""
    return program.answer(flat, constants, x, state, count, truncate)


@statically
def forward(
    program: Program, count: int, truncate: int | None, flat: Any, constants: Any, x: Any, state: Any
) -> Any:
    """Return y after each of the last `count` steps, the last state, and the way back, a pytree for `pulled`."""

    def passed(flat: Tensor, initial: Leaves) -> Any:
        y, last = program.answer(flat, constants, x, refilled(state, initial), count, truncate)
        return (y, reals(last)), last

    (y, _), back, last = jax.vjp(passed, flat, reals(state), has_aux=True)
    return y, last, back


@compiled
def pulled(back: Any, d_y: Any, d_last: Any) -> Any:
    """Return dL/d(parameters) and dL/d(initial state) from dL/dŷ and dL/d(last state)."""
    return back((d_y, d_last))


@statically
def learned(program: Program, count: int, truncate: int | None, flat: Any, constants: Any, x: Any) -> Any:
    """Return y after each of the last `count` steps, and the way back to the parameters alone."""
    return jax.vjp(lambda flat: program.answer(flat, constants, x, None, count, truncate)[0], flat)


@compiled
def taught(back: Any, d_y: Any) -> Any:
    """Return dL/d(parameters) from dL/dŷ."""
    return back(d_y)[0]


@statically
def mapped(program: Program, count: int, truncate: int | None, flats: Any, constants: Any, x: Any) -> Any:
    """Return the predictions of several models, one after the other, `[g, K, B, O]`."""

    def one(given: Any) -> Tensor:
        flat, constants, x = given
        return program.answer(flat, constants, x, None, count, truncate)[0]

    return jax.lax.map(one, (flats, constants, x))


@statically
def mapped_back(
    program: Program, count: int, truncate: int | None, flats: Any, constants: Any, x: Any, d: Any
) -> Any:
    """Return the gradients of several models, one after the other, `[g, P]`. They run forward once more.

    So what a model keeps for the way back needs memory for one model only. To keep and stack it takes longer.
    """

    def one(given: Any) -> Tensor:
        flat, constants, x, d = given
        return taught(learned(program, count, truncate, flat, constants, x)[1], d)

    return jax.lax.map(one, (flats, constants, x, d))


@statically
def vmapped(program: Program, count: int, truncate: int | None, flats: Any, constants: Any, x: Any) -> Any:
    """Return the predictions of several models at once, `[g, K, B, O]`, and the way back to their parameters."""

    def one(flat: Tensor, constants: Leaves, x: Tensor) -> Tensor:
        return program.answer(flat, constants, x, None, count, truncate)[0]

    return jax.vjp(lambda flats: jax.vmap(one)(flats, constants, x), flats)


def single_step(program: Program, constants: Leaves, flat: Tensor, x: Tensor, state: State) -> tuple[Step, Any]:
    """Trace a step for x `[B, F]`; return it, and the structure of the state after it."""
    structure: list[Any] = []

    def run(flat: Tensor, constants: Leaves, x: Tensor, state: State) -> list[Tensor]:
        y, after = program.run(flat, constants, x[np.newaxis], state)
        leaves, tree = jax.tree_util.tree_flatten(after)
        structure.append(tree)
        return [y[0], *leaves]

    return Step(run, flat, constants, x, state), structure[0]


@partial(jax.jit, static_argnums=(0, 1))
def hidden(program: Program, beside: bool, flat: Any, constants: Any, x: Any, state: Any) -> Any:
    """Return a[t] after each step, `[T, B, H]`. `beside`: whether y is computed beside the state."""
    flats = jnp.broadcast_to(flat, (len(x), *flat.shape))
    y, states, _ = _walk(program, constants, x, state, flats, None)
    return _read(program, beside, flat, constants, x, y, states)


@partial(jax.jit, static_argnums=(0, 1))
def stepped(
    program: Program, beside: bool, flat: Any, constants: Any, x: Any, state: Any, d_y: Any, d_last: Any
) -> tuple[Any, Any]:
    """Return dL/da[t] `[T, B, H]`, and the contribution of each step to dL/d(parameters), `[T, P]`.

    Each step has its own copy of the parameters, and zeros that are added to its state (see `memspan.jax.jaxprs`).

    Parameters
    ----------
    d_y : array [K, B, O]
        dL/dŷ.
    d_last : list of arrays or None
        dL/d(last state), for the arrays of `reals`.
    """
    flats = jnp.broadcast_to(flat, (len(x), *flat.shape))

    def walk(flats: Tensor, moves: Any) -> Any:
        y, states, last = _walk(program, constants, x, state, flats, moves)
        return (y[-len(d_y) :], reals(last)), states

    y, states, _ = jax.eval_shape(lambda: _walk(program, constants, x, state, flats, None))
    zeros = [jnp.zeros(one.shape, one.dtype) for one in [y] * beside + reals(states)]
    (_, last), back, states = jax.vjp(walk, flats, zeros, has_aux=True)
    d_flats, d_carried = back((d_y, [jnp.zeros_like(one) for one in last] if d_last is None else d_last))
    d_a = _read(program, beside, flat, constants, x, d_carried[0], refilled(states, d_carried[beside:]))
    return d_a, d_flats


def _walk(
    program: Program, constants: Leaves, x: Tensor, state: State, flats: Tensor, moves: Leaves | None
) -> tuple[Tensor, State, State]:
    """Run single steps; return y `[T, B, O]`, the state after each step `[T, ...]`, and the last state.

    `moves` are arrays `[T, ...]` that are added to y, if it is beside the state, and to the arrays of the state.
    """

    def one(state: State, given: Any) -> tuple[State, tuple[Tensor, State]]:
        flat, x, moves = given
        step, structure = single_step(program, constants, flat, x, state)
        y, *leaves = step.moved((flat, constants, x, state), moves)
        state = jax.tree_util.tree_unflatten(structure, leaves)
        return state, (y, state)

    each = (flats, x, moves)
    state, first = one(state, jax.tree_util.tree_map(lambda part: part[0], each))  # it may start without a state
    last, others = jax.lax.scan(one, state, jax.tree_util.tree_map(lambda part: part[1:], each))
    y, states = jax.tree_util.tree_map(lambda a, b: jnp.concatenate([a[np.newaxis], b]), first, others)
    return y, states, last


def _read(
    program: Program, beside: bool, flat: Tensor, constants: Leaves, x: Tensor, y: Tensor, states: State
) -> Tensor:
    """Return a[t] `[T, B, H]` from y and the states of all steps, or dL/da[t] from their gradients."""
    model = program.model(flat, constants)

    def read(y: Tensor, state: State) -> Tensor:
        parts = [y] * beside
        if reals(state):
            parts.append(model.read(state, x[:1]) if isinstance(model, Adapter) else side_by_side(state))
        return jnp.concatenate(parts, axis=-1)

    return jax.vmap(read)(y, states)


def reals(state: State) -> Leaves:
    """Return the arrays of a state that can have a gradient."""
    return [leaf for leaf in jax.tree_util.tree_leaves(state) if is_real(leaf)]


def refilled(state: State, values: Leaves) -> State:
    """Return a state with `values` in place of the arrays that can have a gradient."""
    (leaves, structure), new = jax.tree_util.tree_flatten(state), iter(values)
    return jax.tree_util.tree_unflatten(structure, [next(new) if is_real(leaf) else leaf for leaf in leaves])


def kind(value: Any) -> str:
    """Describe what a model returned."""
    if is_array(value):
        return f"an array of shape {[*value.shape]}"
    return f"{len(value)} values" if isinstance(value, tuple | list) else shown(value)
