"""The LSTM, worked out by hand over two steps, and its memory in closed form."""

from math import exp, tanh

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memspan import InvalidArgument, Network, lstm


def sigmoid(x):
    return 1 / (1 + exp(-x))


def test_two_steps_of_one_unit_by_hand():
    w_i, w_f, w_g, w_o = 0.4, -0.3, 0.8, 0.6
    r_i, r_f, r_g, r_o = -0.5, 0.7, 0.9, -0.2
    b_i, b_f, b_g, b_o = 0.1, 1.0, -0.2, 0.3
    v, c_y = 1.4, 0.25
    x0, x1, d = 0.9, -0.7, 1.6

    i0, g0, o0 = sigmoid(w_i * x0 + b_i), tanh(w_g * x0 + b_g), sigmoid(w_o * x0 + b_o)
    f0 = sigmoid(w_f * x0 + b_f)
    c0 = i0 * g0
    a0 = o0 * tanh(c0)
    i1, f1 = sigmoid(w_i * x1 + r_i * a0 + b_i), sigmoid(w_f * x1 + r_f * a0 + b_f)
    g1, o1 = tanh(w_g * x1 + r_g * a0 + b_g), sigmoid(w_o * x1 + r_o * a0 + b_o)
    c1 = f1 * c0 + i1 * g1
    a1 = o1 * tanh(c1)

    d_a1 = v * d
    d_c1 = d_a1 * o1 * (1 - tanh(c1) ** 2)
    s_i1, s_f1 = d_c1 * g1 * i1 * (1 - i1), d_c1 * c0 * f1 * (1 - f1)
    s_g1, s_o1 = d_c1 * i1 * (1 - g1**2), d_a1 * tanh(c1) * o1 * (1 - o1)
    d_a0 = r_i * s_i1 + r_f * s_f1 + r_g * s_g1 + r_o * s_o1
    d_c0 = d_c1 * f1 + d_a0 * o0 * (1 - tanh(c0) ** 2)
    s_i0, s_f0 = d_c0 * g0 * i0 * (1 - i0), 0
    s_g0, s_o0 = d_c0 * i0 * (1 - g0**2), d_a0 * tanh(c0) * o0 * (1 - o0)

    network = Network("lstm", 1, 1, 1)
    network.W = np.array([[w_i, w_f, w_g, w_o]])
    network.R = np.array([[r_i, r_f, r_g, r_o]])
    network.bs = np.array([[b_i], [b_f], [b_g], [b_o]])
    network.V = np.array([[v]])
    network.by = np.array([[c_y]])
    y_hat = network.forward(np.array([[x0], [x1]]))
    grads = network.backward(np.array([[d]]))
    trace, gradients = network.trace, network.grads

    def expect(actual, expected):
        np.testing.assert_allclose(np.ravel(actual), np.ravel(expected), rtol=1e-13)

    expect(y_hat, v * a1 + c_y)
    expect(trace.residuals, [[i0, i1], [f0, f1], [g0, g1], [o0, o1]])
    expect([trace.gate(name) for name in "ifgo"], [[i0, i1], [f0, f1], [g0, g1], [o0, o1]])
    expect([trace.state("a"), trace.state("c")], [[a0, a1], [c0, c1]])
    # What the next step returns: the way from c[t] through a[t] of the same step is a part of dL/da[t].
    expect(gradients.d_states, [[d_a0, d_a1], [d_c1 * f1, 0]])
    expect(gradients.d_s, [[s_i0, s_f0, s_g0, s_o0], [s_i1, s_f1, s_g1, s_o1]])
    expect(grads["d_bs"], [[s_i0, s_f0, s_g0, s_o0], [s_i1, s_f1, s_g1, s_o1]])
    expect(grads["d_W"], [[x0 * s_i0, 0, x0 * s_g0, x0 * s_o0], [x1 * s_i1, x1 * s_f1, x1 * s_g1, x1 * s_o1]])
    expect(grads["d_R"], [[0, 0, 0, 0], [a0 * s_i1, a0 * s_f1, a0 * s_g1, a0 * s_o1]])
    expect(grads["d_V"], a1 * d)
    expect(grads["d_by"], d)


def uncoupled(T, forget_bias, rng):
    """An LSTM whose R is 0, so that c is the only way through time; its error starts at 1 in each unit."""
    network = Network(lstm(forget_bias), 2, 3, 1, init="glorot", gain=2.0, rng=rng)
    network.R = np.zeros((3, 12))
    network.V = np.ones((3, 1))
    network.forward(rng.uniform(-1, 1, (T, 1, 2)))
    gradients, trace = network.backpropagate(np.ones((1, 1))), network.trace
    end = trace.gate("o")[-1, 0] * (1 - np.tanh(trace.state("c")[-1, 0]) ** 2)
    return trace, gradients, end


@pytest.mark.parametrize("T", [2, 10, 200])
def test_error_along_c_is_the_product_of_the_forget_gates(T):
    trace, gradients, end = uncoupled(T, 0.5, np.random.default_rng(1))
    f = trace.gate("f")[:, 0]
    assert np.ptp(f[:, 0]) > 0.01  # the gate does move with the input
    for t in range(T - 1):
        expected = f[t + 1 :].prod(axis=0) * end
        np.testing.assert_allclose(gradients.d_states[1, t, 0], expected, rtol=1e-12)
    np.testing.assert_array_equal(gradients.d_a[:-1], 0)
    np.testing.assert_array_equal(gradients.d_a[-1], 1)


def test_a_forget_gate_at_exactly_one_neither_forgets_nor_fades():
    T = 200
    trace, gradients, end = uncoupled(T, 1e4, np.random.default_rng(2))
    np.testing.assert_array_equal(trace.gate("f"), 1)
    increments = trace.gate("i") * trace.gate("g")
    np.testing.assert_allclose(trace.state("c"), np.cumsum(increments, axis=0), rtol=1e-12, atol=1e-13)
    np.testing.assert_array_equal(gradients.d_states[1, :-1, 0], np.broadcast_to(end, (T - 1, 3)))


def test_a_forget_gate_at_exactly_zero_remembers_one_step():
    trace, gradients, _ = uncoupled(5, -1e4, np.random.default_rng(3))
    np.testing.assert_array_equal(trace.state("c"), trace.gate("i") * trace.gate("g"))
    np.testing.assert_array_equal(gradients.d_s[:-1], 0)


@given(
    scale=st.sampled_from([0.1, 1.0, 30.0]), dtype=st.sampled_from(["float32", "float64"]), seed=st.integers(0, 99)
)
def test_gates_keep_to_their_ranges_and_make_the_states(scale, dtype, seed):
    rng = np.random.default_rng(seed)
    network = Network("lstm", 2, 3, 1, gain=scale, dtype=dtype, rng=rng)
    network.forward(scale * rng.standard_normal((6, 4, 2)))
    i, f, g, o = (network.trace.gate(name) for name in ("i", "f", "g", "o"))
    a, c = network.trace.state("a"), network.trace.state("c")
    for gate in (i, f, o):
        assert ((gate >= 0) & (gate <= 1)).all()
    assert (np.abs(g) <= 1).all()
    assert (g < 0).any()  # so that g cannot be one of the other three
    before = np.concatenate([np.zeros_like(c[:1]), c[:-1]])
    tolerance = 8 * np.finfo(dtype).eps
    np.testing.assert_allclose(c, f * before + i * g, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(a, o * np.tanh(c), rtol=tolerance, atol=tolerance)


def test_forget_bias_is_one_unless_asked():
    assert lstm().bias == {"f": 1.0}
    assert lstm(-2).bias == {"f": -2.0}


@pytest.mark.parametrize("value", [np.nan, np.inf, "1", True, None])
def test_forget_bias_must_be_a_finite_number(value):
    with pytest.raises(InvalidArgument, match=f"forget_bias must be a finite number, got {value!r}"):
        lstm(value)
