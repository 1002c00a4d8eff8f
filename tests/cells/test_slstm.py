"""The sLSTM: equal to the recurrence without a stabiliser where that does not overflow, finite where it would."""

from math import exp, tanh

import numpy as np
import pytest

from memspan import Network, gradient_check
from memspan.cells.slstm import backward, forward


def sigmoid(x):
    return 1 / (1 + exp(-x))


def drawn(scale, T, rng):
    network = Network("slstm", 2, 3, 1, rng=rng)
    network.set_weights({name: scale * rng.uniform(-1, 1, w.shape) for name, w in network.get_weights().items()})
    return network, rng.uniform(-1, 1, (T, 4, 2))


def test_two_steps_by_hand(one_unit):
    (w_i, w_f, w_g, w_o), (r_i, r_f, r_g, r_o) = (1.4, -0.3, 0.8, 0.6), (-0.5, 0.7, 0.9, -0.2)
    (b_i, b_f, b_g, b_o), x0, x1 = (0.1, 0.4, -0.2, 0.3), 0.9, -0.7
    g0 = tanh(w_g * x0 + b_g)
    a0 = sigmoid(w_o * x0 + b_o) * g0
    i0, i1 = exp(w_i * x0 + b_i), exp(w_i * x1 + r_i * a0 + b_i)
    f1, g1 = exp(w_f * x1 + r_f * a0 + b_f), tanh(w_g * x1 + r_g * a0 + b_g)
    a1 = sigmoid(w_o * x1 + r_o * a0 + b_o) * (f1 * i0 * g0 + i1 * g1) / (f1 * i0 + i1)
    network = one_unit("slstm", W=[w_i, w_f, w_g, w_o], R=[r_i, r_f, r_g, r_o], bs=[b_i, b_f, b_g, b_o])
    network.forward(np.array([[x0], [x1]]))
    np.testing.assert_allclose(network.trace.a.ravel(), [a0, a1], rtol=1e-14)


@pytest.mark.parametrize("scale", [0.3, 2.0])
def test_stabiliser_changes_nothing(scale):
    """a, c exp(m) and n exp(m) are those of the plain recurrence."""
    rng = np.random.default_rng(0)
    network, x = drawn(scale, 20, rng)
    network.forward(x)
    W, R, bs = network.W, network.R, network.bs[:, 0]
    a = c = n = np.zeros((4, 3))
    for t, x_t in enumerate(x):
        s_i, s_f, s_g, s_o = np.split(x_t @ W + a @ R + bs, 4, axis=1)
        c = np.exp(s_f) * c + np.exp(s_i) * np.tanh(s_g)
        n = np.exp(s_f) * n + np.exp(s_i)
        a = c / n / (1 + np.exp(-s_o))
        weight = np.exp(network.trace.state("m")[t])
        np.testing.assert_allclose(network.trace.a[t], a, rtol=1e-11, atol=1e-13)
        np.testing.assert_allclose(network.trace.state("n")[t] * weight, n, rtol=1e-11)
        np.testing.assert_allclose(network.trace.state("c")[t] * weight, c, rtol=1e-11, atol=1e-12 * n.max())
    m = network.trace.state("m")
    assert (m[1:] > m[:-1]).any()
    assert (m[1:] < m[:-1]).any()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("s_i", [-200.0, 200.0])
@pytest.mark.parametrize("s_f", [-200.0, 0.0, 200.0])
def test_where_the_exponentials_overflow_all_stays_finite(dtype, s_i, s_f):
    rng = np.random.default_rng(0)
    network = Network("slstm", 2, 3, 1, dtype=dtype, rng=rng)
    network.bs = np.repeat([s_i, s_f, 0.0, 0.0], 3)[:, np.newaxis]
    network.forward(rng.uniform(-1, 1, (10, 4, 2)))
    gradients = network.backward(np.ones((4, 1)))
    assert np.isfinite(network.trace.states).all()
    assert (np.abs(network.trace.a) < 1).all()
    assert (network.trace.state("n") >= 1).all()
    assert all(np.isfinite(gradient).all() for gradient in gradients.values())
    assert np.abs(gradients["d_W"][:, :, 6:]).max() > 0
    assert gradient_check(network, rng.uniform(-1, 1, (10, 4, 2)))


def test_a_first_input_of_no_weight_is_still_all_there_is(one_unit):
    """At s_i = -200 and s_f = 200 the first step's average is of one value: g."""
    network = one_unit("slstm", W=[0, 0, 1, 0], bs=[-200, 200, 0, 0])
    np.testing.assert_allclose(network.forward(np.array([[0.7]])), 0.5 * tanh(0.7), rtol=1e-15)
    network.backward(np.ones(1))
    np.testing.assert_allclose(network.grads["d_bs"][0, :2], 0)


def test_the_output_does_not_depend_on_the_stabiliser():
    """A unit whose m is raised by δ, and whose c and n are as many times smaller, is the same unit."""
    rng = np.random.default_rng(0)
    s = tuple(rng.standard_normal((4, 5, 6)))
    a, c, n, m = rng.standard_normal((4, 5, 6))
    n = np.abs(n) + 1
    one, _ = forward(s, (a, c, n, m), ())
    other, _ = forward(s, (a, c * np.exp(-3), n * np.exp(-3), m + 3), ())
    np.testing.assert_allclose(other[0], one[0], rtol=1e-13)
    state, residuals = forward(s, (a, c, n, m), ())
    # Along (-c, -n, 1) no derivative: what arrives from a loss of `a` alone.
    _, (_, d_c, d_n, d_m), _ = backward((np.ones((5, 6)), 0.0, 0.0, 0.0), residuals, (a, c, n, m), state, ())
    np.testing.assert_allclose(d_m - c * d_c - n * d_n, 0, atol=1e-14)
