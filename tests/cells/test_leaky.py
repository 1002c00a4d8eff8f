"""The leaky integrator, worked out by hand, and its exponential decay."""

from math import tanh

import numpy as np
import pytest

from memspan import InvalidArgument, Network
from memspan.cells import leaky


def test_two_steps_by_hand(one_unit):
    w, r, b, x0, x1 = 0.7, -0.4, 0.1, 0.9, -0.6
    a0 = 0.25 * tanh(w * x0 + b)
    a1 = 0.75 * a0 + 0.25 * tanh(w * x1 + r * a0 + b)
    network = one_unit(leaky(0.25), W=w, R=r, bs=b)
    network.forward(np.array([[x0], [x1]]))
    np.testing.assert_allclose(network.trace.a.ravel(), [a0, a1], rtol=1e-14)


@pytest.mark.parametrize("alpha", [0.01, 0.1, 0.5])
def test_value_and_error_decay_by_one_minus_alpha(one_unit, impulse, alpha):
    network = one_unit(leaky(alpha), W=1.3)
    network.forward(impulse(0.8, 50))
    decay = (1 - alpha) ** np.arange(50)
    np.testing.assert_allclose(network.trace.a.ravel(), alpha * tanh(1.3 * 0.8) * decay, rtol=1e-13)
    np.testing.assert_allclose(network.backpropagate(np.ones(1)).d_a.ravel(), decay[::-1], rtol=1e-13)


def test_alpha_of_one_is_the_simple_recurrent_cell():
    x = np.random.default_rng(0).uniform(-1, 1, (6, 3, 2))
    slow, plain = (Network(cell, 2, 4, 1, rng=1) for cell in (leaky(1), "rnn"))
    np.testing.assert_array_equal(slow.forward(x), plain.forward(x))
    for name, gradient in plain.backward(np.ones((3, 1))).items():
        np.testing.assert_array_equal(slow.backward(np.ones((3, 1)))[name], gradient)


def test_alpha_is_a_tenth_unless_asked():
    assert leaky().constants == {"alpha": 0.1}


@pytest.mark.parametrize("alpha", [0, -0.1, 1.1, np.nan, "0.1", None])
def test_alpha_must_be_a_rate(alpha):
    with pytest.raises(InvalidArgument, match="alpha must be"):
        leaky(alpha)
