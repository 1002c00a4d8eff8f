"""Weights from PyTorch into memspan's networks, and back.

| cell | module | gates of `weight_ih` | gates of `weight_hh` |
|---|---|---|---|
| `rnn` | `nn.RNN`, `nn.RNNCell` with `nonlinearity="tanh"` | a | a |
| `rnn-relu` | the same with `nonlinearity="relu"` | a | a |
| `lstm` | `nn.LSTM`, `nn.LSTMCell` | i, f, g, o | i, f, g, o |
| `gru` | `nn.GRU`, `nn.GRUCell` | r, z, n | r, z, u |

PyTorch's matrices are the transposes of memspan's. PyTorch adds two biases, `bias_ih` and `bias_hh`, to the same
sums; their sum is memspan's b_s. The exception is the candidate of the GRU,

    n = tanh(W_n x + b_in + r (R_n h + b_hn))

where b_in is memspan's b_n and b_hn its b_u. So `nn.GRU` is the cell `gru`. It is not the cell `gru-before`, whose
reset comes before the product with R; PyTorch has no module of that cell.
"""

from typing import Any

import numpy as np
import torch

from memspan.errors import InvalidArgument, shown
from memspan.network import Network
from memspan.network.gates import Block, Gates, Linear, demand_cell, demand_known, demand_network, set_gates
from memspan.shapes import Array
from memspan.torch.adapters import Sequence

Tensor = Any
"""A tensor of PyTorch, which mypy does not know."""
Module = Any


class GRU(torch.nn.GRU):
    """`torch.nn.GRU` with one bias for the reset and the update gate: those in `bias_hh` do not count.

    They are 0 and have gradient 0. The rest of `bias_hh`, b_hn, is a weight of its own.
    """

    def forward(self, x: Tensor, state: Tensor = None) -> tuple[Tensor, Tensor]:
        """Return a[t] `[T, B, H]` for x `[T, B, F]`, and the last state `[1, B, H]`."""
        H, bias = self.hidden_size, self.bias_hh_l0
        counted = torch.cat([bias.new_zeros(2 * H), bias[2 * H :]])
        state = x.new_zeros(1, x.shape[1], H) if state is None else state
        weights = self.weight_ih_l0, self.weight_hh_l0, self.bias_ih_l0, counted
        return torch.gru(x, state, weights, True, 1, 0.0, False, False, False)  # as in torch.nn.GRU.forward


GATES = {"rnn": ("a",), "rnn-relu": ("a",), "lstm": ("i", "f", "g", "o")}
BLOCKS = {
    **{cell: (Block("ih", "W", gates, gates), Block("hh", "R", gates)) for cell, gates in GATES.items()},
    "gru": (Block("ih", "W", ("r", "z", "n"), ("r", "z", "n")), Block("hh", "R", ("r", "z", "u"), ("u",))),
}
"""The linear maps of PyTorch's module of each cell."""
LAYERS = {"rnn": torch.nn.RNN, "rnn-relu": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": GRU}
"""The layer that `to_torch` makes."""
MODULES = {
    torch.nn.RNN: "rnn",
    torch.nn.RNNCell: "rnn",
    torch.nn.LSTM: "lstm",
    torch.nn.LSTMCell: "lstm",
    torch.nn.GRU: "gru",
    torch.nn.GRUCell: "gru",
    GRU: "gru",
}
"""The cell of each module, up to the nonlinearity."""


def load_weights(net: Network, module: Module, read_out: Module = None) -> None:
    """Copy the weights of a PyTorch module into a network.

    Parameters
    ----------
    net : Network
        Of the module's cell and sizes: `rnn` or `rnn-relu` for `nn.RNN`, `lstm` for `nn.LSTM`, `gru` for `nn.GRU`.
    module : Module
        An `nn.RNN`, `nn.LSTM` or `nn.GRU` of one layer, or an `nn.RNNCell`, `nn.LSTMCell` or `nn.GRUCell`; or a
        model with such a `module` and a `read_out`, such as that of `to_torch`.
    read_out : Linear, optional
        The `nn.Linear` from H to O that reads the module's output. Without it, V and b_y of the network do not
        change.

    Raises
    ------
    InvalidArgument
        If the module is not of the network's cell and sizes, has several layers, reads in both directions, has
        projections, or has weights that are not finite. Then no weight changes.

    Notes
    -----
    The weights are rounded to the dtype of the network if it is a smaller one. PyTorch's two biases are added up,
    in float64.

    Examples
    --------
    >>> import torch
    >>> from memspan import LSTM
    >>> from memspan.torch import load_weights
    >>> layer, read_out = torch.nn.LSTM(1, 8), torch.nn.Linear(8, 2)
    >>> net = LSTM(1, 8, 2, dtype="float32")
    >>> load_weights(net, layer, read_out)
    >>> x = torch.randn(5, 3, 1)
    >>> y = read_out(layer(x)[0][-1])
    >>> bool(abs(net.forward(x.numpy()) - y.detach().numpy()).max() < 1e-5)
    True
    """
    net = demand_network(net)
    if read_out is None and type(module) not in MODULES and hasattr(module, "module"):
        module, read_out = module.module, getattr(module, "read_out", None)
    demand_cell(net, cell := _cell_of(module), _described(module))
    suffix = "_l0" if isinstance(module, torch.nn.RNNBase) else ""

    def read(name: str) -> Linear:
        bias = _array("module", getattr(module, f"bias_{name}{suffix}")) if module.bias else None
        return _array("module", getattr(module, f"weight_{name}{suffix}")).T, bias

    set_gates(net, Gates.collect(BLOCKS[cell], read), None if read_out is None else _linear(read_out))


def to_torch(net: Network) -> Sequence:
    """Return a PyTorch model with the weights of a network.

    Parameters
    ----------
    net : Network
        Of the cell `rnn`, `rnn-relu`, `lstm` or `gru`, in float32 or float64.

    Returns
    -------
    Sequence
        `model(x [T, B, F], state=None) -> (y [T, B, O], state)`: y after every step, of which the network returns
        the last or the last K. `model.module` is the `nn.RNN`, `nn.LSTM` or `nn.GRU`, and `model.read_out` the
        `nn.Linear`, in the network's dtype. PyTorch's second bias is 0 and frozen, so the model has the weights of
        the network and no others. For the GRU only b_hn of the second bias is a weight.

    Raises
    ------
    InvalidArgument
        If PyTorch has no module of the network's cell.

    Examples
    --------
    >>> from memspan import GRU
    >>> from memspan.torch import to_torch
    >>> net = GRU(1, 8, 2, rng=0)
    >>> model = to_torch(net)
    >>> x = torch.randn(5, 3, 1, dtype=torch.float64)
    >>> y, state = model(x)
    >>> bool(abs(net.forward(x.numpy()) - y[-1].detach().numpy()).max() < 1e-12)
    True
    """
    cell, gates = demand_known(net, BLOCKS, "PyTorch"), Gates.of(net)
    options = {"nonlinearity": "relu"} if cell == "rnn-relu" else {}
    with torch.device("meta"):  # where nothing is drawn, so PyTorch's random numbers stay as they are
        layer = LAYERS[cell](net.input_size, net.hidden_size, **options)
        model = Sequence(layer, net.hidden_size, net.output_size)
    model = model.to(getattr(torch, net.dtype.name)).to_empty(device="cpu")
    _set(model.read_out.weight, net.V.T)
    _set(model.read_out.bias, net.by[:, 0])
    for block in BLOCKS[cell]:
        matrix, bias = gates.linear(block)
        _set(getattr(layer, f"weight_{block.name}_l0"), matrix.T)
        _set(getattr(layer, f"bias_{block.name}_l0"), bias).requires_grad_(bool(block.bias))
    return model


def network_of(model: Module, features: int) -> Network | None:
    """Return a network of float64 with the weights of a model, if memspan has the cell of its module.

    Parameters
    ----------
    model : Module
        With a `module` and a `read_out`, as in `load_weights`.
    features : int
        F.
    """
    module: Module = getattr(model, "module", None)
    read_out: Module = getattr(model, "read_out", None)
    if not isinstance(read_out, torch.nn.Linear):
        return None
    try:
        network = Network(_cell_of(module), features, module.hidden_size, read_out.out_features, rng=0)
        load_weights(network, module, read_out)
    except InvalidArgument:
        return None
    return network


def _cell_of(module: Module) -> str:
    """Return the name of the cell that a module computes; raise if memspan has none."""
    if type(module) not in MODULES:
        names = ", ".join(sorted(kind.__name__ for kind in MODULES if kind is not GRU))
        raise InvalidArgument("module", f"of a class that memspan knows (torch.nn: {names})", _described(module))
    if isinstance(module, torch.nn.RNNBase):
        for name, right in {"num_layers": 1, "bidirectional": False, "proj_size": 0}.items():
            if getattr(module, name) != right:
                rule = f"of one layer in one direction without projections ({name}={right})"
                raise InvalidArgument("module", rule, f"{name}={getattr(module, name)}")
    cell = MODULES[type(module)]
    if cell == "rnn" and module.nonlinearity != "tanh":
        return f"rnn-{module.nonlinearity}"
    return cell


def _described(module: Module) -> str:
    if not isinstance(module, torch.nn.Module):
        return shown(module)
    nonlinearity = getattr(module, "nonlinearity", None)
    return type(module).__name__ + (f" with nonlinearity={nonlinearity!r}" if nonlinearity else "")


def _linear(layer: Module) -> Linear:
    if not isinstance(layer, torch.nn.Linear):
        raise InvalidArgument("read_out", "an nn.Linear", _described(layer))
    return _array("read_out", layer.weight).T, None if layer.bias is None else _array("read_out", layer.bias)


def _array(name: str, tensor: Tensor) -> Array:
    """Return a tensor as an array of float64, which holds the numbers of every smaller dtype."""
    if not tensor.is_floating_point():
        raise InvalidArgument(name, "a module with real weights", str(tensor.dtype))
    return np.asarray(tensor.detach().cpu().double().numpy())


def _set(parameter: Tensor, values: Array) -> Tensor:
    with torch.no_grad():
        return parameter.copy_(torch.from_numpy(values.copy()))
