"""The GRU of the libraries, worked out by hand: the reset scales the product and u's bias."""

from math import exp, tanh

import numpy as np

from memspan import Network


def sigmoid(x):
    return 1 / (1 + exp(-x))


def test_two_steps_by_hand(one_unit):
    (w_n, w_r, w_z), (r_r, r_z, r_u) = (0.8, -0.6, 0.5), (0.7, -0.3, 1.1)
    (b_n, b_r, b_z, b_u), x0, x1 = (0.2, -0.1, 0.4, -0.7), 0.9, -0.7
    r0, z0 = sigmoid(w_r * x0 + b_r), sigmoid(w_z * x0 + b_z)
    a0 = (1 - z0) * tanh(w_n * x0 + b_n + r0 * b_u)
    r1, z1 = sigmoid(w_r * x1 + r_r * a0 + b_r), sigmoid(w_z * x1 + r_z * a0 + b_z)
    a1 = (1 - z1) * tanh(w_n * x1 + b_n + r1 * (r_u * a0 + b_u)) + z1 * a0
    network = one_unit("gru", W=[w_n, w_r, w_z], R=[r_r, r_z, r_u], bs=[b_n, b_r, b_z, b_u])
    network.forward(np.array([[x0], [x1]]))
    np.testing.assert_allclose(network.trace.a.ravel(), [a0, a1], rtol=1e-14)


def test_with_one_unit_and_no_bias_of_u_the_place_of_the_reset_does_not_matter():
    """r scales either a or r_u a: with one unit these are the same."""
    after, before = Network("gru", 2, 1, 1, rng=0), Network("gru-before", 2, 1, 1, rng=0)
    before.W, before.R, before.V = after.W[:, [1, 2, 0]], 3 * after.R, after.V
    after.R = 3 * after.R
    x = np.random.default_rng(0).uniform(-1, 1, (9, 4, 2))
    np.testing.assert_allclose(before.forward(x), after.forward(x), rtol=1e-14)
    np.testing.assert_allclose(before.backward(np.ones((4, 1)))["d_R"], after.backward(np.ones((4, 1)))["d_R"])
    bigger = [Network(cell, 2, 2, 1, init="identity", rng=0) for cell in ("gru", "gru-before")]
    bigger[0].R = bigger[1].R = np.linspace(-1, 1, 12).reshape(2, 6)
    bigger[0].W, bigger[0].V = bigger[1].W[:, [4, 5, 0, 1, 2, 3]], bigger[1].V
    assert np.abs(bigger[0].forward(x) - bigger[1].forward(x)).max() > 1e-6  # rounding is 1e-16
