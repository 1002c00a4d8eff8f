"""The peephole LSTM, worked out by hand: which gate sees which c."""

from math import exp, tanh

import numpy as np

from memspan import Network


def sigmoid(x):
    return 1 / (1 + exp(-x))


def test_two_steps_and_their_gradient_by_hand(one_unit):
    (w_i, w_f, w_g, w_o), (r_i, r_f, r_g, r_o) = (0.4, -0.3, 0.8, 0.6), (-0.5, 0.7, 0.9, -0.2)
    (b_i, b_f, b_g, b_o), (p_i, p_f, p_o), x0, x1 = (0.1, 1.0, -0.2, 0.3), (0.5, -0.9, 1.3), 0.9, -0.7
    i0, g0 = sigmoid(w_i * x0 + b_i), tanh(w_g * x0 + b_g)
    c0 = i0 * g0
    o0 = sigmoid(w_o * x0 + b_o + p_o * c0)
    a0 = o0 * tanh(c0)
    i1 = sigmoid(w_i * x1 + r_i * a0 + b_i + p_i * c0)
    f1 = sigmoid(w_f * x1 + r_f * a0 + b_f + p_f * c0)
    g1 = tanh(w_g * x1 + r_g * a0 + b_g)
    c1 = f1 * c0 + i1 * g1
    o1 = sigmoid(w_o * x1 + r_o * a0 + b_o + p_o * c1)
    a1 = o1 * tanh(c1)

    s_o1 = tanh(c1) * o1 * (1 - o1)
    d_c1 = o1 * (1 - tanh(c1) ** 2) + s_o1 * p_o
    s_i1, s_f1, s_g1 = d_c1 * g1 * i1 * (1 - i1), d_c1 * c0 * f1 * (1 - f1), d_c1 * i1 * (1 - g1**2)
    d_a0 = r_i * s_i1 + r_f * s_f1 + r_g * s_g1 + r_o * s_o1
    s_o0 = d_a0 * tanh(c0) * o0 * (1 - o0)

    bs, U = [b_i, b_f, b_g, b_o], [p_i, p_f, p_o]
    network = one_unit("lstm-peephole", W=[w_i, w_f, w_g, w_o], R=[r_i, r_f, r_g, r_o], bs=bs, U=U)
    network.forward(np.array([[x0], [x1]]))
    gradients = network.backward(np.ones(1))
    np.testing.assert_allclose(network.trace.states[:, 1:, 0, 0], [[a0, a1], [c0, c1]], rtol=1e-14)
    np.testing.assert_allclose(gradients["d_bs"][1, :, 0], [s_i1, s_f1, s_g1, s_o1], rtol=1e-13)
    expected = [[0, 0, s_o0 * c0], [s_i1 * c0, s_f1 * c0, s_o1 * c1]]
    np.testing.assert_allclose(gradients["d_U"][:, :, 0], expected, rtol=1e-13)


def test_without_peepholes_it_is_the_lstm():
    x = np.random.default_rng(0).uniform(-1, 1, (9, 4, 2))
    peephole, plain = (Network(cell, 2, 3, 2, rng=1) for cell in ("lstm-peephole", "lstm"))
    assert 0.1 < np.abs(peephole.U).max() < 0.2
    np.testing.assert_array_equal(peephole.parameters[: plain.layout.size], plain.parameters)
    assert np.abs(peephole.forward(x) - plain.forward(x)).max() > 1e-6
    peephole.U = np.zeros((3, 3))
    np.testing.assert_array_equal(peephole.forward(x), plain.forward(x))
