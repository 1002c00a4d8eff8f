"""A PyTorch model as `memspan.testing.check_model` sees it: NumPy arrays in, NumPy arrays out."""

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any, Self

import numpy as np
import torch
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

from memspan.errors import FaultyPart
from memspan.foreign.factory import JAX_TAKES_KEY, Y_ALONE
from memspan.shapes import Array
from memspan.torch.threads import own_generators

DROPPED = "Casting complex values to real"
"""The beginning of PyTorch's warning about a lost imaginary part."""
CONSTANTS = ("aten.lift_fresh", "aten.lift_fresh_copy")
"""The operations through which `torch.tensor([...])` brings a constant into a computation."""


class TorchSubject:
    """A module in one dtype.

    Attributes
    ----------
    module : torch.nn.Module
        The model, which belongs to this object alone.
    made_in : set of str
        The dtypes of its parameters as the factory made them.
    """

    framework = "PyTorch"
    moves = "module.to(dtype)"

    def __init__(self, module: Any, made_in: set[str]) -> None:
        self.module, self.made_in = module, made_in

    @classmethod
    def build(cls, make: Callable[[], Any], seed: int, dtype: Any) -> Self:
        """Make the model with PyTorch's generators at `seed`, and move it to `dtype`."""
        with own_generators(torch.device("cpu")):
            torch.default_generator.manual_seed(seed)  # torch.manual_seed would reach every device
            module = make()
        if not isinstance(module, torch.nn.Module):
            found = "nothing (None)" if module is None else _named(module)
            hint = "" if module is None else f"; {JAX_TAKES_KEY}"
            raise FaultyPart(f"the factory returned {found} instead of a torch.nn.Module{hint}")
        for name, tensor in (*module.named_parameters(), *module.named_buffers()):
            if tensor.device.type != "cpu":
                rule = "a factory leaves the model on the CPU, and memspan moves it"
                raise FaultyPart(f"{name} is on the device {tensor.device}; {rule}")
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Complex modules are a new feature")
            made_in = {str(one.dtype).removeprefix("torch.") for one in module.parameters()}
            return cls(module.to(getattr(torch, np.dtype(dtype).name)), made_in)

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters that training changes, by name."""
        return {name: one for name, one in self.module.named_parameters() if one.requires_grad}

    @property
    def weights(self) -> dict[str, Array]:
        """The values of the parameters, copied."""
        return {name: one.detach().numpy().copy() for name, one in self.parameters.items()}

    def set_weights(self, weights: Mapping[str, Array]) -> None:
        """Overwrite the parameters that are named."""
        parameters = self.parameters
        with torch.no_grad():
            for name, values in weights.items():
                parameters[name].copy_(torch.from_numpy(np.array(values)))

    def run(self, x: Array, state: Any = None) -> tuple[Array, Any]:
        """Call the model once; y is an array, and the state stays the model's own."""
        with torch.no_grad(), _no_silent_casts() if np.iscomplexobj(x) else nullcontext():
            y, state = self._call(torch.from_numpy(x), state)
        return y.numpy(), state

    evaluate = run
    """The same for many calls; in other frameworks it is compiled."""

    def step(self, x: Array, state: Any) -> tuple[Array, Any]:
        """Call the model's own step on `x [B, F]`."""
        with torch.no_grad():
            y, state = _pair(self.module.step(torch.from_numpy(x), state), "step")
        return y.numpy(), state

    @property
    def has_step(self) -> bool:
        """Whether the model has a step beside its call."""
        return callable(getattr(self.module, "step", None)) and not isinstance(self.module.step, torch.nn.Module)

    def leaves(self, state: Any) -> list[Array]:
        """The arrays of a state."""
        return [_array(leaf, "the state") for leaf in pytree.tree_leaves(state) if leaf is not None]

    def with_leaves(self, state: Any, leaves: Iterable[Array]) -> Any:
        """A state of the same form with other arrays."""
        return _with_tensors(state, map(torch.from_numpy, leaves))

    def pull(
        self, x: Array, d_ys: Iterable[Array], state: Any = None
    ) -> Iterator[tuple[Array, dict[str, Array], list[Array]]]:
        """The gradient of Σ d_y · y with respect to x, to each parameter and to the state, for each d_y.

        None counts as 0.
        """
        given, parameters = torch.from_numpy(x.copy()).requires_grad_(), self.parameters
        start = [torch.from_numpy(leaf.copy()) for leaf in self.leaves(state)]
        start = [leaf.requires_grad_(leaf.is_floating_point()) for leaf in start]
        y, _ = self._call(given, _with_tensors(state, start))
        inputs = [given, *parameters.values(), *start]
        varied = [one for one in inputs if one.requires_grad]
        for d_y in d_ys:
            found: Any = [None] * len(varied)
            if y.requires_grad:
                found = torch.autograd.grad(y, varied, torch.from_numpy(d_y), retain_graph=True, allow_unused=True)
            gradients = {id(one): d for one, d in zip(varied, found, strict=True) if d is not None}
            d_x, *others = (
                gradients[id(one)].numpy() if id(one) in gradients else np.zeros(one.shape, x.dtype)
                for one in inputs
            )
            d_weights, d_state = others[: len(parameters)], others[len(parameters) :]
            yield d_x, dict(zip(parameters, d_weights, strict=True)), d_state

    def strays(self, x: Array) -> list[str]:
        """The tensors that the model uses but does not own as parameters or buffers."""
        own = (*self.module.parameters(), *self.module.buffers())
        seen = []
        for _ in range(2):  # what is made anew in each call does not have to be registered
            given = torch.from_numpy(x.copy())
            watch = _Watch((*own, given))
            with torch.no_grad(), watch:
                self._call(given, None)
            seen.append(watch.foreign)
        places = dict(_held(self.module, "model", set()))
        strays = (one for key, one in seen[0].items() if key in seen[1])
        return [
            f"{places.get(id(one), 'a tensor held outside the model')} of shape {_shape(one)}"
            + " (with requires_grad)" * one.requires_grad
            for one in strays
            if one.is_floating_point() and (one.ndim or one.requires_grad)
        ]

    def evaluating(self) -> bool:
        """Put the model into its mode for use after training; whether there is one."""
        self.module.eval()
        return True

    def parts(self) -> Iterator[str]:
        """The names and descriptions of the modules that contain no others."""
        for name, module in self.module.named_modules():
            if not any(module.children()):
                yield f"{name or 'the model'} = {str(module).splitlines()[0]}"

    def _call(self, x: Any, state: Any) -> tuple[Any, Any]:
        with ComplexForms() if x.is_complex() else nullcontext():
            y, state = self._called(x, state)
        _array(y, "y")
        return y, state

    def _called(self, x: Any, state: Any) -> tuple[Any, Any]:
        return _pair(self.module(x) if state is None else self.module(x, state), "the model")


class ComplexForms(TorchFunctionMode):
    """Give operations that PyTorch has for real numbers only their analytic continuation, for the complex step."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        form = COMPLEX_FORMS.get(getattr(func, "__name__", "").removesuffix("_"))
        given = args[0] if args else None
        if form is None or not isinstance(given, torch.Tensor) or not given.is_complex():
            return func(*args, **(kwargs or {}))
        return form(*args, **{name: value for name, value in (kwargs or {}).items() if name != "inplace"})


def _clamp(x: Any, min: Any = None, max: Any = None) -> Any:
    x = x if min is None else torch.where(x.real < min, torch.as_tensor(min, dtype=x.dtype), x)
    return x if max is None else torch.where(x.real > max, torch.as_tensor(max, dtype=x.dtype), x)


def _softplus(x: Any, beta: float = 1, threshold: float = 20) -> Any:
    larger = torch.where(x.real > 0, x, torch.zeros_like(x))
    smooth = larger + torch.log1p(torch.exp(beta * (x - 2 * larger))) / beta
    return torch.where(beta * x.real > threshold, x, smooth)


def _softmax(x: Any, dim: int = -1, **_: Any) -> Any:
    powers = torch.exp(x - x.real.amax(dim, keepdim=True))
    return powers / powers.sum(dim, keepdim=True)


def _layer_norm(x: Any, shape: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Any:
    axes = tuple(range(-len(shape), 0))
    centred = x - x.mean(axes, keepdim=True)
    scaled = centred / torch.sqrt((centred * centred).mean(axes, keepdim=True) + eps)
    scaled = scaled if weight is None else scaled * weight
    return scaled if bias is None else scaled + bias


COMPLEX_FORMS: dict[str, Callable[..., Any]] = {
    "relu": lambda x: _clamp(x, 0),
    "clamp": _clamp,
    "hardtanh": lambda x, min_val=-1.0, max_val=1.0: _clamp(x, min_val, max_val),
    "leaky_relu": lambda x, negative_slope=0.01: torch.where(x.real > 0, x, negative_slope * x),
    "elu": lambda x, alpha=1.0: torch.where(x.real > 0, x, alpha * torch.expm1(x)),
    "softplus": _softplus,
    "softmax": _softmax,
    "layer_norm": _layer_norm,
}
"""The complex forms of operations, by the names of their functions.

`hardsigmoid` is left out: in float64 PyTorch's own derivative of it is off by 3e-8, because its 1/6 is a float32
number. The complex step would blame the model.
"""


class _Watch(TorchDispatchMode):
    """Collect the tensors that enter operations and that are neither known nor results of operations."""

    def __init__(self, known: Iterable[Any]) -> None:
        super().__init__()
        self.known = {id(one): one for one in known}
        self.foreign: dict[int, Any] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if not str(func).startswith(CONSTANTS):
            for one in pytree.tree_leaves((args, kwargs or {})):
                if isinstance(one, torch.Tensor) and id(one) not in self.known:
                    self.foreign[id(one)] = one
        results = func(*args, **(kwargs or {}))
        # The objects are kept, so that no other one gets their id.
        self.known |= {id(one): one for one in pytree.tree_leaves(results) if isinstance(one, torch.Tensor)}
        return results


def _held(thing: Any, place: str, seen: set[int]) -> Iterator[tuple[int, str]]:
    """The place of every tensor that an object holds in its attributes, lists and dictionaries."""
    if id(thing) in seen:
        return
    seen.add(id(thing))
    if isinstance(thing, torch.Tensor):
        yield id(thing), place
    elif isinstance(thing, list | tuple):
        for k, one in enumerate(thing):
            yield from _held(one, f"{place}[{k}]", seen)
    elif isinstance(thing, dict):
        for key, one in thing.items():
            yield from _held(one, f"{place}[{key!r}]", seen)
    elif isinstance(thing, torch.nn.Module):
        members = (
            *thing.named_children(),
            *thing.named_parameters(recurse=False),
            *thing.named_buffers(recurse=False),
        )
        for name, one in members:
            yield from _held(one, f"{place}.{name}", seen)
        for name, one in vars(thing).items():
            if not name.startswith("_") or isinstance(one, torch.Tensor):
                yield from _held(one, f"{place}.{name}", seen)


@contextmanager
def _no_silent_casts() -> Iterator[None]:
    """Make a lost imaginary part an error, at every call and not only at the first of the process."""
    always = torch.is_warn_always_enabled()
    torch.set_warn_always(True)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("error", message=DROPPED)
            yield
    finally:
        torch.set_warn_always(always)


def _with_tensors(state: Any, leaves: Iterable[Any]) -> Any:
    """A state of the same form with other tensors."""
    places, form = pytree.tree_flatten(state)
    others = iter(leaves)
    return pytree.tree_unflatten([None if place is None else next(others) for place in places], form)


def _pair(result: Any, what: str) -> tuple[Any, Any]:
    """Return (y, state); raise if the result is something else."""
    if not isinstance(result, tuple | list) or len(result) != 2:
        raise FaultyPart(f"{what} returned {_named(result)} instead of a pair (y, state)", Y_ALONE)
    return result[0], result[1]


def _array(tensor: Any, what: str) -> Array:
    """Return a tensor as an array; raise if it is something else, or is on another device."""
    if not isinstance(tensor, torch.Tensor):
        raise FaultyPart(f"{what} is {_named(tensor)} instead of a tensor")
    if tensor.device.type != "cpu":
        raise FaultyPart(f"{what} is on the device {tensor.device} instead of that of x, cpu")
    return np.asarray(tensor.detach().numpy())


def _named(thing: Any) -> str:
    """The type of a value, and the shape of a tensor."""
    if isinstance(thing, torch.Tensor):
        return f"a tensor of shape {_shape(thing)}"
    if isinstance(thing, tuple | list):
        return f"a {type(thing).__name__} of {len(thing)} values"
    return f"a value of type {type(thing).__name__}"


def _shape(tensor: Any) -> str:
    return str(tuple(tensor.shape))
