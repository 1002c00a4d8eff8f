"""The LSTM of 1997, worked out by hand, and its constant error carousel."""

from math import exp

import numpy as np

from memspan import Network, lstm


def sigmoid(x):
    return 1 / (1 + exp(-x))


def test_two_steps_by_hand(one_unit):
    (w_i, w_g, w_o), (r_i, r_g, r_o), (b_i, b_g, b_o) = (0.4, 0.8, 0.6), (-0.5, 0.9, -0.2), (0.1, -0.2, 0.3)
    x0, x1 = 0.9, -0.7
    c0 = sigmoid(w_i * x0 + b_i) * (4 * sigmoid(w_g * x0 + b_g) - 2)
    a0 = sigmoid(w_o * x0 + b_o) * (2 * sigmoid(c0) - 1)
    c1 = c0 + sigmoid(w_i * x1 + r_i * a0 + b_i) * (4 * sigmoid(w_g * x1 + r_g * a0 + b_g) - 2)
    a1 = sigmoid(w_o * x1 + r_o * a0 + b_o) * (2 * sigmoid(c1) - 1)
    network = one_unit("lstm-1997", W=[w_i, w_g, w_o], R=[r_i, r_g, r_o], bs=[b_i, b_g, b_o])
    network.forward(np.array([[x0], [x1]]))
    np.testing.assert_allclose(network.trace.states[:, 1:, 0, 0], [[a0, a1], [c0, c1]], rtol=1e-14)


def test_error_along_c_neither_fades_nor_grows():
    network = Network("lstm-1997", 2, 3, 1, init="glorot", rng=0)
    network.R = np.zeros((3, 9))
    network.V = np.ones((3, 1))
    network.forward(np.random.default_rng(0).uniform(-1, 1, (200, 1, 2)))
    gradients, trace = network.backpropagate(np.ones((1, 1))), network.trace
    end = trace.gate("o")[-1] * (1 - np.tanh(trace.state("c")[-1] / 2) ** 2) / 2
    np.testing.assert_array_equal(gradients.d_states[1, :-1], np.broadcast_to(end, (199, 1, 3)))


def test_it_is_the_lstm_whose_forget_gate_stays_open():
    """And half of whose c is there: with c/2 for c, g is tanh of half its argument."""
    x = np.random.default_rng(0).uniform(-1, 1, (9, 4, 2))
    first, later = Network("lstm-1997", 2, 3, 2, rng=1), Network(lstm(1e4), 2, 3, 2, rng=1)
    kept = [*range(3), *range(6, 12)]
    twice = np.repeat([1, 2, 1], 3)
    first.W, first.R, first.V = later.W[:, kept] * twice, later.R[:, kept] * twice, later.V
    np.testing.assert_allclose(first.forward(x), later.forward(x), rtol=1e-14)
    d = np.ones((4, 2))
    np.testing.assert_allclose(first.backward(d)["d_R"], later.backward(d)["d_R"][:, :, kept] / twice, atol=1e-17)
