"""A PyTorch model as one of memspan's networks: all trainable weights in one NumPy vector."""

import copy
import warnings
from collections.abc import Iterator, Mapping
from typing import Any, Self

import numpy as np
import torch
from jaxtyping import Inexact
from numpy.typing import DTypeLike
from torch.utils._pytree import tree_flatten, tree_leaves, tree_map, tree_unflatten

from memspan.errors import FaultyPart, InvalidArgument, naming, one_dtype, shown, whole_number
from memspan.foreign.faulty import FaultyModel, raised
from memspan.foreign.gradients import ForeignGradients, ForeignTrace, KnownWeights, State, Stepped
from memspan.foreign.layout import ForeignLayout
from memspan.foreign.network import TRIED, ForeignNetwork, windows
from memspan.network import DTYPES, Network
from memspan.network.model import checked_output_steps
from memspan.shapes import Array, Flat, Inputs, Outputs
from memspan.torch.adapters import Adapter, parameters_of_known_cells, side_by_side
from memspan.torch.engine import Form
from memspan.torch.read_out import TorchReadOut, find_read_out
from memspan.torch.tensors import Tensor, as_array, gradients_of, is_real
from memspan.torch.threads import one_torch_thread, own_generators
from memspan.torch.weights import network_of

CLOSE = {"rtol": 1e-3, "atol": 1e-5}
"""How far two computations of the same outputs may differ by rounding, on a GPU too."""


class TorchNetwork(ForeignNetwork):
    """A PyTorch model with the interface of `Network`: it is trained, scored and diagnosed like one.

    Only parameters with `requires_grad` are trained. The module itself is not changed by training: `to_module`
    returns one with the present weights.

    Parameters
    ----------
    module : Module
        A model that follows the protocol `model(x [T, B, F], state=None) -> (y [T, B, O], state)`, such as `Steps`
        or `Sequence`. Its dtype and device are those of its parameters.
    features, outputs : int
        F and O.
    output_steps : int, optional
        K: the network predicts after each of the last K steps. If None, after the last step only.
    name : str, optional
        What the model is called in messages; by default its class.

    Attributes
    ----------
    module : Module
        The module as it was built.
    hidden_size : int
        H, the width of `a[t]`: see `ForeignGradients.d_a`.
    parameters : array [P]
        All trainable weights, in the order of `named_parameters`.
    trace, grads : ForeignTrace, ForeignGradients or None
        The values of the last forward and backward pass.
    state : any nesting of arrays [B, ...], or None
        The state after the last step that `forward` or `predict` read.

    Raises
    ------
    FaultyModel
        An `InvalidArgument`: the model has no trainable parameters, or in a trial with a few random numbers it
        raises an error, returns another shape or dtype, something that is not finite, or something else in a
        second call.
    """

    engine = Form("loop")

    def __init__(
        self, module: Any, features: int, outputs: int, *, output_steps: int | None = None, name: str | None = None
    ) -> None:
        self.input_size = whole_number("features", features)
        self.output_size = whole_number("outputs", outputs)
        self.output_steps = checked_output_steps(output_steps)
        if not isinstance(module, torch.nn.Module):
            raise InvalidArgument("module", "an object of a subclass of torch.nn.Module", shown(module))
        self._name = name or type(module).__name__
        self.module = module
        self.dtype, self.device = self._checked_parameters()
        trained = dict(_trained(module))
        self._layout = ForeignLayout(
            str(module), tuple((name, tuple(part.shape)) for name, part in trained.items())
        )
        flat = torch.cat([part.detach().reshape(-1) for part in trained.values()])
        self.parameters: Flat = flat.cpu().numpy().copy()
        self.trace: ForeignTrace | None = None
        self.grads: ForeignGradients | None = None
        self.state: State = None
        # Of the last forward pass: the parameters, the initial state, the predictions and the last state.
        self._leaves: dict[str, Tensor] = {}
        self._initial: State = None
        self._y: Tensor = None
        self._last: State = None
        self._with_output = False
        self._try()

    def forward(self, x: Array, state: State = None) -> Outputs:
        """Predict from `x`, and keep the graph of PyTorch for `backward`.

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
        x, flat = self.inputs(x), self.parameters.copy()
        with one_torch_thread(), torch.enable_grad():
            self._leaves, self._initial = self.leaves_of(flat), self._given(state)
            y, self._last = self.run(self._leaves, self.tensor(x), self._initial)
            self._y = y[-(self.output_steps or 1) :]
        self.state = _as_arrays(self._last)
        self.trace = ForeignTrace(self, flat, x, as_array(self._y), _as_arrays(self._initial))
        return self.trace.y_hat.reshape(self._answer(self.trace)).copy()

    def predict(self, x: Array, state: State = None) -> Outputs:
        """Predict from `x` like `forward`, without keeping a trace."""
        with one_torch_thread(), torch.no_grad():
            weights = self.layout.by_name(self.tensor(self.parameters))
            y, last = self.run(weights, self.tensor(self.inputs(x)), self._given(state))
            y_hat, self.state = as_array(y[-(self.output_steps or 1) :]), _as_arrays(last)
        return y_hat.reshape(y_hat.shape[self.output_steps is None :]).copy()

    def backpropagate(
        self, d_loss: Array, d_state: State = None, *, truncate: int | None = None
    ) -> ForeignGradients:
        """Like `backward`, but `d_loss` may contain infinity and NaN."""
        trace, truncate = self._passed(d_state, truncate)
        d_y_hat, outputs = self._output_gradient(d_loss, trace), [self._y]
        upstream = [self.tensor(d_y_hat)]
        with one_torch_thread(), torch.enable_grad(), naming(f"The model {self.name}"):
            if truncate is not None:
                x = self.tensor(trace.x)
                outputs = [self.answer(self._leaves, x, len(d_y_hat), self._initial, truncate)]
            if d_state is not None:
                outputs += _real_leaves(self._last)
                upstream += _real_leaves(self._given(d_state))
            initial = _real_leaves(self._initial)
            found = gradients_of(outputs, [*self._leaves.values(), *initial], upstream)
            flat = as_array(torch.cat([part.reshape(-1) for part in found[: len(self._leaves)]])).copy()
        d_initial = _as_arrays(_refilled(self._initial, found[len(self._leaves) :]))
        self.grads = ForeignGradients(trace, d_y_hat, flat, d_initial, d_state, truncate)
        return self.grads

    def astype(self, dtype: DTypeLike) -> Self:
        """Return a network with the same weights in another dtype, without trace and gradients."""
        twin = copy.copy(self)
        twin.dtype = one_dtype("dtype", dtype, DTYPES)
        if twin.dtype != self.dtype:
            twin.module = converted(copy.deepcopy(self.module), twin.dtype, self.device)
        twin.parameters = self._in_dtype(twin.dtype)
        twin._forget()
        twin.state = None
        return twin

    def to_module(self) -> Any:
        """Return a copy of the module with the present weights."""
        module = copy.deepcopy(self.module)
        weights = self.layout.by_name(self.tensor(self.parameters))
        with torch.no_grad():
            for name, part in _trained(module):
                part.copy_(weights[name])
        return module

    def answer(
        self,
        weights: Mapping[str, Tensor],
        x: Tensor,
        count: int,
        state: State = None,
        truncate: int | None = None,
    ) -> Tensor:
        """Return y after each of the last `count` steps, `[K, B, O]`; its graph goes back `truncate` steps."""
        ys, begin = [], 0
        for window in windows(len(x), count, truncate):
            state, begin = self._advanced(weights, x[begin : window.first], state), window.first
            ys.append(self.run(weights, x[window.first : window.end], state)[0][-window.answers :])
        return torch.cat(ys)

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
        """Run the model step by step, and back-propagate from dL/dŷ: see `ForeignNetwork`.

        Each step has its own alias of the parameters and starts from the state that the step before returned. So
        PyTorch's own back-propagation gives the gradient of every state and the contribution of every step.
        """
        flat = self.parameters if parameters is None else parameters
        T, B, _ = x.shape
        d_a = np.zeros((T, B, self.hidden_size), self.dtype)
        d_parameters = {name: np.zeros((T, *shape), self.dtype) for name, shape in self.layout.places}
        begin, done, inputs = 0, 0, self.tensor(x)
        with one_torch_thread(), torch.enable_grad():
            previous, weights = self._given(state), self.layout.by_name(self.tensor(flat))
            for window in windows(T, len(d_y_hat), truncate):
                previous, begin = self._advanced(weights, inputs[begin : window.first], previous), window.first
                steps, wanted = slice(window.first, window.end), d_y_hat[done : done + window.answers]
                part = self._stepped(flat, inputs[steps], previous, self.tensor(wanted), self._given(d_last))
                done += window.answers
                d_a[steps] += part.d_a
                for name, found in part.d_parameters.items():
                    d_parameters[name][steps] += found
        return Stepped(d_a, d_parameters)

    def _stepped(self, flat: Flat, x: Tensor, state: State, d_y_hat: Tensor, d_last: State) -> Stepped:
        weights, pairs = [], []
        for x_t in x.split(1):
            weights.append(self.leaves_of(flat))
            y, state = self.run(weights[-1], x_t, state)
            pairs.append((y, state))
        outputs = [torch.cat([y for y, _ in pairs[-len(d_y_hat) :]])]
        upstream = [d_y_hat]
        if d_last is not None:
            outputs += _real_leaves(state)
            upstream += _real_leaves(d_last)
        carried = [self._carried(*pair) for pair in pairs]
        wanted = [tensor for one in weights for tensor in one.values()] + [part for one in carried for part in one]
        found = iter(gradients_of(outputs, wanted, upstream))
        d_weights = [{name: next(found) for name in one} for one in weights]
        d_a = [self._read(last, [next(found) for _ in one]) for (_, last), one in zip(pairs, carried, strict=True)]
        d_parameters = {name: as_array(torch.stack([one[name] for one in d_weights])) for name in weights[0]}
        return Stepped(as_array(torch.stack(d_a)), d_parameters)

    def hidden(self, x: Inputs, *, parameters: Flat | None = None, state: State = None) -> Array:
        """Return `a[t]` after each step, `[T, B, H]`, for x `[T, B, F]`."""
        found = []
        with one_torch_thread(), torch.no_grad():
            weights = self.layout.by_name(self.tensor(self.parameters if parameters is None else parameters))
            state = self._given(state)
            for x_t in self.tensor(x).split(1):
                y, state = self.run(weights, x_t, state)
                found.append(self._read(state, self._carried(y, state)))
        return as_array(torch.stack(found))

    def known_weights(self) -> KnownWeights:
        """Return the names `weight_hh...` and `weight_ih...` in cells of torch.nn and torchrecurrent."""
        return KnownWeights(*(parameters_of_known_cells(self.module, kind) for kind in ("weight_hh", "weight_ih")))

    def read_out(self) -> TorchReadOut | None:
        """Return the `nn.Linear` whose outputs are y; None if there is none."""
        return find_read_out(self)

    def loaded(self) -> Network | None:
        """Return a network with the weights of `Steps` or `Sequence`, if `load_weights` knows the module in it."""
        return network_of(self.to_module(), self.input_size)

    def recurrent_blocks(self) -> Mapping[str, Array] | None:
        """Return the square blocks of R: see `ForeignNetwork`. With projections R has none."""
        projected = any(getattr(part, "proj_size", 0) for part in self.module.modules())
        return None if projected else super().recurrent_blocks()

    def _advanced(self, weights: Mapping[str, Tensor], x: Tensor, state: State) -> State:
        """Return the state after the steps of x, as a constant."""
        if not len(x):
            return state
        with torch.no_grad():
            return tree_map(lambda leaf: leaf.detach() if is_real(leaf) else leaf, self.run(weights, x, state)[1])

    def _given(self, state: State) -> State:
        """Return a state of arrays as one of tensors, whose gradients PyTorch can compute."""

        def tensor(leaf: Any) -> Any:
            if not isinstance(leaf, np.ndarray):
                return leaf
            found = self.tensor(leaf.astype(self.dtype) if leaf.dtype.kind in "fc" else leaf.copy())
            return found.requires_grad_() if is_real(found) else found

        return tree_map(tensor, state)

    def run(self, weights: Mapping[str, Tensor], x: Tensor, state: State = None) -> tuple[Tensor, State]:
        """Call the model with these parameters, for x `[T, B, F]`; check what it returns.

        Raises
        ------
        FaultyPart
            If the model raises an error.
        FaultyModel
            If it returns anything but y `[T, B, O]` in the network's dtype and a state.
        """
        with naming(f"The model {self.name}"):
            given = (x,) if state is None else (x, state)
            result = torch.func.functional_call(self.module, weights, given)
        if not isinstance(result, tuple) or len(result) != 2:
            raise FaultyModel(
                f"The model {self.name}", "must return the pair (y, state)", f"it returned {_kind(result)}"
            )
        y, state = result
        shape = (*x.shape[:2], self.output_size)
        if not isinstance(y, torch.Tensor) or y.shape != shape:
            rule = f"must return y of shape [T, B, O], which is {[*shape]} for x of shape {[*x.shape]}"
            raise FaultyModel(f"The model {self.name}", rule, f"it returned {_kind(y)}")
        if y.dtype != x.dtype:
            rule = f"must compute in the dtype of its input, {self.dtype}"
            hint = ", as with torch.zeros(...) in the model where x.new_zeros(...) is needed"
            raise FaultyModel(
                f"The model {self.name}", rule, f"it returned {str(y.dtype).removeprefix('torch.')}", hint
            )
        return y, state

    def tensor(self, values: Array) -> Tensor:
        """Return an array as a tensor on the model's device; on the CPU it shares the memory."""
        return torch.from_numpy(values).to(self.device)

    def constants(self) -> dict[str, Tensor]:
        """Return the parameters that are not trained, and the buffers, by name."""
        frozen = {name: part for name, part in self.module.named_parameters() if not part.requires_grad}
        return {name: part.detach() for name, part in (*frozen.items(), *self.module.named_buffers())}

    def fixed_arrays(self) -> dict[str, Array]:
        """Return the parameters that are not trained, and the buffers, as arrays by name."""
        return {name: as_array(part) for name, part in self.constants().items()}

    def leaves_of(self, flat: Inexact[np.ndarray, "*models parameters"]) -> dict[str, Tensor]:
        """Return the parameters as tensors of their own, whose gradients PyTorch can compute."""
        views = self.layout.by_name(self.tensor(flat))
        return {name: view.detach().requires_grad_() for name, view in views.items()}

    def _carried(self, y: Tensor, state: State) -> list[Tensor]:
        """Return the tensors of which a[t] consists: perhaps y, and those of the state with gradients."""
        return [y] * self._with_output + _real_leaves(state)

    def _read(self, state: State, values: list[Tensor]) -> Tensor:
        """Return a[t] `[B, H]` from `values`, which stand for the tensors of `_carried`."""
        filled = _refilled(state, values[self._with_output :])
        read = self.module.read if isinstance(self.module, Adapter) else side_by_side
        parts = [value[0] for value in values[: self._with_output]]
        return torch.cat([*parts, read(filled)] if _real_leaves(state) else parts, dim=-1)

    def _checked_parameters(self) -> tuple[np.dtype[Any], Any]:
        """Return the dtype and the device of the parameters."""
        parameters, named = dict(self.module.named_parameters()), f"The model {self.name}"
        if not any(part.requires_grad for part in parameters.values()):
            found = "none of them has requires_grad=True" if parameters else "it has none"
            raise FaultyModel(named, "must have parameters to train", found)
        dtypes = {str(part.dtype).removeprefix("torch.") for part in parameters.values()}
        if len(dtypes) > 1:
            raise FaultyModel(named, "must have parameters of one dtype", f"it has {' and '.join(sorted(dtypes))}")
        devices = {str(part.device) for part in parameters.values()}
        if len(devices) > 1:
            raise FaultyModel(
                named, "must have its parameters on one device", f"it has {' and '.join(sorted(devices))}"
            )
        dtype = dtypes.pop()
        if dtype not in DTYPES:
            raise FaultyModel(named, f"must have parameters of {', '.join(DTYPES)}", f"it has {dtype}")
        return np.dtype(dtype), torch.device(devices.pop())

    def _try(self) -> None:
        """Run the model on a few random numbers, and check that it keeps the protocol; find the width of a[t]."""
        named, (steps, batch) = f"The model {self.name}", TRIED
        x = np.random.default_rng(0).uniform(-1, 1, (steps, batch, self.input_size)).astype(self.dtype)
        with one_torch_thread(), torch.no_grad(), own_generators(self.device):
            weights = self.layout.by_name(self.tensor(self.parameters))
            try:
                y, _ = self.run(weights, self.tensor(x))
                again, _ = self.run(weights, self.tensor(x))
                first, state = self.run(weights, self.tensor(x[:1]))
                self.run(weights, self.tensor(x[1:]), state)
            except FaultyPart as error:
                cause = error.__cause__
                rule = "must run on x [T, B, F], with and without the state that it returned"
                raise FaultyModel(named, rule, raised(cause)) from cause
        if not torch.isfinite(y).all():
            rule = f"must return finite numbers for numbers from -1 to 1 at the start, in {self.dtype}"
            raise FaultyModel(named, rule, "it returned infinity or NaN")
        if not torch.allclose(again, y, **CLOSE):
            rule = "must return the same y for the same x, without dropout and without a state kept on self"
            raise FaultyModel(named, rule, f"y of a second call differs by {(again - y).abs().max().item():.2g}")
        leaves = _real_leaves(state)
        if any(not leaf.ndim or len(leaf) != batch for leaf in leaves):
            shapes = ", ".join(str([*leaf.shape]) for leaf in leaves)
            rule = f"must return a state of tensors [B, ...], with B = {batch} here"
            raise FaultyModel(named, rule, f"it returned {shapes}")
        if getattr(self.module, "read_given", False) and not torch.allclose(first[0], y[0], **CLOSE):
            rule = "must have an argument read of Sequence that returns the layer's output"
            raise FaultyModel(named, rule, f"y differs by {(first[0] - y[0]).abs().max().item():.2g}")
        with one_torch_thread(), torch.enable_grad():
            first, state = self.run(self.leaves_of(self.parameters), self.tensor(x[:1]))
            self._with_output = not _computed_from(first, _real_leaves(state))
        self.hidden_size = self._read(state, self._carried(first, state)).shape[1]

    def _forget(self) -> None:
        super()._forget()
        self._leaves, self._initial, self._y, self._last = {}, None, None, None


def converted(module: Any, dtype: np.dtype[Any], device: Any) -> Any:
    """Move a module to a dtype and a device."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Complex modules are a new feature")  # used for the complex step only
        return module.to(device, getattr(torch, dtype.name))


def _real_leaves(state: State) -> list[Tensor]:
    """Return the tensors of a state that can have a gradient."""
    return [leaf for leaf in tree_leaves(state) if is_real(leaf)]


def _refilled(state: State, values: list[Tensor]) -> State:
    """Return a state with `values` in place of the tensors that can have a gradient."""
    (leaves, structure), new = tree_flatten(state), iter(values)
    return tree_unflatten([next(new) if is_real(leaf) else leaf for leaf in leaves], structure)


def _as_arrays(state: State) -> State:
    """Return a state of tensors as one of arrays, which are copies."""
    return tree_map(lambda leaf: as_array(leaf).copy() if isinstance(leaf, torch.Tensor) else leaf, state)


def _computed_from(y: Tensor, state: list[Any]) -> bool:
    """Whether PyTorch computed y from some of these tensors, and not beside them."""
    leaves = [leaf for leaf in state if leaf.requires_grad]
    if not leaves or not y.requires_grad:
        return False
    found = torch.autograd.grad(y, leaves, torch.ones_like(y), allow_unused=True)
    return any(part is not None for part in found)


def _trained(module: Any) -> Iterator[tuple[str, Tensor]]:
    return ((name, part) for name, part in module.named_parameters() if part.requires_grad)


def _kind(value: Any) -> str:
    """Describe what a model returned."""
    if isinstance(value, torch.Tensor):
        return f"a tensor of shape {[*value.shape]}"
    return f"{len(value)} values" if isinstance(value, tuple | list) else shown(value)
