"""The engine against PyTorch's own cells: a second implementation that shares no line with this one."""

import copy

import numpy as np
import pytest

from memspan import Network
from memspan.engines.parameters import split

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

F, H, O, B = 3, 6, 2, 4
LENGTHS = [1, 2, 17, 200]
LAYERS = {
    "rnn": lambda kind: getattr(torch.nn, kind)(F, H, nonlinearity="tanh", dtype=torch.float64),
    "rnn-relu": lambda kind: getattr(torch.nn, kind)(F, H, nonlinearity="relu", dtype=torch.float64),
    "lstm": lambda kind: getattr(torch.nn, kind.replace("RNN", "LSTM"))(F, H, dtype=torch.float64),
    "gru": lambda kind: getattr(torch.nn, kind.replace("RNN", "GRU"))(F, H, dtype=torch.float64),
}
INPUT = {"gru": ("r", "z", "n")}
RECURRENT = {"gru": ("r", "z", "u")}
"""The gates that PyTorch's two halves feed, in its order, where that is not memspan's."""

every_layer = pytest.mark.parametrize("cell", LAYERS)
every_length = pytest.mark.parametrize("T", LENGTHS)


def assert_close(actual, expected):
    """Equal within 1e-10 of the size of the whole array."""
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.shape == expected.shape
    assert np.linalg.norm(actual - expected) <= 1e-10 * np.linalg.norm(expected)


def problem(cell, T):
    """A network whose gradient reaches the first of T steps, a batch for it, and dL/dŷ."""
    rng = np.random.default_rng(T)
    network = Network(cell, F, H, O, init="orthogonal", rng=rng)
    network.bs += rng.uniform(-0.1, 0.1, network.bs.shape)
    network.by = rng.standard_normal((O, 1))
    return network, rng.uniform(-1, 1, (T, B, F)), rng.standard_normal((B, O))


def as_in_torch(cell, W, R, bs):
    """PyTorch's four tensors from memspan's three (any axes in front): transposed, and the bias twice."""
    gates_in, gates_back = INPUT.get(cell.name, cell.gates), RECURRENT.get(cell.name, cell.gates)

    def ordered(columns, names, order):
        blocks = dict(zip(names, split(columns, H), strict=True))
        return np.concatenate([blocks[gate] for gate in order], axis=-1)

    bs = bs[..., 0]
    return {
        "weight_ih": np.swapaxes(ordered(W, cell.input_gates, gates_in), -1, -2),
        "weight_hh": np.swapaxes(ordered(R, cell.recurrent_gates, gates_back), -1, -2),
        "bias_ih": ordered(bs, cell.gates, gates_in),
        "bias_hh": ordered(bs, cell.gates, gates_back),
    }


def layer_with_weights_of(network, kind):
    """Where PyTorch adds two biases, ours is their sum."""
    layer = LAYERS[network.cell.name](kind)
    suffix = "" if kind == "RNNCell" else "_l0"
    tensors = as_in_torch(network.cell, network.W, network.R, network.bs)
    alone = (
        network.cell.gates != network.cell.input_gates
    )  # then the last gate has b_hh alone, and the one before b_ih
    shared = slice(0, 2 * H if alone else None)
    part = np.random.default_rng(0).uniform(-1, 1, tensors["bias_hh"][shared].shape)
    tensors["bias_hh"][shared] = part
    tensors["bias_ih"][shared] -= part
    with torch.no_grad():
        for name, values in tensors.items():
            getattr(layer, name + suffix).copy_(torch.from_numpy(values.copy()))
    return layer


def assert_gradients(network, grads, layer, suffix=""):
    for name, gradient in as_in_torch(network.cell, *grads).items():
        assert_close(gradient, getattr(layer, name + suffix).grad)


def read_out(network, a):
    V, by = (torch.from_numpy(weight.copy()).requires_grad_() for weight in (network.V, network.by))
    return a @ V + by.T, V, by


@every_layer
@every_length
def test_layer(cell, T):
    """torch.nn.RNN, LSTM and GRU: every output state, and each weight's gradient summed over time."""
    network, x, d = problem(cell, T)
    layer = layer_with_weights_of(network, "RNN")
    a, _ = layer(torch.from_numpy(x))
    y_hat, V, by = read_out(network, a[-1])
    y_hat.backward(torch.from_numpy(d))

    assert_close(network.forward(x), y_hat.detach())
    grads = network.backward(d)
    assert_close(network.trace.a, a.detach())
    sums = (grads[name].sum(axis=0) for name in ("d_W", "d_R", "d_bs"))
    assert_gradients(network, sums, layer, "_l0")
    assert_close(grads["d_V"], V.grad)
    assert_close(grads["d_by"], by.grad)


@every_layer
@every_length
def test_every_step(cell, T):
    """A copy of torch.nn.RNNCell, LSTMCell or GRUCell for each step keeps that step's gradient apart."""
    network, x, d = problem(cell, T)
    shared = layer_with_weights_of(network, "RNNCell")
    cells = [copy.deepcopy(shared) for _ in range(T)]
    state, states = None, []
    for step, x_t in zip(cells, torch.from_numpy(x), strict=True):
        state = step(x_t, state)
        states.append(state if isinstance(state, tuple) else (state,))
        for tensor in states[-1]:
            tensor.retain_grad()
    y_hat, _, _ = read_out(network, states[-1][0])
    y_hat.backward(torch.from_numpy(d))

    network.forward(x)
    grads = network.backward(d)
    d_a = network.grads.d_a
    for t, step in enumerate(cells):
        assert_close(d_a[t], states[t][0].grad)
        assert_gradients(network, (grads[name][t] for name in ("d_W", "d_R", "d_bs")), step)
    assert np.linalg.norm(d_a[0]) > 1e-100
    if cell == "lstm":
        c, o = network.trace.state("c"), network.trace.gate("o")
        whole = network.grads.d_states[1] + d_a * o * (1 - np.tanh(c) ** 2)
        assert_close(c, [c_t.detach() for _, c_t in states])
        for t in range(T):
            assert_close(whole[t], states[t][1].grad)
