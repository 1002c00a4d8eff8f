"""The coupled oscillatory RNN, worked out by hand; without input it is a damped oscillator."""

from math import tanh

import numpy as np
import pytest

from memspan import InvalidArgument
from memspan.cells import cornn

DT, GAMMA, EPSILON = 0.1, 2.0, 0.5


def test_two_steps_by_hand(one_unit):
    w, r_a, r_z, b, x0, x1 = 0.8, -0.6, 0.9, 0.2, 0.7, -0.4
    z0 = DT * tanh(w * x0 + b)
    a0 = DT * z0
    z1 = z0 + DT * (tanh(w * x1 + r_a * a0 + r_z * z0 + b) - GAMMA * a0 - EPSILON * z0)
    a1 = a0 + DT * z1
    network = one_unit(cornn(DT, GAMMA, EPSILON), W=w, R=[r_a, r_z], bs=b)
    network.forward(np.array([[x0], [x1]]))
    gradients = network.backward(np.ones(1))
    np.testing.assert_allclose(network.trace.states[:, 1:, 0, 0], [[a0, a1], [z0, z1]], rtol=1e-14)
    s1 = DT**2 * (1 - tanh(w * x1 + r_a * a0 + r_z * z0 + b) ** 2)
    np.testing.assert_allclose(gradients["d_R"][1, :, 0], [a0 * s1, z0 * s1], rtol=1e-13)
    np.testing.assert_allclose(network.grads.d_a[0], 1 - DT**2 * GAMMA + r_a * s1, rtol=1e-13)


def test_after_an_impulse_it_is_the_power_of_a_matrix(one_unit, impulse):
    """(a, z)[t] = M (a, z)[t-1], and the error goes back by Mᵀ."""
    network = one_unit(cornn(DT, GAMMA, EPSILON), W=1.0)
    network.forward(impulse(0.5, 80))
    z = np.array([-DT * GAMMA, 1 - DT * EPSILON])
    M = np.array([[1, 0] + DT * z, z])
    begin = DT * tanh(0.5) * np.array([DT, 1])
    expected = np.array([np.linalg.matrix_power(M, t) @ begin for t in range(80)])
    np.testing.assert_allclose(network.trace.states[:, 1:, 0, 0].T, expected, atol=1e-15)
    back = network.backpropagate(np.ones(1)).d_states[:, :, 0, 0].T
    expected = [np.linalg.matrix_power(M.T, 79 - t) @ [1, 0] for t in range(80)]
    np.testing.assert_allclose(back, expected, atol=1e-14)
    assert (np.diff(np.sign(network.trace.a.ravel())) != 0).sum() >= 3  # it swings through 0, period 2π/√γ


@pytest.mark.parametrize("name", ["dt", "gamma", "epsilon"])
@pytest.mark.parametrize("value", [0, -1, np.inf, "1"])
def test_constants_must_be_positive_numbers(name, value):
    with pytest.raises(InvalidArgument, match=f"{name} must be"):
        cornn(**{name: value})
