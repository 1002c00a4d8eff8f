"""The GRU as published, worked out by hand with two units: R reads what the reset has scaled."""

import math
from math import exp

import numpy as np

from memspan import Network


def sigmoid(x):
    return 1 / (1 + exp(-x))


def test_two_steps_of_two_units_by_hand():
    rng = np.random.default_rng(0)
    network = Network("gru-before", 1, 2, 1, rng=rng)
    network.set_weights({name: rng.uniform(-1.5, 1.5, w.shape) for name, w in network.get_weights().items()})
    x = [0.9, -0.7]
    W, R, b = network.W[0].tolist(), network.R.tolist(), network.bs[:, 0].tolist()
    before, expected = [0.0, 0.0], []
    for x_t in x:
        r = [sigmoid(W[k] * x_t + R[0][k] * before[0] + R[1][k] * before[1] + b[k]) for k in (0, 1)]
        z = [sigmoid(W[k] * x_t + R[0][k] * before[0] + R[1][k] * before[1] + b[k]) for k in (2, 3)]
        q = [r[0] * before[0], r[1] * before[1]]
        n = [math.tanh(W[k] * x_t + R[0][k] * q[0] + R[1][k] * q[1] + b[k]) for k in (4, 5)]
        before = [z[k] * before[k] + (1 - z[k]) * n[k] for k in (0, 1)]
        expected.append(before)
    network.forward(np.array(x)[:, np.newaxis])
    np.testing.assert_allclose(network.trace.a[:, 0], expected, rtol=1e-13)


def test_gradient_of_the_second_step_by_hand(one_unit):
    """One unit whose z is half open, whatever comes."""
    r_r, r_n, w_r, w_n, x0, x1 = 0.7, 1.1, 0.5, -0.9, 0.8, -0.4
    a0 = 0.5 * math.tanh(w_n * x0)
    r = sigmoid(w_r * x1 + r_r * a0)
    n = math.tanh(w_n * x1 + r_n * r * a0)
    s_n = 0.5 * (1 - n**2)
    s_r = s_n * r_n * a0 * r * (1 - r)
    s_z = (a0 - n) * 0.25
    network = one_unit("gru-before", W=[w_r, 0, w_n], R=[r_r, 0, r_n])
    network.forward(np.array([[x0], [x1]]))
    gradients = network.backward(np.ones(1))
    np.testing.assert_allclose(gradients["d_bs"][1, :, 0], [s_r, s_z, s_n], rtol=1e-13)
    np.testing.assert_allclose(gradients["d_R"][1, 0], [s_r * a0, s_z * a0, s_n * r * a0], rtol=1e-13)
    d_a0 = 0.5 + s_n * r_n * r + s_r * r_r
    np.testing.assert_allclose(network.grads.d_a.ravel(), [d_a0, 1], rtol=1e-13)
