"""A PyTorch model as one of memspan's networks: all trainable weights in one NumPy vector."""

import copy
import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import DTypeLike
from torch.utils._pytree import tree_flatten, tree_leaves, tree_unflatten

from memspan.errors import FaultyPart, InvalidArgument, NotReady, generator, naming, one_dtype, shown, whole_number
from memspan.network import DTYPES
from memspan.network.model import Model, checked_output_steps
from memspan.shapes import Array, Flat, Inputs, Outputs
from memspan.torch.adapters import Adapter, State, side_by_side
from memspan.torch.engine import Form
from memspan.torch.tensors import Tensor, as_array, gradients_of, is_real
from memspan.torch.threads import one_torch_thread


class FaultyModel(InvalidArgument):
    """A factory or its model breaks a rule. The message names the factory, the rule and what was found."""

    def __str__(self) -> str:
        return "{} {}; {}{}.".format(*self.args)


@dataclass(frozen=True)
class TorchLayout:
    """The place of each trainable parameter of a module in the flat vector, in the order of `named_parameters`.

    Attributes
    ----------
    model : str
        The module as PyTorch prints it. So networks of different modules have different layouts.
    places : tuple of (name, shape)
    """

    model: str
    places: tuple[tuple[str, tuple[int, ...]], ...]

    def __repr__(self) -> str:
        return f"<TorchLayout: {', '.join(f'{name} {[*shape]}' for name, shape in self.places)}>"

    @cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each parameter, by name."""
        return dict(self.places)

    @cached_property
    def slices(self) -> dict[str, slice]:
        """The part of the flat vector of each parameter, by name."""
        sizes = [prod(shape) for _, shape in self.places]
        ends = np.cumsum(sizes).tolist()
        return {
            name: slice(end - size, end) for (name, _), size, end in zip(self.places, sizes, ends, strict=True)
        }

    @cached_property
    def size(self) -> int:
        """P, the number of weights."""
        return sum(prod(shape) for _, shape in self.places)

    def by_name(self, flat: Any) -> dict[str, Any]:
        """The parameters by name, as views into `flat [..., P]`, an array or a tensor."""
        front = tuple(flat.shape[:-1])
        return {name: flat[..., self.slices[name]].reshape(front + shape) for name, shape in self.places}


@dataclass(frozen=True, eq=False, repr=False)
class TorchTrace:
    """The values of a forward pass.

    Attributes
    ----------
    network : TorchNetwork
    parameters : array [P]
        The weights of the pass; a copy.
    x : array [T, B, F]
        The inputs.
    y_hat : array [K, B, O]
        The predictions after each of the last K steps.
    """

    network: "TorchNetwork"
    parameters: Flat
    x: Inputs
    y_hat: Outputs

    def __repr__(self) -> str:
        T, B, F = self.x.shape
        return f"<TorchTrace of {self.network.name}: T = {T}, B = {B}, F = {F}>"

    @cached_property
    def a(self) -> Array:
        """The output `a[t]` after each step, `[T, B, H]`; computed step by step when it is first read."""
        return self.network.stepped(self.x, parameters=self.parameters).a


@dataclass(frozen=True, eq=False, repr=False)
class TorchGradients(Mapping[str, Array]):
    """The gradients of a backward pass.

    A mapping with `d_<name> [T, ...]` for each trainable parameter: the contribution of each time step, summed
    over the batch. These and `d_a` are computed step by step when one of them is first read.

    Attributes
    ----------
    trace : TorchTrace
        The forward pass that was differentiated.
    d_y_hat : array [K, B, O]
        dL/dŷ, the start of the backward pass.
    flat : array [P]
        The gradient of all weights.
    """

    trace: TorchTrace
    d_y_hat: Outputs
    flat: Flat

    def __repr__(self) -> str:
        return f"<TorchGradients of {self.trace.network.name}: {len(self)} parameters>"

    def __getitem__(self, name: str) -> Array:
        return self._stepped.d_parameters[name.removeprefix("d_")] if name in tuple(self) else self._missing(name)

    def __iter__(self) -> Iterator[str]:
        return (f"d_{name}" for name in self.trace.network.layout.shapes)

    def __len__(self) -> int:
        return len(self.trace.network.layout.shapes)

    def total(self) -> Flat:
        """Return the gradient of all weights, summed over time, in the order of `TorchNetwork.parameters`."""
        return self.flat.copy()

    @property
    def d_a(self) -> Array:
        """dL/da[t], `[T, B, H]`, through the loss and all later steps: the gradient that vanishes.

        a is what the read-out reads. If the model's output is no part of its state, a is the whole state.
        """
        return self._stepped.d_a

    @cached_property
    def _stepped(self) -> "Stepped":
        trace = self.trace
        return trace.network.stepped(trace.x, self.d_y_hat, parameters=trace.parameters)

    def _missing(self, name: str) -> Array:
        raise KeyError(name)


class Stepped(NamedTuple):
    """What a pass step by step finds.

    Attributes
    ----------
    a, d_a : array [T, B, H]
    d_parameters : dict of array [T, ...]
        The contribution of each step to the gradient of each parameter.
    """

    a: Array
    d_a: Array
    d_parameters: dict[str, Array]


class TorchNetwork(Model):
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
        H, the width of `a[t]`: of what the read-out reads, or of the whole state if that is no part of the state.
    parameters : array [P]
        All trainable weights, in the order of `named_parameters`.
    trace, grads : TorchTrace, TorchGradients or None
        The values of the last forward and backward pass.

    Raises
    ------
    FaultyModel
        An `InvalidArgument`: the model has no trainable parameters, or in a trial with a few random numbers it
        raises an error, returns another shape or dtype, or something that is not finite.
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
        self._layout = TorchLayout(str(module), tuple((name, tuple(part.shape)) for name, part in trained.items()))
        flat = torch.cat([part.detach().reshape(-1) for part in trained.values()])
        self.parameters: Flat = flat.cpu().numpy().copy()
        self.trace: TorchTrace | None = None
        self.grads: TorchGradients | None = None
        self._leaves: dict[str, Tensor] = {}  # the parameters and the predictions of the last forward pass
        self._y: Tensor = None
        self._try()

    def __repr__(self) -> str:
        sizes = f"{self.input_size} in, {self.hidden_size} hidden, {self.output_size} out"
        return f"<TorchNetwork of {self.name}, {sizes}, {self.dtype}>"

    @property
    def name(self) -> str:
        """What the model is called in messages: the path of its factory, or its class."""
        return self._name

    @property
    def layout(self) -> TorchLayout:
        """The place of each parameter in `parameters`."""
        return self._layout

    def forward(self, x: Array) -> Outputs:
        """Predict from `x`, and keep the graph of PyTorch for `backward`.

        Parameters
        ----------
        x : array [T, F] or [T, B, F]
            One sequence or a batch of sequences; copied, in the network's dtype.

        Returns
        -------
        array [1, O] or [B, O], or [K, B, O]
        """
        self._forget()
        x, flat = self.inputs(x), self.parameters.copy()
        with one_torch_thread(), torch.enable_grad():
            self._leaves = self.leaves_of(flat)
            self._y = self.run(self._leaves, self.tensor(x))[0][-(self.output_steps or 1) :]
        self.trace = TorchTrace(self, flat, x, as_array(self._y))
        return self.trace.y_hat.reshape(self._answer(self.trace)).copy()

    def predict(self, x: Array) -> Outputs:
        """Predict from `x` like `forward`, without keeping a trace."""
        with one_torch_thread(), torch.no_grad():
            weights = self.layout.by_name(self.tensor(self.parameters))
            y = self.run(weights, self.tensor(self.inputs(x)))[0][-(self.output_steps or 1) :]
            y_hat = as_array(y)
        return y_hat.reshape(y_hat.shape[self.output_steps is None :]).copy()

    def backward(self, d_loss: Array) -> TorchGradients:
        """Back-propagate through time from dL/dŷ.

        Parameters
        ----------
        d_loss : array [B, O] or [K, B, O], or [O] for one sequence
            dL/dŷ, in the shape that `forward` returned.

        Returns
        -------
        TorchGradients
        """
        return self.backpropagate(self._checked_floats("d_loss", d_loss))

    def backpropagate(self, d_loss: Array) -> TorchGradients:
        """Like `backward`, but `d_loss` may contain infinity and NaN."""
        if self.trace is None:
            raise NotReady("backward needs a forward pass: call .forward(x) first.")
        d_y_hat = self._output_gradient(d_loss, self.trace)
        with one_torch_thread(), naming(f"The model {self.name}"):
            found = gradients_of(self._y, [*self._leaves.values()], self.tensor(d_y_hat))
            flat = as_array(torch.cat([part.reshape(-1) for part in found])).copy()
        self.grads = TorchGradients(self.trace, d_y_hat, flat)
        return self.grads

    def astype(self, dtype: DTypeLike) -> Self:
        """Return a network with the same weights in another dtype, without trace and gradients."""
        twin = copy.copy(self)
        twin.dtype = one_dtype("dtype", dtype, DTYPES)
        if twin.dtype != self.dtype:
            twin.module = copy.deepcopy(self.module).to(getattr(torch, twin.dtype.name))
        with np.errstate(all="ignore"):
            twin.parameters = self.parameters.astype(twin.dtype)
        if np.isfinite(self.parameters).all() and not np.isfinite(twin.parameters).all():
            raise InvalidArgument("dtype", "one in which all weights are finite", str(twin.dtype))
        twin._forget()
        return twin

    def to_module(self) -> Any:
        """Return a copy of the module with the present weights."""
        module = copy.deepcopy(self.module)
        weights = self.layout.by_name(self.tensor(self.parameters))
        with torch.no_grad():
            for name, part in _trained(module):
                part.copy_(weights[name])
        return module

    def stepped(self, x: Inputs, d_y_hat: Outputs | None = None, *, parameters: Flat | None = None) -> Stepped:
        """Run the model step by step, and back-propagate from dL/dŷ; zeros if it is None.

        Each step has its own alias of the parameters and starts from the state that the step before returned. So
        PyTorch's own back-propagation gives the gradient of every state and the contribution of every step.

        Parameters
        ----------
        x : array [T, B, F]
        d_y_hat : array [K, B, O], optional
        parameters : array [P], optional
            By default the present ones.
        """
        flat = self.parameters if parameters is None else parameters
        with one_torch_thread(), torch.enable_grad():
            weights, states, ys, state = [], [], [], None
            for x_t in self.tensor(x).split(1):
                weights.append(self.leaves_of(flat))
                y, state = self.run(weights[-1], x_t, state)
                ys.append(y)
                states.append(state)
            upstream = self.tensor(np.zeros((1, *ys[-1].shape[1:]), self.dtype) if d_y_hat is None else d_y_hat)
            wanted = [*(tensor for one in weights for tensor in one.values())]
            wanted += [tensor for y, state in zip(ys, states, strict=True) for tensor in self._carried(y, state)]
            found = iter(gradients_of(torch.cat(ys[-len(upstream) :]), wanted, upstream))
        d_weights = [{name: next(found) for name in one} for one in weights]
        d_states = [[next(found) for _ in self._carried(y, state)] for y, state in zip(ys, states, strict=True)]
        pairs = [*zip(ys, states, strict=True)]
        a = [self._read(y, state, self._carried(y, state)) for y, state in pairs]
        d_a = [self._read(y, state, d_state) for (y, state), d_state in zip(pairs, d_states, strict=True)]
        d_parameters = {name: as_array(torch.stack([one[name] for one in d_weights])) for name in weights[0]}
        return Stepped(as_array(torch.stack(a)), as_array(torch.stack(d_a)), d_parameters)

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

    def leaves_of(self, flat: Flat) -> dict[str, Tensor]:
        """Return the parameters as tensors of their own, whose gradients PyTorch can compute."""
        views = self.layout.by_name(self.tensor(flat))
        return {name: view.detach().requires_grad_() for name, view in views.items()}

    def _carried(self, y: Tensor, state: State) -> list[Tensor]:
        """Return the tensors of a state that can have a gradient; y if there are none."""
        return [leaf for leaf in tree_leaves(state) if is_real(leaf)] or [y]

    def _read(self, y: Tensor, state: State, values: list[Tensor]) -> Tensor:
        """Return the part `[B, H]` of a state that the read-out reads, with `values` in place of its tensors."""
        leaves, structure = tree_flatten(state)
        if not any(map(is_real, leaves)):
            return values[0][0]
        new = iter(values)
        filled = tree_unflatten([next(new) if is_real(leaf) else leaf for leaf in leaves], structure)
        return (self.module.read if isinstance(self.module, Adapter) else side_by_side)(filled)

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
        cuda = [self.device] if self.device.type == "cuda" else []
        with one_torch_thread(), torch.no_grad(), torch.random.fork_rng(cuda):
            weights = self.layout.by_name(self.tensor(self.parameters))
            try:
                y, _ = self.run(weights, self.tensor(x))
                first, state = self.run(weights, self.tensor(x[:1]))
                self.run(weights, self.tensor(x[1:]), state)
            except FaultyPart as error:
                cause = error.__cause__
                found = f"it raised {type(cause).__name__}: {cause}"
                rule = "must run on x [T, B, F], with and without the state that it returned"
                raise FaultyModel(named, rule, found.rstrip(".")) from cause
        if not torch.isfinite(y).all():
            rule = f"must return finite numbers for numbers from -1 to 1 at the start, in {self.dtype}"
            raise FaultyModel(named, rule, "it returned infinity or NaN")
        carried = self._carried(first, state)
        if carried[0] is not first and any(not leaf.ndim or len(leaf) != batch for leaf in carried):
            shapes = ", ".join(str([*leaf.shape]) for leaf in carried)
            rule = f"must return a state of tensors [B, ...], with B = {batch} here"
            raise FaultyModel(named, rule, f"it returned {shapes}")
        self.hidden_size = self._read(first, state, carried).shape[1]

    def _forget(self) -> None:
        super()._forget()
        self._leaves, self._y = {}, None


TRIED = (4, 3)
"""The steps and samples with which a new model is tried."""


def make_network(
    factory: Callable[..., Any],
    features: int,
    outputs: int,
    *,
    hidden: int = 32,
    options: Mapping[str, Any] | None = None,
    output_steps: int | None = None,
    dtype: DTypeLike = "float32",
    rng: np.random.Generator | np.random.SeedSequence | int | None = None,
    device: str = "cpu",
) -> TorchNetwork:
    """Build a model with the initial weights of a seed.

    The factory runs with PyTorch's generators seeded from `rng`, and with float32 as PyTorch's default dtype. So
    the same seed gives the same weights, and the state of the caller's generators does not change.

    Parameters
    ----------
    factory : callable
        `factory(features, outputs, hidden=hidden, **options)` returns the module.
    features, outputs : int
        F and O.
    hidden : int
        The number of hidden units, for the factory.
    options : mapping, optional
        Further keywords for the factory.
    output_steps : int, optional
        As in `TorchNetwork`.
    dtype : float32, float64 or complex128
        The dtype to which the module is converted.
    rng : Generator, SeedSequence or int, optional
        The source of the initial weights; fresh entropy if None.
    device : str
        `cpu` or, for example, `cuda`.

    Raises
    ------
    FaultyModel
        An `InvalidArgument`: the factory takes other arguments, raises an error or returns no module, or the model
        fails as in `TorchNetwork`.
    """
    name, options = name_of(factory), dict(options or {})
    dtype, place = one_dtype("dtype", dtype, DTYPES), _checked_device(device)
    sizes = whole_number("features", features), whole_number("outputs", outputs)
    arguments = {"hidden": whole_number("hidden", hidden), **options}
    _check_call(factory, name, sizes, arguments)
    seed = int(generator("rng", rng, "weights").integers(2**63))
    module = _built(factory, name, sizes, arguments, seed, place)
    found = {part.device for part in (*module.parameters(), *module.buffers())} - {torch.device("cpu"), place}
    if found:
        rule = f"must be on the CPU or on the device {place}"
        raise FaultyModel(f"The model {name}", rule, f"it has parameters on {', '.join(sorted(map(str, found)))}")
    kinds = {str(part.dtype).removeprefix("torch.") for part in module.parameters()}
    if len(kinds) > 1 or not kinds <= {*DTYPES}:  # before the conversion, which would hide it
        TorchNetwork(module, *sizes, name=name)
    return TorchNetwork(module.to(place, getattr(torch, dtype.name)), *sizes, output_steps=output_steps, name=name)


def name_of(factory: Any) -> str:
    """Return the name of a factory in messages, such as `mypkg.cells:mine`."""
    module, qualified = getattr(factory, "__module__", None), getattr(factory, "__qualname__", None)
    return f"{module}:{qualified}" if module and qualified else shown(factory)


def _built(
    factory: Callable[..., Any],
    name: str,
    sizes: tuple[int, int],
    arguments: Mapping[str, Any],
    seed: int,
    device: Any,
) -> Any:
    """Call the factory, with PyTorch's generators seeded; return the module."""
    cuda, default = [device] if device.type == "cuda" else [], torch.get_default_dtype()
    with torch.random.fork_rng(cuda), one_torch_thread():
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would reach every device
        if cuda:
            torch.cuda.manual_seed(seed)
        torch.set_default_dtype(torch.float32)
        try:
            module = factory(*sizes, **arguments)
        except Exception as error:
            found = f"it raised {type(error).__name__}: {error}".rstrip(".")
            raise FaultyModel(f"The factory {name}", "must return a model", found) from error
        finally:
            torch.set_default_dtype(default)
    if not isinstance(module, torch.nn.Module):
        rule = "must return a torch.nn.Module, such as Steps or Sequence of memspan.torch"
        raise FaultyModel(f"The factory {name}", rule, f"it returned {shown(module)}")
    if isinstance(module, torch.nn.RNNBase | torch.nn.RNNCellBase):
        kind, adapter = type(module).__name__, "Sequence" if isinstance(module, torch.nn.RNNBase) else "Steps"
        rule = f"must return a model that gives y [T, B, O]: {adapter}({kind}(...), width=hidden, outputs=outputs)"
        raise FaultyModel(f"The factory {name}", rule, f"it returned the {kind} alone")
    return module


def _check_call(
    factory: Callable[..., Any], name: str, sizes: tuple[int, int], arguments: Mapping[str, Any]
) -> None:
    """Check that a factory can be called with these arguments."""
    if not callable(factory):
        raise InvalidArgument(
            "factory", "a function (features, outputs, hidden=32) that returns a model", shown(factory)
        )
    try:
        signature = inspect.signature(factory)
    except (TypeError, ValueError):  # a builtin; the call will tell
        return
    try:
        signature.bind(*sizes, **arguments)
    except TypeError as error:
        called = f"(features, outputs, {', '.join(f'{one}=...' for one in arguments)})"
        rule, found = f"must be callable as {called}", f"its signature is {signature}: {error}"
        raise FaultyModel(f"The factory {name}", rule, found) from None


def _checked_device(device: Any) -> Any:
    """Return a device of PyTorch that is there."""
    try:
        found = torch.device(device)
        torch.empty(0, device=found)
    except (RuntimeError, TypeError, AssertionError, NotImplementedError) as error:
        reason = str(error).partition("\n")[0].rstrip(".")
        raise InvalidArgument(
            "device", "one that PyTorch can use, such as cpu or cuda", shown(device), f": {reason}"
        ) from None
    if found.type == "cuda" and found.index is None:
        found = torch.device("cuda", torch.cuda.current_device())
    return found


def _trained(module: Any) -> Iterator[tuple[str, Tensor]]:
    return ((name, part) for name, part in module.named_parameters() if part.requires_grad)


def _kind(value: Any) -> str:
    """Describe what a model returned."""
    if isinstance(value, torch.Tensor):
        return f"a tensor of shape {[*value.shape]}"
    return f"{len(value)} values" if isinstance(value, tuple | list) else shown(value)
