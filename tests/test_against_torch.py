"""The engine against PyTorch's own cells: a second implementation that shares no line with this one."""

import copy

import numpy as np
import pytest

from memspan import Network

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

F, H, O, B = 3, 6, 2, 4
LENGTHS = [1, 2, 17, 200]
LAYERS = {
    "rnn": lambda kind: getattr(torch.nn, kind)(F, H, nonlinearity="tanh", dtype=torch.float64),
    "rnn-relu": lambda kind: getattr(torch.nn, kind)(F, H, nonlinearity="relu", dtype=torch.float64),
    "lstm": lambda kind: getattr(torch.nn, kind.replace("RNN", "LSTM"))(F, H, dtype=torch.float64),
}
NAMES = {"weight_ih": "W", "weight_hh": "R", "bias_ih": "bs"}

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


def layer_with_weights_of(network, kind):
    """PyTorch keeps a matrix transposed and the bias twice; the second is 0 here."""
    layer = LAYERS[network.cell.name](kind)
    suffix = "" if kind == "RNNCell" else "_l0"
    with torch.no_grad():
        for name, ours in NAMES.items():
            weight = torch.from_numpy(getattr(network, ours).copy())
            getattr(layer, name + suffix).copy_(weight[:, 0] if ours == "bs" else weight.T)
        getattr(layer, "bias_hh" + suffix).zero_()
    return layer


def read_out(network, a):
    V, by = (torch.from_numpy(weight.copy()).requires_grad_() for weight in (network.V, network.by))
    return a @ V + by.T, V, by


@every_layer
@every_length
def test_layer(cell, T):
    """torch.nn.RNN and LSTM: every output state, and each weight's gradient summed over time."""
    network, x, d = problem(cell, T)
    layer = layer_with_weights_of(network, "RNN")
    a, _ = layer(torch.from_numpy(x))
    y_hat, V, by = read_out(network, a[-1])
    y_hat.backward(torch.from_numpy(d))

    assert_close(network.forward(x), y_hat.detach())
    grads = network.backward(d)
    assert_close(network.trace.a, a.detach())
    assert_close(grads["d_W"].sum(axis=0), layer.weight_ih_l0.grad.T)
    assert_close(grads["d_R"].sum(axis=0), layer.weight_hh_l0.grad.T)
    assert_close(grads["d_bs"].sum(axis=0)[:, 0], layer.bias_ih_l0.grad)
    assert_close(grads["d_V"], V.grad)
    assert_close(grads["d_by"], by.grad)


@every_layer
@every_length
def test_every_step(cell, T):
    """A copy of torch.nn.RNNCell or LSTMCell for each step keeps that step's gradient apart."""
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
    d_a = network.gradients.d_a
    for t, step in enumerate(cells):
        assert_close(d_a[t], states[t][0].grad)
        assert_close(grads["d_W"][t], step.weight_ih.grad.T)
        assert_close(grads["d_R"][t], step.weight_hh.grad.T)
        assert_close(grads["d_bs"][t, :, 0], step.bias_ih.grad)
    assert np.linalg.norm(d_a[0]) > 1e-100
    if cell == "lstm":
        c, o = network.trace.state("c"), network.trace.gate("o")
        whole = network.gradients.d_states[1] + d_a * o * (1 - np.tanh(c) ** 2)
        assert_close(c, [c_t.detach() for _, c_t in states])
        for t in range(T):
            assert_close(whole[t], states[t][1].grad)
