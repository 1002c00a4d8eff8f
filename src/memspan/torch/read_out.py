"""The linear read-out of a PyTorch model: the `nn.Linear` whose outputs are y.

A module is one if its outputs, in the order of its calls, are y at every step, and its inputs do not depend on its
own weights. Both are tried on a few random numbers, so nothing has to be known about the model.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int

from memspan.foreign.network import TRIED
from memspan.network.read_out import Read, with_one
from memspan.shapes import Array
from memspan.torch.tensors import Tensor, as_array
from memspan.torch.threads import one_torch_thread

if TYPE_CHECKING:
    from memspan.torch.network import TorchNetwork


class _Calls(NamedTuple):
    """The inputs and the outputs of a module in a pass, one for each call."""

    inputs: list[Tensor]
    outputs: list[Tensor]


class TorchReadOut:
    """The read-out of a PyTorch model. See `memspan.network.read_out.ReadOut`.

    Parameters
    ----------
    network : TorchNetwork
    name : str
        The place of the `nn.Linear` in the module, as in `named_modules`.
    """

    def __init__(self, network: "TorchNetwork", name: str) -> None:
        self._network, self._name = network, name
        named = network.layout.by_name(np.arange(network.layout.size))
        rows = [named[f"{name}.{kind}"] for kind in ("weight", "bias") if f"{name}.{kind}" in named]
        self.places: Int[np.ndarray, "read outputs"] = np.concatenate([np.atleast_2d(row.T) for row in rows])
        self._with_bias, self.width = len(rows) == 2, rows[0].shape[1]

    def states(self, parameters: Float[np.ndarray, "models parameters"], x: Array) -> Read:
        """See `ReadOut`."""
        each = [self._inputs(row, x) for row in parameters]
        states = np.stack(each if self._network.output_steps else [one[-1] for one in each])
        return with_one(states) if self._with_bias else states

    def _inputs(self, parameters: Float[np.ndarray, "parameters"], x: Array) -> Array:
        """Return what the module reads after each of the last K steps, `[K, B, H]`."""
        _, calls = called(self._network, parameters, x, [self._name])
        return as_array(joined(calls[self._name].inputs)[-(self._network.output_steps or 1) :])


def find_read_out(network: "TorchNetwork") -> TorchReadOut | None:
    """Return the read-out of a model, or None if there is no such `nn.Linear` with trained weights."""
    steps, batch = TRIED
    rng = np.random.default_rng(1)
    x = rng.uniform(-1, 1, (steps, batch, network.input_size)).astype(network.dtype)
    names = [
        name
        for name, part in network.module.named_modules()
        if isinstance(part, torch.nn.Linear)
        and all(f"{name}.{kind}" in network.layout.shapes for kind, _ in part.named_parameters())
    ]
    y, calls = called(network, network.parameters, x, names)
    for name in names:
        if _is(calls[name].outputs, y):
            found, other = TorchReadOut(network, name), network.parameters.copy()
            other[found.places] = rng.uniform(-1, 1, found.places.shape)
            y_of_other, others = called(network, other, x, [name])
            same = torch.equal(joined(others[name].inputs), joined(calls[name].inputs))
            if same and _is(others[name].outputs, y_of_other):
                return found
    return None


def called(
    network: "TorchNetwork", parameters: Array, x: Array, names: list[str]
) -> tuple[Tensor, dict[str, _Calls]]:
    """Return y of a pass without gradients, and the calls of some of its modules."""
    with one_torch_thread(), torch.no_grad(), _watched(network.module, names) as calls:
        y, _ = network.run(network.layout.by_name(network.tensor(parameters)), network.tensor(x))
    return y, calls


@contextmanager
def _watched(module: Any, names: list[str]) -> Iterator[dict[str, _Calls]]:
    """Collect the calls of some modules inside the `with` block."""
    calls = {name: _Calls([], []) for name in names}

    def keep(name: str) -> Any:
        def hook(_: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            calls[name].inputs.append(inputs[0])
            calls[name].outputs.append(output)

        return hook

    with ExitStack() as hooks:
        for name in names:
            hooks.enter_context(module.get_submodule(name).register_forward_hook(keep(name)))
        yield calls


def joined(parts: list[Tensor]) -> Tensor:
    """Return the tensors of all calls along the time: each has the axes `[T, B, width]` or `[B, width]`."""
    return torch.cat([part if part.ndim == 3 else part[np.newaxis] for part in parts])


def _is(outputs: list[Tensor], y: Tensor) -> bool:
    """Whether the outputs of the calls are y."""
    axes = {part.ndim for part in outputs}
    return axes in ({2}, {3}) and joined(outputs).shape == y.shape and torch.equal(joined(outputs), y)
