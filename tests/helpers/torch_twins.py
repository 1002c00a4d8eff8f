"""PyTorch's layers with the weights of memspan's own cells, as factories and as copies of a network."""

import numpy as np
import torch

from memspan.engines.parameters import split
from memspan.torch import Sequence, make_network
from memspan.torch.weights import GRU


def rnn(features, outputs, hidden=32):
    return _frozen(torch.nn.RNN(features, hidden), hidden, outputs)


def lstm(features, outputs, hidden=32):
    return _frozen(torch.nn.LSTM(features, hidden), hidden, outputs)


def gru(features, outputs, hidden=32):
    layer = GRU(features, hidden)
    torch.nn.init.zeros_(layer.bias_hh_l0)
    return Sequence(layer, hidden, outputs)


def _frozen(layer, hidden, outputs):
    """A layer whose second bias is zero and stays so."""
    torch.nn.init.zeros_(layer.bias_hh_l0).requires_grad_(False)
    return Sequence(layer, hidden, outputs)


FACTORIES = {"rnn": rnn, "lstm": lstm, "gru": gru}


def weights_in_torch(network, weights=None):
    """The weights of a network (or its gradients, with any axes in front) by the names of the twin."""
    weights = network.get_weights() if weights is None else weights
    cell, H = network.cell, network.hidden_size
    order = ("r", "z", "n") if cell.name == "gru" else cell.gates

    def arranged(columns, names):
        blocks = dict(zip(names, split(columns, H), strict=False))
        return np.concatenate([blocks[gate] for gate in order], axis=-1)

    bs = weights["bs"][..., 0]
    found = {
        "module.weight_ih_l0": np.swapaxes(arranged(weights["W"], cell.input_gates), -1, -2),
        "module.weight_hh_l0": np.swapaxes(weights["R"], -1, -2),
        "module.bias_ih_l0": arranged(bs, cell.gates),
        "read_out.weight": weights["V"].T,
        "read_out.bias": weights["by"][:, 0],
    }
    if cell.name == "gru":
        found["module.bias_hh_l0"] = np.concatenate([np.zeros_like(bs[..., : 2 * H]), bs[..., 3 * H :]], axis=-1)
    return found


def twin_of(network):
    """The network in PyTorch with the same weights."""
    sizes = network.input_size, network.output_size
    how = {"hidden": network.hidden_size, "output_steps": network.output_steps, "dtype": network.dtype}
    twin = make_network(FACTORIES[network.cell.name], *sizes, **how, rng=0)
    twin.set_weights(weights_in_torch(network))
    return twin
