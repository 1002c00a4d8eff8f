"""A JAX model as one of memspan's networks: all its parameters in one NumPy vector."""

import copy
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

import jax
import numpy as np
from numpy.typing import DTypeLike

from memspan.errors import FaultyPart, InvalidArgument, naming, one_dtype, shown, whole_number
from memspan.foreign.faulty import FaultyModel, raised
from memspan.foreign.gradients import ForeignGradients, ForeignTrace, KnownWeights, State, Stepped
from memspan.foreign.layout import ForeignLayout
from memspan.foreign.network import TRIED, ForeignNetwork, windows
from memspan.jax import passes
from memspan.jax.adapters import Adapter, Sequence, weights_of_known_cell
from memspan.jax.context import computing, one_thread
from memspan.jax.engine import Form
from memspan.jax.parts import Parts, is_no_pytree, parts_of
from memspan.jax.read_out import JaxReadOut, without_read_out
from memspan.jax.weights import network_of
from memspan.network import DTYPES, Network
from memspan.network.model import checked_output_steps
from memspan.shapes import Array, Flat, Inputs, Outputs


class JaxNetwork(ForeignNetwork):
    """A JAX model with the interface of `Network`: it is trained, scored and diagnosed like one.

    Its arrays of floating-point numbers are trained; of the variables of flax.nnx only those of the kind `Param`.
    The model itself is not changed by training: `to_module` returns one with the present weights.

    Parameters
    ----------
    module : pytree
        A model that follows the protocol `model(x [T, B, F], state=None) -> (y [T, B, O], state)`, such as `Steps`
        or `Sequence`. Its dtype is that of its parameters.
    features, outputs : int
        F and O.
    output_steps : int, optional
        K: the network predicts after each of the last K steps. If None, after the last step only.
    name : str, optional
        What the model is called in messages; by default its class.
    device : Device, optional
        The device of JAX that computes; by default the processor, with one thread.

    Attributes
    ----------
    module : pytree
        The model as it was built.
    hidden_size : int
        H, the width of `a[t]`: see `ForeignGradients.d_a`.
    parameters : array [P]
        All trainable weights, in the order of the leaves of the pytree.
    trace, grads : ForeignTrace, ForeignGradients or None
        The values of the last forward and backward pass.
    state : any nesting of arrays [B, ...], or None
        The state after the last step that `forward` or `predict` read.

    Raises
    ------
    FaultyModel
        An `InvalidArgument`: the model has no trainable parameters, or in a trial with a few random numbers it
        raises an error, returns another shape or dtype, or something that is not finite.
    """

    engine = Form("loop")

    def __init__(
        self,
        module: Any,
        features: int,
        outputs: int,
        *,
        output_steps: int | None = None,
        name: str | None = None,
        device: Any = None,
    ) -> None:
        self.input_size = whole_number("features", features)
        self.output_size = whole_number("outputs", outputs)
        self.output_steps = checked_output_steps(output_steps)
        parts = parts_of(module)
        if not callable(module) or is_no_pytree(module):
            rule = "a pytree that can be called, such as Steps or Sequence of memspan.jax, or a module of equinox"
            raise InvalidArgument("module", rule, shown(module))
        self._name = name or type(module).__name__
        self.module, self.device = module, device or one_thread()
        self.dtype = self._checked_dtype(parts)
        shapes = (tuple(part.shape) for part in parts.parameters)
        self._layout = ForeignLayout(_printed(parts), tuple(zip(parts.names, shapes, strict=True)))
        self.parameters: Flat = np.concatenate([np.array(part).reshape(-1) for part in parts.parameters])
        self.constants: list[Any] = parts.constants
        self.program = passes.Program(self._name, parts.frame, self._layout, self.output_size)
        self.trace: ForeignTrace | None = None
        self.grads: ForeignGradients | None = None
        self.state: State = None
        self._beside = False
        # Of the last forward pass: the way back, the initial and the last state, as JAX has them.
        self._back: Any = None
        self._initial: State = None
        self._last: State = None
        self._try()

    def forward(self, x: Array, state: State = None) -> Outputs:
        """Predict from `x`, and keep what JAX needs for `backward`.

        Parameters
        ----------
        x : array [T, F] or [T, B, F]
            One sequence or a batch of sequences; copied, in the network's dtype.
        state : any nesting of arrays [B, ...], optional
            The initial state, such as `network.state` after an earlier call. By default the model starts afresh.

        Returns
        -------
        array [1, O] or [B, O], or [K, B, O]
        """
        self._forget()
        x, flat, self._initial = self.inputs(x), self.parameters.copy(), self._given(state)
        with self.computing():
            given = flat, self.constants, x, self._initial
            y, self._last, self._back = passes.forward(self.program, self.answers, None, *given)
        self.state = _as_arrays(self._last)
        self.trace = ForeignTrace(self, flat, x, np.array(y), self._initial)
        return self.trace.y_hat.reshape(self._answer(self.trace)).copy()

    def predict(self, x: Array, state: State = None) -> Outputs:
        """Predict from `x` like `forward`, without keeping a trace."""
        with self.computing():
            given = self.parameters, self.constants, self.inputs(x), self._given(state)
            y, last = passes.predicted(self.program, self.answers, None, *given)
        y_hat, self.state = np.array(y), _as_arrays(last)
        return y_hat.reshape(y_hat.shape[self.output_steps is None :])

    def backpropagate(
        self, d_loss: Array, d_state: State = None, *, truncate: int | None = None
    ) -> ForeignGradients:
        """Like `backward`, but `d_loss` may contain infinity and NaN."""
        trace, truncate = self._passed(d_state, truncate)
        d_y_hat, back = self._output_gradient(d_loss, trace), self._back
        d_last = passes.reals(self.state if d_state is None else self._given(d_state))
        if d_state is None:
            d_last = [np.zeros_like(part) for part in d_last]
        with self.computing():
            if truncate is not None:
                given = trace.parameters, self.constants, trace.x, trace.initial
                *_, back = passes.forward(self.program, self.answers, truncate, *given)
            flat, initial = passes.pulled(back, d_y_hat, d_last)
        d_initial = passes.refilled(trace.initial, [np.array(part) for part in initial])
        self.grads = ForeignGradients(trace, d_y_hat, np.array(flat), d_initial, d_state, truncate)
        return self.grads

    def astype(self, dtype: DTypeLike) -> Self:
        """Return a network with the same weights in another dtype, without trace and gradients."""
        twin = copy.copy(self)
        twin.dtype = one_dtype("dtype", dtype, DTYPES)
        twin.parameters = self._in_dtype(twin.dtype)
        twin._forget()
        twin.state = None
        return twin

    def fixed_arrays(self) -> dict[str, Array]:
        """Return the arrays of the model that are not trained, by their place among its leaves."""
        places = self.program.frame.constants
        return {f"leaf {k}": _as_array(part) for k, part in zip(places, self.constants, strict=True)}

    def to_module(self) -> Any:
        """Return the model with the present weights."""
        with self.computing():
            weights = self.layout.by_name(self.parameters).values()
            return self.program.frame.model([jax.numpy.asarray(weight) for weight in weights], self.constants)

    def stepped(
        self,
        x: Inputs,
        d_y_hat: Outputs,
        d_last: State = None,
        *,
        parameters: Flat | None = None,
        state: State = None,
        truncate: int | None = None,
    ) -> Stepped:
        """Run the model step by step, and back-propagate from dL/dŷ: see `ForeignNetwork`."""
        flat, T = self.parameters if parameters is None else parameters, len(x)
        d_a = np.zeros((T, x.shape[1], self.hidden_size), self.dtype)
        d_flat = np.zeros((T, self.layout.size), self.dtype)
        begin, done, previous = 0, 0, self._given(state)
        with self.computing():
            for window in windows(T, len(d_y_hat), truncate):
                if window.first > begin:
                    before = flat, self.constants, x[begin : window.first], previous
                    previous, begin = passes.predicted(self.program, 1, None, *before)[1], window.first
                steps, wanted = slice(window.first, window.end), d_y_hat[done : done + window.answers]
                d_end = None if d_last is None else passes.reals(self._given(d_last))
                given = flat, self.constants, x[steps], previous, wanted, d_end
                found = passes.stepped(self.program, self._beside, *given)
                done += window.answers
                d_a[steps] += found[0]
                d_flat[steps] += found[1]
        return Stepped(d_a, self.layout.by_name(d_flat))

    def hidden(self, x: Inputs, *, parameters: Flat | None = None, state: State = None) -> Array:
        """Return `a[t]` after each step, `[T, B, H]`, for x `[T, B, F]`."""
        with self.computing():
            given = self.parameters if parameters is None else parameters, self.constants, x, self._given(state)
            return np.array(passes.hidden(self.program, self._beside, *given))

    def known_weights(self) -> KnownWeights:
        """Return the names of the recurrent and the input weights of a cell of equinox or flax."""
        return weights_of_known_cell(self.module, list(self.layout.shapes))

    def read_out(self) -> JaxReadOut | None:
        """Return the read-out of `Steps` or `Sequence`; None for other models."""
        width = self.module.width if isinstance(self.module, Adapter) else None
        if width is None:
            return None
        how: dict[str, Any] = {"output_steps": self.output_steps, "name": self.name, "device": self.device}
        features = JaxNetwork(without_read_out(self.module, width), self.input_size, width, **how)
        return JaxReadOut(self, features.astype(self.dtype))

    def loaded(self) -> Network | None:
        """Return a network with the weights of `Steps` or `Sequence`, if `load_weights` knows the module in it."""
        return network_of(self.to_module(), self.input_size)

    @property
    def answers(self) -> int:
        """The number of last steps after which the network predicts."""
        return self.output_steps or 1

    @contextmanager
    def computing(self) -> Iterator[None]:
        """Compute in the network's precision and on its device, and name the model in its errors."""
        with computing(self.dtype, self.device), naming(f"The model {self.name}"):
            yield

    def _given(self, state: State) -> State:
        """Return a state as one of arrays in the network's dtype."""

        def array(leaf: Any) -> Any:
            values = np.array(leaf)
            return values.astype(self.dtype) if values.dtype.kind in "fc" else values

        return jax.tree_util.tree_map(array, state)

    def _checked_dtype(self, parts: Parts) -> np.dtype[Any]:
        """Return the dtype of the parameters."""
        named = f"The model {self.name}"
        if not parts.parameters:
            raise FaultyModel(named, "must have parameters to train", "it has no array of floating-point numbers")
        dtypes = {str(part.dtype) for part in parts.parameters}
        if len(dtypes) > 1:
            raise FaultyModel(named, "must have parameters of one dtype", f"it has {' and '.join(sorted(dtypes))}")
        dtype = dtypes.pop()
        if dtype not in DTYPES:
            raise FaultyModel(named, f"must have parameters of {', '.join(DTYPES)}", f"it has {dtype}")
        return np.dtype(dtype)

    def _try(self) -> None:
        """Run the model on a few random numbers, and check that it keeps the protocol; find the width of a[t]."""
        named, (steps, batch) = f"The model {self.name}", TRIED
        x = np.random.default_rng(0).uniform(-1, 1, (steps, batch, self.input_size)).astype(self.dtype)
        flat, program = self.parameters, self.program
        try:
            with self.computing():
                y, first, state = passes.tried(program, flat, self.constants, x)
        except FaultyPart as error:
            cause = error.__cause__
            rule = "must run on x [T, B, F], with and without the state that it returned"
            raise FaultyModel(named, rule, raised(cause)) from cause
        if not np.isfinite(y).all():
            rule = f"must return finite numbers for numbers from -1 to 1 at the start, in {self.dtype}"
            raise FaultyModel(named, rule, "it returned infinity or NaN")
        leaves = passes.reals(state)
        if any(not leaf.ndim or len(leaf) != batch for leaf in leaves):
            shapes = ", ".join(str([*leaf.shape]) for leaf in leaves)
            rule = f"must return a state of arrays [B, ...], with B = {batch} here"
            raise FaultyModel(named, rule, f"it returned {shapes}")
        read_given = isinstance(self.module, Sequence) and self.module.read_given
        if read_given and not np.allclose(first[0], y[0], rtol=1e-3, atol=1e-5):
            rule = "must have an argument read of Sequence that returns the layer's output"
            raise FaultyModel(named, rule, f"y differs by {np.abs(first[0] - y[0]).max():.2g}")
        with self.computing():
            step, _ = passes.single_step(program, self.constants, flat, x[1], state)
            self._beside = step.beside
            given = self._beside, flat, self.constants, x[:1], None
            self.hidden_size = passes.hidden.eval_shape(program, *given).shape[2]

    def _forget(self) -> None:
        super()._forget()
        self._back, self._initial, self._last = None, None, None


def _printed(parts: Parts) -> str:
    """Return what a model is besides its arrays; without addresses, which differ between equal functions."""
    return re.sub(r" at 0x[0-9a-f]+", "", f"{parts.frame.tree} {parts.frame.others}")


def _as_array(part: Any) -> Array:
    """Return an array of JAX, or the data of a key of `jax.random`, as one of NumPy's."""
    is_key = jax.dtypes.issubdtype(part.dtype, jax.dtypes.prng_key)
    return np.array(jax.random.key_data(part) if is_key else part)


def _as_arrays(state: State) -> State:
    """Return a state as one of NumPy's arrays, which are copies."""
    return jax.tree_util.tree_map(np.array, state)
