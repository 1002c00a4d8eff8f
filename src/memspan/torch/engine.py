"""The engine that trains PyTorch models: several networks in one pass of PyTorch, or one after the other."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch

from memspan.foreign.engine import Call, ForeignEngine, Losses
from memspan.foreign.forms import Form as AnyForm
from memspan.losses import Loss
from memspan.shapes import Array
from memspan.torch.tensors import Tensor, as_array, gradients_of
from memspan.torch.threads import flushed_denormals, one_torch_thread

if TYPE_CHECKING:
    from memspan.torch.network import TorchNetwork


@dataclass(frozen=True)
class Form(AnyForm):
    """How the engine computes several networks of one kind.

    Attributes
    ----------
    name : str
        `loop`: one network after the other. `vmap-grad`: vmap over the whole pass with its gradient.
        `vmap-forward`: vmap over the forward pass, then one backward pass. Some operations of PyTorch allow only
        some of these, and each is the fastest for some models.
    group : int
        The number of networks in each call. A call always has as many, some of them copies if fewer are left. So
        the numbers of a network depend on the form and the group, but not on the other networks.
    """

    NAMES: ClassVar[tuple[str, ...]] = ("loop", "vmap-grad", "vmap-forward")

    def make_engine(
        self, networks: Sequence["TorchNetwork"], loss: Loss, truncate: int | None = None
    ) -> "TorchEngine":
        """Return the engine for these networks, whose weights are the rows of `parameters`."""
        return TorchEngine(networks, loss, self, truncate)

    @contextmanager
    def tried(self) -> Iterator[None]:
        """Make an error of PyTorch's warning that it has no rule for an operation under vmap.

        It then computes one network after the other.
        """
        with warnings.catch_warnings():
            warnings.filterwarnings("error", ".*batching rule.*")
            yield


class TorchEngine(ForeignEngine):
    """An engine for networks whose model is PyTorch's. See `ForeignEngine` for its parameters.

    PyTorch computes with one thread, and with denormal numbers flushed to zero as in the compiled engine.
    """

    @contextmanager
    def prepared(self) -> Iterator[None]:
        """Limit PyTorch to one thread, and flush denormal numbers to zero."""
        with one_torch_thread(), flushed_denormals():
            yield

    def gradients(self, call: Call) -> Array:
        """Return the gradients `[g, P]` of one call."""
        with torch.enable_grad():
            return PASSES[self.form.name](call)


def _answer(call: Call, weights: dict[str, Tensor], x: Tensor) -> Tensor:
    """Return the predictions of a network with these parameters, `[K, B, O]`."""
    network = call.networks[0]
    return network.answer(weights, x, network.output_steps or 1, truncate=call.truncate)


def _loop(call: Call) -> Array:
    """Differentiate a single network, as PyTorch's users do."""
    (network,) = call.networks
    leaves = network.leaves_of(call.flat[0])
    y = _answer(call, leaves, network.tensor(call.x[0]))
    upstream = network.tensor(call.losses.of(as_array(y)[np.newaxis])[0])
    found = gradients_of([y], [*leaves.values()], [upstream])
    return _flat([part[np.newaxis] for part in found])


def _vmap_grad(call: Call) -> Array:
    """Run vmap over the differentiation of one network."""
    one = call.networks[0]

    def product(weights: dict[str, Tensor], constants: dict[str, Tensor], x: Tensor) -> Tensor:
        y = _answer(call, weights | constants, x)
        return (y * _Upstream.apply(y.detach(), call.losses)).sum()  # its gradient is that of the loss

    weights = one.layout.by_name(one.tensor(call.flat))
    found = torch.func.vmap(torch.func.grad(product))(weights, _stacked(call.networks), one.tensor(call.x))
    return _flat([*found.values()])


def _vmap_forward(call: Call) -> Array:
    """Run all networks in one forward pass, and differentiate all of it at once."""
    one = call.networks[0]
    leaves = one.leaves_of(call.flat)

    def predict(weights: dict[str, Tensor], constants: dict[str, Tensor], x: Tensor) -> Tensor:
        return _answer(call, weights | constants, x)

    y = torch.func.vmap(predict)(leaves, _stacked(call.networks), one.tensor(call.x))
    return _flat(gradients_of([y], [*leaves.values()], [one.tensor(call.losses.of(as_array(y)))]))


PASSES = {"loop": _loop, "vmap-grad": _vmap_grad, "vmap-forward": _vmap_forward}
"""The gradients `[g, P]` of one call, by the name of the form."""


class _Upstream(torch.autograd.Function):
    """dL/dŷ from memspan's loss, inside vmap: its rule for vmap is called with the predictions of all networks."""

    @staticmethod
    def forward(y: Tensor, losses: Losses) -> Tensor:
        """Return dL/dŷ of one network, `[K, B, O]`."""
        return _Upstream.of(y[np.newaxis], losses)[0]

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Tensor) -> None:
        """Declare that it is a constant."""
        ctx.mark_non_differentiable(output)

    @staticmethod
    def vmap(info: Any, in_dims: Any, y: Tensor, losses: Losses) -> tuple[Tensor, int]:
        """Return dL/dŷ of all networks, `[g, K, B, O]`."""
        return _Upstream.of(y.movedim(in_dims[0], 0), losses), 0

    @staticmethod
    def of(y: Tensor, losses: Losses) -> Tensor:
        """Return dL/dŷ `[g, K, B, O]`."""
        return torch.from_numpy(losses.of(as_array(y))).to(y.device)


def _stacked(networks: Sequence["TorchNetwork"]) -> dict[str, Tensor]:
    """Return the parameters that are not trained, and the buffers, of all networks."""
    each = [network.constants() for network in networks]
    return {name: torch.stack([one[name] for one in each]) for name in each[0]}


def _flat(gradients: list[Tensor]) -> Array:
    """Return the gradients `[g, ...]` of all parameters side by side, `[g, P]`."""
    return np.concatenate([as_array(part).reshape(len(part), -1) for part in gradients], axis=1)
