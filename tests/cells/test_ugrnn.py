"""The update gate RNN, worked out by hand, and its memory in closed form."""

from math import exp, tanh

import numpy as np


def sigmoid(x):
    return 1 / (1 + exp(-x))


def test_two_steps_by_hand(one_unit):
    (w_g, w_h), (r_g, r_h), (b_g, b_h), x0, x1 = (0.5, -0.9), (0.7, 1.1), (0.3, -0.2), 0.8, -0.4
    a0 = (1 - sigmoid(w_g * x0 + b_g)) * tanh(w_h * x0 + b_h)
    g, h = sigmoid(w_g * x1 + r_g * a0 + b_g), tanh(w_h * x1 + r_h * a0 + b_h)
    a1 = g * a0 + (1 - g) * h
    network = one_unit("ugrnn", W=[w_g, w_h], R=[r_g, r_h], bs=[b_g, b_h])
    network.forward(np.array([[x0], [x1]]))
    np.testing.assert_allclose(network.trace.a.ravel(), [a0, a1], rtol=1e-14)


def test_value_and_error_decay_by_the_gate(one_unit, impulse):
    network = one_unit("ugrnn", W=[0, 1.3], bs=[2.0, 0])
    network.forward(impulse(0.8, 50))
    g = sigmoid(2)
    np.testing.assert_allclose(network.trace.a.ravel(), (1 - g) * tanh(1.04) * g ** np.arange(50), rtol=1e-13)
    np.testing.assert_allclose(
        network.backpropagate(np.ones(1)).d_a.ravel(), g ** np.arange(49.0, -1, -1), rtol=1e-13
    )
