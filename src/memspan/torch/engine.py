"""The engine that trains PyTorch models: several networks in one pass of PyTorch, or one after the other."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Inexact

from memspan.diagnostics.flow import norms_of
from memspan.engines.base import Differentiated
from memspan.errors import InvalidArgument, naming, one_of, whole_number
from memspan.losses import Loss, value_of
from memspan.shapes import Array, Outputs
from memspan.torch.tensors import Tensor, as_array, gradients_of
from memspan.torch.threads import one_torch_thread

if TYPE_CHECKING:
    from memspan.torch.network import TorchNetwork

FORMS = ("loop", "vmap-grad", "vmap-forward")


@dataclass(frozen=True)
class Form:
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

    name: str
    group: int = 1

    def __post_init__(self) -> None:
        one_of("form", self.name, FORMS)
        if whole_number("group", self.group) > 1 and self.name == "loop":
            raise InvalidArgument("group", "1 for the form 'loop'", self.group)

    def __str__(self) -> str:
        return self.name if self.name == "loop" else f"{self.name} of {self.group}"

    def make_engine(self, networks: Sequence["TorchNetwork"], loss: Loss) -> "TorchEngine":
        """Return the engine for these networks, whose weights are the rows of `parameters`."""
        return TorchEngine(networks, loss, self)


class _Pass(NamedTuple):
    """The result for the networks of one call: losses [g], gradients [g, P], dL/dŷ [g, K, B, O]."""

    losses: Array
    gradients: Array
    d_y_hat: Array


class TorchEngine:
    """An engine for networks whose model is PyTorch's. See `Engine` for its methods.

    memspan's loss, in NumPy, gives the loss and dL/dŷ, as for every engine. PyTorch back-propagates from there,
    with one thread.

    Parameters
    ----------
    networks : sequence of M TorchNetwork
        Networks with the same layout, dtype and `output_steps`.
    loss : Loss
    form : Form
    """

    def __init__(self, networks: Sequence["TorchNetwork"], loss: Loss, form: Form) -> None:
        self.networks, self.loss, self.form = networks, loss, form

    def differentiate(
        self,
        parameters: Inexact[np.ndarray, "models parameters"],
        batches: Sequence[tuple[Array, Array]],
        *,
        norms: Sequence[int] = (),
    ) -> Differentiated:
        """See `Engine`."""
        batches = [(self.networks[0].inputs(x), y) for x, y in batches]
        losses, gradients = np.empty(len(parameters)), np.empty_like(parameters)
        measured = {}
        with one_torch_thread():
            for rows in self._groups(batches):
                found = self._differentiate(parameters, batches, rows)
                losses[rows], gradients[rows] = found.losses, found.gradients
                for place, k in enumerate(rows):
                    if k in norms:  # a pass of its own, so that a measurement does not change the training
                        stepped = self.networks[k].stepped(
                            batches[k][0], found.d_y_hat[place], parameters=parameters[k]
                        )
                        measured[k] = norms_of(stepped.d_a)
        return Differentiated(losses, gradients, [measured[k] for k in norms])

    def predict(
        self, parameters: Inexact[np.ndarray, "models parameters"], inputs: Sequence[Array]
    ) -> list[Outputs]:
        """See `Engine`. The networks are computed one after the other."""
        return [network.predict(x) for network, x in zip(self.networks, inputs, strict=True)]

    def _groups(self, batches: Sequence[tuple[Array, Array]]) -> Iterator[list[int]]:
        """Yield the rows of each call: at most `group` networks with batches of the same shape."""
        shapes: dict[Any, list[int]] = {}
        for k, (x, y) in enumerate(batches):
            shapes.setdefault((x.shape, y.shape), []).append(k)
        for rows in shapes.values():
            for begin in range(0, len(rows), self.form.group):
                yield rows[begin : begin + self.form.group]

    def _differentiate(
        self,
        parameters: Inexact[np.ndarray, "models parameters"],
        batches: Sequence[tuple[Array, Array]],
        rows: list[int],
    ) -> _Pass:
        """Compute one call of `group` networks; copies of the last one fill it."""
        filled = rows + rows[-1:] * (self.form.group - len(rows))
        networks = [self.networks[k] for k in filled]
        x, y = (np.stack([batches[k][part] for k in filled]) for part in (0, 1))
        answers = networks[0].output_steps or 1
        pull = {"loop": _loop, "vmap-grad": _vmap_grad, "vmap-forward": _vmap_forward}[self.form.name]
        losses = _Losses(self.loss, y, answers=networks[0].output_steps is not None)
        with torch.enable_grad(), naming(f"The model {networks[0].name}"):
            gradients = pull(networks, np.ascontiguousarray(parameters[filled]), x, losses, answers)
        count = len(rows)
        return _Pass(losses.values[:count], gradients[:count], losses.d_y_hat[:count])


class _Losses:
    """The losses of the networks of one call, computed from their predictions by memspan's loss.

    Attributes
    ----------
    values : array [g]
    d_y_hat : array [g, K, B, O]
    """

    def __init__(self, loss: Loss, y: Array, answers: bool) -> None:
        self._loss, self._y, self._answers = loss, y, answers
        self.values: Array = np.empty(0)
        self.d_y_hat: Array = np.empty(0)

    def of(self, y_hat: Array) -> Array:
        """Return dL/dŷ of each network for `y_hat [g, K, B, O]`."""
        shape = y_hat.shape[1:] if self._answers else y_hat.shape[2:]
        values, derivatives = [], []
        for one, labels in zip(y_hat, self._y, strict=True):
            values.append(value_of(self._loss, one.reshape(shape), labels))
            derivatives.append(np.asarray(self._loss.backward()).reshape(y_hat.shape[1:]))
        self.values, self.d_y_hat = np.array(values), np.stack(derivatives).astype(y_hat.dtype, copy=False)
        return self.d_y_hat


def _loop(networks: Sequence["TorchNetwork"], flat: Array, x: Array, losses: _Losses, answers: int) -> Array:
    """Differentiate a single network, as PyTorch's users do."""
    (network,) = networks
    leaves = network.leaves_of(flat[0])
    y = network.run(leaves, network.tensor(x[0]))[0][-answers:]
    upstream = network.tensor(losses.of(as_array(y)[np.newaxis])[0])
    return _flat(
        {
            name: part[np.newaxis]
            for name, part in zip(
                leaves, map(as_array, gradients_of(y, [*leaves.values()], upstream)), strict=True
            )
        }
    )


def _vmap_forward(
    networks: Sequence["TorchNetwork"], flat: Array, x: Array, losses: _Losses, answers: int
) -> Array:
    """Run all networks in one forward pass, and differentiate all of it at once."""
    one = networks[0]
    leaves = one.leaves_of(flat)

    def predict(weights: Any, constants: Any, x: Tensor) -> Tensor:
        return one.run(weights | constants, x)[0][-answers:]

    y = torch.func.vmap(predict)(leaves, _stacked(networks), one.tensor(x))
    upstream = one.tensor(losses.of(as_array(y)))
    return _flat(dict(zip(leaves, map(as_array, gradients_of(y, [*leaves.values()], upstream)), strict=True)))


def _vmap_grad(networks: Sequence["TorchNetwork"], flat: Array, x: Array, losses: _Losses, answers: int) -> Array:
    """Run vmap over the differentiation of one network."""
    one = networks[0]

    def product(weights: Any, constants: Any, x: Tensor) -> Tensor:
        y = one.run(weights | constants, x)[0][-answers:]
        return (y * _Upstream.apply(y.detach(), losses)).sum()  # its gradient is that of the loss

    weights = one.layout.by_name(one.tensor(flat))
    found = torch.func.vmap(torch.func.grad(product))(weights, _stacked(networks), one.tensor(x))
    return _flat({name: as_array(part) for name, part in found.items()})


class _Upstream(torch.autograd.Function):  # type: ignore[misc]
    """dL/dŷ from memspan's loss, inside vmap: its rule for vmap is called with the predictions of all networks."""

    @staticmethod
    def forward(y: Tensor, losses: _Losses) -> Tensor:
        """Return dL/dŷ of one network, `[K, B, O]`."""
        return _Upstream.of(y[np.newaxis], losses)[0]

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Tensor) -> None:
        """Declare that it is a constant."""
        ctx.mark_non_differentiable(output)

    @staticmethod
    def vmap(info: Any, in_dims: Any, y: Tensor, losses: _Losses) -> tuple[Tensor, int]:
        """Return dL/dŷ of all networks, `[g, K, B, O]`."""
        return _Upstream.of(y.movedim(in_dims[0], 0), losses), 0

    @staticmethod
    def of(y: Tensor, losses: _Losses) -> Tensor:
        """Return dL/dŷ `[g, K, B, O]`."""
        return torch.from_numpy(losses.of(as_array(y))).to(y.device)


def _stacked(networks: Sequence["TorchNetwork"]) -> dict[str, Tensor]:
    """Return the parameters that are not trained, and the buffers, of all networks."""
    each = [network.constants() for network in networks]
    return {name: torch.stack([one[name] for one in each]) for name in each[0]}


def _flat(gradients: dict[str, Array]) -> Array:
    """Return the gradients `[g, ...]` of all parameters side by side, `[g, P]`."""
    return np.concatenate([part.reshape(len(part), -1) for part in gradients.values()], axis=1)
