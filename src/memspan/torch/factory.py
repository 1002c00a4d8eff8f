"""Making a `TorchNetwork` from the user's factory: the seed, the checks of the factory and their messages."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import DTypeLike

from memspan.errors import InvalidArgument, generator, one_dtype, shown, whole_number
from memspan.foreign.factory import JAX_TAKES_KEY, called, check_call, name_of
from memspan.foreign.faulty import FaultyModel
from memspan.network import DTYPES
from memspan.torch.network import TorchNetwork, converted
from memspan.torch.threads import one_torch_thread, own_generators


def weight_count(
    factory: Callable[..., Any], features: int, outputs: int, *, hidden: int, options: Mapping[str, Any]
) -> int:
    """Return P, the number of weights of a factory's models."""
    return make_network(factory, features, outputs, hidden=hidden, options=options, rng=0).layout.size


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
    check_call(factory, sizes, arguments)
    seed = int(generator("rng", rng, "weights").integers(2**63))
    module = _built(factory, sizes, arguments, seed, place)
    found = {part.device for part in (*module.parameters(), *module.buffers())} - {torch.device("cpu"), place}
    if found:
        rule = f"must be on the CPU or on the device {place}"
        raise FaultyModel(f"The model {name}", rule, f"it has parameters on {', '.join(sorted(map(str, found)))}")
    kinds = {str(part.dtype).removeprefix("torch.") for part in module.parameters()}
    if len(kinds) > 1 or not kinds <= {*DTYPES}:  # before the conversion, which would hide it
        TorchNetwork(module, *sizes, name=name)
    module = converted(module, dtype, place)
    return TorchNetwork(module, *sizes, output_steps=output_steps, name=name)


def _built(
    factory: Callable[..., Any],
    sizes: tuple[int, int],
    arguments: Mapping[str, Any],
    seed: int,
    device: Any,
) -> Any:
    """Call the factory, with PyTorch's generators seeded; return the module."""
    with own_generators(device), one_torch_thread():
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would reach every device
        if device.type == "cuda":
            torch.cuda.manual_seed(seed)
        default = torch.get_default_dtype()
        torch.set_default_dtype(torch.float32)
        try:
            module = called(factory, sizes, arguments)
        finally:
            torch.set_default_dtype(default)
    if not isinstance(module, torch.nn.Module):
        rule = "must return a torch.nn.Module, such as Steps or Sequence of memspan.torch"
        hint = "" if module is None else f"; {JAX_TAKES_KEY}"
        raise FaultyModel(f"The factory {name_of(factory)}", rule, f"it returned {shown(module)}", hint)
    if isinstance(module, torch.nn.RNNBase | torch.nn.RNNCellBase):
        kind, adapter = type(module).__name__, "Sequence" if isinstance(module, torch.nn.RNNBase) else "Steps"
        rule = f"must return a model that gives y [T, B, O]: {adapter}({kind}(...), width=hidden, outputs=outputs)"
        raise FaultyModel(f"The factory {name_of(factory)}", rule, f"it returned the {kind} alone")
    return module


def _checked_device(device: Any) -> Any:
    """Return a device of PyTorch that is there."""
    try:
        found = torch.device(device)
        torch.zeros(1, device=found).item()
    except (RuntimeError, TypeError, AssertionError, NotImplementedError) as error:
        reason = str(error).partition("\n")[0].rstrip(".")
        raise InvalidArgument(
            "device", "one that PyTorch can use, such as cpu or cuda", shown(device), f": {reason}"
        ) from None
    if found.type == "cuda" and found.index is None:
        found = torch.device("cuda", torch.cuda.current_device())
    return found
