"""PyTorch's layers with the weights of memspan's own cells, as factories and as copies of a network."""

import numpy as np
import torch

from memspan.engines.parameters import split
from memspan.torch import Sequence, make_network


class OneBias(torch.nn.Module):
    """nn.GRU with one bias for each gate, as memspan has it: of the second vector only b_hn is trained."""

    def __init__(self, features, hidden):
        super().__init__()
        self.layer = torch.nn.GRU(features, hidden)
        self.layer.bias_hh_l0.requires_grad_(False)
        self.b_hn = torch.nn.Parameter(torch.zeros(hidden))
        self.batch_first = False

    def forward(self, x, state=None):
        bias = torch.cat([self.b_hn.new_zeros(2 * len(self.b_hn)), self.b_hn])
        return torch.func.functional_call(self.layer, {"bias_hh_l0": bias}, (x, state))


def rnn(features, outputs, hidden=32):
    return _frozen(torch.nn.RNN(features, hidden), hidden, outputs)


def lstm(features, outputs, hidden=32):
    return _frozen(torch.nn.LSTM(features, hidden), hidden, outputs)


def gru(features, outputs, hidden=32):
    return Sequence(OneBias(features, hidden), hidden, outputs, state_axis=1, read=lambda h: h[:, -1])


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
    layer = "module.layer" if cell.name == "gru" else "module"
    found = {
        f"{layer}.weight_ih_l0": np.swapaxes(arranged(weights["W"], cell.input_gates), -1, -2),
        f"{layer}.weight_hh_l0": np.swapaxes(weights["R"], -1, -2),
        f"{layer}.bias_ih_l0": arranged(bs, cell.gates),
        "read_out.weight": weights["V"].T,
        "read_out.bias": weights["by"][:, 0],
    }
    return found | ({"module.b_hn": bs[..., 3 * H :]} if cell.name == "gru" else {})


def twin_of(network):
    """The network in PyTorch with the same weights."""
    sizes = network.input_size, network.output_size
    how = {"hidden": network.hidden_size, "output_steps": network.output_steps, "dtype": network.dtype}
    twin = make_network(FACTORIES[network.cell.name], *sizes, **how, rng=0)
    twin.set_weights(weights_in_torch(network))
    return twin
