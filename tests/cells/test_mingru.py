"""The minimal GRU, worked out by hand; it is a weighted sum of its past."""

from math import exp

import numpy as np

from memspan import Network


def sigmoid(x):
    return 1 / (1 + exp(-x))


def test_two_steps_by_hand(one_unit):
    (w_z, w_h), (b_z, b_h), x0, x1 = (0.5, -0.9), (0.3, -0.2), 0.8, -0.4
    a0 = sigmoid(w_z * x0 + b_z) * (w_h * x0 + b_h)
    z = sigmoid(w_z * x1 + b_z)
    a1 = (1 - z) * a0 + z * (w_h * x1 + b_h)
    network = one_unit("mingru", W=[w_z, w_h], bs=[b_z, b_h])
    network.forward(np.array([[x0], [x1]]))
    np.testing.assert_allclose(network.trace.a.ravel(), [a0, a1], rtol=1e-14)


def test_impulse_response_is_a_power_of_one_minus_z(one_unit, impulse):
    network = one_unit("mingru", W=[0, 2.0], bs=[-3.0, 0])
    network.forward(impulse(0.7, 100))
    z = sigmoid(-3)
    np.testing.assert_allclose(network.trace.a.ravel(), 1.4 * z * (1 - z) ** np.arange(100), rtol=1e-13)


def test_it_is_a_weighted_sum_of_its_candidates_and_the_error_the_weight():
    rng = np.random.default_rng(0)
    network = Network("mingru", 2, 3, 1, init="glorot", gain=2.0, rng=rng)
    network.V = np.ones((3, 1))
    assert "R" not in network.get_weights()
    network.forward(rng.uniform(-1, 1, (40, 2, 2)))
    trace, d_a = network.trace, network.backpropagate(np.ones((2, 1))).d_a
    z, h = trace.gate("z"), trace.gate("h")
    later = np.array([(1 - z[t + 1 :]).prod(axis=0) for t in range(40)])
    np.testing.assert_allclose(d_a, later, rtol=1e-12)
    np.testing.assert_allclose(trace.a[-1], (later * z * h).sum(axis=0), rtol=1e-12, atol=1e-15)
