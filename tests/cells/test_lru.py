"""The linear recurrent unit: its impulse response is λᵗ, its start the ring of the paper."""

import cmath
from math import cos, exp, log, sin

import numpy as np
import pytest

from memspan import Network


def test_two_steps_by_hand(one_unit):
    nu, theta, gamma, (w_a, w_c), (b_a, b_c), x0, x1 = -1.2, 0.9, -0.4, (0.8, -0.5), (0.1, 0.3), 0.9, -0.7
    p, q, scale = exp(-exp(nu)) * cos(theta), exp(-exp(nu)) * sin(theta), exp(gamma)
    a0, c0 = scale * (w_a * x0 + b_a), scale * (w_c * x0 + b_c)
    a1, c1 = p * a0 - q * c0 + scale * (w_a * x1 + b_a), q * a0 + p * c0 + scale * (w_c * x1 + b_c)
    network = one_unit("lru", W=[w_a, w_c], bs=[b_a, b_c], U=[nu, theta, gamma])
    network.forward(np.array([[x0], [x1]]))
    np.testing.assert_allclose(network.trace.states[:, 1:, 0, 0], [[a0, a1], [c0, c1]], rtol=1e-14)


@pytest.mark.parametrize(("size", "angle"), [(0.5, 0.0), (0.9, 2.5), (0.999, -0.1), (0.97, 3.1)])
def test_impulse_response_is_a_power_of_lambda(one_unit, impulse, size, angle):
    network = one_unit("lru", W=[1, 0], U=[log(-log(size)), angle, log(0.3)])
    network.forward(impulse(2.0, 200))
    response = [2.0 * 0.3 * cmath.rect(size, angle) ** t for t in range(200)]
    actual = network.trace.state("a") + 1j * network.trace.state("c")
    np.testing.assert_allclose(actual.ravel(), response, rtol=1e-11)
    back = network.backpropagate(np.ones(1)).d_states[:, :, 0, 0]
    # dL/d(a + ic) of L = Re λᵏ(a + ic) is (Re λᵏ, -Im λᵏ).
    powers = np.array([cmath.rect(size, angle) ** (199 - t) for t in range(200)])
    np.testing.assert_allclose(back[0] - 1j * back[1], powers, rtol=1e-11)


def test_gradient_of_its_own_weights_in_closed_form(one_unit, impulse):
    """ŷ = exp(γ) Re λᵏ for an impulse k steps ago: dŷ/dν = -k exp(ν) ŷ, dŷ/dθ = -k exp(γ) Im λᵏ, dŷ/dγ = ŷ."""
    nu, theta, gamma, k = -3.0, 0.4, -0.7, 25
    network = one_unit("lru", W=[1, 0], U=[nu, theta, gamma])
    y_hat = network.forward(impulse(1.0, k + 1)).item()
    power = exp(gamma) * cmath.exp(k * complex(-exp(nu), theta))
    assert y_hat == pytest.approx(power.real, rel=1e-12)
    d_U = network.backward(np.ones(1))["d_U"].sum(axis=0)
    np.testing.assert_allclose(d_U[:, 0], [-k * exp(nu) * y_hat, -k * power.imag, y_hat], rtol=1e-12)


def test_it_starts_on_the_ring_at_any_angle_and_normalised():
    nu, theta, gamma = Network("lru", 1, 20_000, 1, rng=0).U
    size = np.exp(-np.exp(nu))
    assert 0.9 < size.min() < 0.9001
    assert 0.9989 < size.max() < 0.999
    assert np.mean(size**2) == pytest.approx((0.9**2 + 0.999**2) / 2, abs=1e-3)  # uniform in area
    assert np.abs(np.exp(1j * theta).mean()) < 0.02
    np.testing.assert_allclose(np.exp(gamma), np.sqrt(1 - size**2), rtol=1e-10)


def test_it_never_explodes():
    network = Network("lru", 1, 4, 1, rng=0)
    network.U = np.array([[-30.0, -5, 0, 3], [1.0, 2, 3, 4], [0.0, 0, 0, 0]])
    network.forward(np.concatenate([np.ones((1, 1)), np.zeros((500, 1))]))
    size = np.hypot(*network.trace.states[:, 1:, 0])
    assert (size[1:] <= size[:-1] * (1 + 1e-15)).all()
