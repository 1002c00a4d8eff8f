"""The minimal gated unit, worked out by hand with two units."""

import math
from math import exp

import numpy as np

from memspan import Network


def sigmoid(x):
    return 1 / (1 + exp(-x))


def test_two_steps_of_two_units_by_hand():
    rng = np.random.default_rng(0)
    network = Network("mgu", 1, 2, 1, rng=rng)
    network.set_weights({name: rng.uniform(-1.5, 1.5, w.shape) for name, w in network.get_weights().items()})
    x = [0.9, -0.7]
    W, R, b = network.W[0].tolist(), network.R.tolist(), network.bs[:, 0].tolist()
    before, expected = [0.0, 0.0], []
    for x_t in x:
        f = [sigmoid(W[k] * x_t + R[0][k] * before[0] + R[1][k] * before[1] + b[k]) for k in (0, 1)]
        q = [f[0] * before[0], f[1] * before[1]]
        h = [math.tanh(W[k] * x_t + R[0][k] * q[0] + R[1][k] * q[1] + b[k]) for k in (2, 3)]
        before = [(1 - f[k]) * before[k] + f[k] * h[k] for k in (0, 1)]
        expected.append(before)
    network.forward(np.array(x)[:, np.newaxis])
    np.testing.assert_allclose(network.trace.a[:, 0], expected, rtol=1e-13)


def test_gradient_of_the_second_step_by_hand(one_unit):
    w_f, w_h, r_f, r_h, x0, x1 = 0.5, -0.9, 0.7, 1.1, 0.8, -0.4
    a0 = sigmoid(w_f * x0) * math.tanh(w_h * x0)
    f = sigmoid(w_f * x1 + r_f * a0)
    h = math.tanh(w_h * x1 + r_h * f * a0)
    s_h = f * (1 - h**2)
    s_f = (h - a0 + s_h * r_h * a0) * f * (1 - f)
    network = one_unit("mgu", W=[w_f, w_h], R=[r_f, r_h])
    network.forward(np.array([[x0], [x1]]))
    gradients = network.backward(np.ones(1))
    np.testing.assert_allclose(gradients["d_bs"][1, :, 0], [s_f, s_h], rtol=1e-13)
    np.testing.assert_allclose(gradients["d_R"][1, 0], [s_f * a0, s_h * f * a0], rtol=1e-13)
    np.testing.assert_allclose(network.grads.d_a[0], 1 - f + s_h * r_h * f + s_f * r_f, rtol=1e-13)
