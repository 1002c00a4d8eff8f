"""The simple recurrent cell, worked out by hand over two steps."""

from math import tanh

import numpy as np

from memspan import RNN, Network

RTOL = 1e-14


def test_tanh_with_one_unit_by_hand():
    w, r, b, v, c = 0.7, -0.4, 0.1, 1.5, -0.2
    x0, x1, d = 0.9, -0.6, 2.0
    a0 = tanh(w * x0 + b)
    a1 = tanh(w * x1 + r * a0 + b)
    delta1 = v * d * (1 - a1**2)
    delta0 = r * delta1 * (1 - a0**2)

    rnn = RNN(1, 1, 1)
    rnn.set_weights({k: np.array([[value]]) for k, value in {"W": w, "R": r, "bs": b, "V": v, "by": c}.items()})
    y_hat = rnn.forward(np.array([[x0], [x1]]))
    grads = rnn.backward(np.array([[d]]))
    np.testing.assert_allclose(y_hat, [[v * a1 + c]], rtol=RTOL)
    np.testing.assert_allclose(rnn.grads.d_a[:, 0, 0], [r * delta1, v * d], rtol=RTOL)
    np.testing.assert_allclose(grads["d_V"], [[a1 * d]], rtol=RTOL)
    np.testing.assert_allclose(grads["d_by"], [[d]], rtol=RTOL)
    np.testing.assert_allclose(grads["d_W"], [[[x0 * delta0]], [[x1 * delta1]]], rtol=RTOL)
    np.testing.assert_allclose(grads["d_R"], [[[0]], [[a0 * delta1]]], rtol=RTOL)
    np.testing.assert_allclose(grads["d_bs"], [[[delta0]], [[delta1]]], rtol=RTOL)


def test_tanh_with_two_units_by_hand():
    """R is not symmetric: `r_pq` leads from unit p to unit q."""
    w_p, w_q = 0.8, -0.5
    r_pp, r_pq, r_qp, r_qq = 0.3, 0.9, -0.7, 0.2
    b_p, b_q = 0.05, -0.1
    v_p, v_q, c = 1.2, -0.4, 0.3
    x0, x1, d = 0.5, 1.1, -1.5

    p0, q0 = tanh(w_p * x0 + b_p), tanh(w_q * x0 + b_q)
    p1 = tanh(w_p * x1 + r_pp * p0 + r_qp * q0 + b_p)
    q1 = tanh(w_q * x1 + r_pq * p0 + r_qq * q0 + b_q)
    delta_p1, delta_q1 = v_p * d * (1 - p1**2), v_q * d * (1 - q1**2)
    d_p0 = r_pp * delta_p1 + r_pq * delta_q1
    d_q0 = r_qp * delta_p1 + r_qq * delta_q1
    delta_p0, delta_q0 = d_p0 * (1 - p0**2), d_q0 * (1 - q0**2)

    rnn = RNN(1, 2, 1)
    rnn.W = np.array([[w_p, w_q]])
    rnn.R = np.array([[r_pp, r_pq], [r_qp, r_qq]])
    rnn.bs = np.array([[b_p], [b_q]])
    rnn.V = np.array([[v_p], [v_q]])
    rnn.by = np.array([[c]])
    y_hat = rnn.forward(np.array([[x0], [x1]]))
    grads = rnn.backward(np.array([[d]]))
    np.testing.assert_allclose(y_hat, [[v_p * p1 + v_q * q1 + c]], rtol=RTOL)
    np.testing.assert_allclose(rnn.trace.a[:, 0], [[p0, q0], [p1, q1]], rtol=RTOL)
    np.testing.assert_allclose(rnn.grads.d_a[:, 0], [[d_p0, d_q0], [v_p * d, v_q * d]], rtol=RTOL)
    np.testing.assert_allclose(grads["d_V"], [[p1 * d], [q1 * d]], rtol=RTOL)
    np.testing.assert_allclose(grads["d_by"], [[d]], rtol=RTOL)
    np.testing.assert_allclose(
        grads["d_W"], [[[x0 * delta_p0, x0 * delta_q0]], [[x1 * delta_p1, x1 * delta_q1]]], rtol=RTOL
    )
    np.testing.assert_allclose(
        grads["d_R"],
        [[[0, 0], [0, 0]], [[p0 * delta_p1, p0 * delta_q1], [q0 * delta_p1, q0 * delta_q1]]],
        rtol=RTOL,
    )
    np.testing.assert_allclose(grads["d_bs"], [[[delta_p0], [delta_q0]], [[delta_p1], [delta_q1]]], rtol=RTOL)


def test_relu_lets_neither_value_nor_error_through_a_unit_below_zero():
    network = Network("rnn-relu", 1, 2, 1)
    network.W = np.array([[1.0, -1.0]])  # the second unit is off wherever x > 0
    network.R = 3 * np.eye(2)
    network.V = np.array([[1.0], [10.0]])
    assert network.forward(np.array([[2.0], [1.0]])).tolist() == [[3 * 2 + 1]]
    grads = network.backward(np.array([[1.0]]))
    assert network.trace.a[:, 0].tolist() == [[2, 0], [7, 0]]
    assert grads["d_bs"][:, :, 0].tolist() == [[3, 0], [1, 0]]
    assert grads["d_W"].tolist() == [[[6, 0]], [[1, 0]]]
    assert grads["d_R"].tolist() == [[[0, 0], [0, 0]], [[2, 0], [0, 0]]]
    assert network.grads.d_a[:, 0].tolist() == [[3, 0], [1, 10]]


def test_linear_cell_adds_up_its_inputs_without_end():
    network = Network("rnn-linear", 1, 1, 1)
    for name in ("W", "R", "V"):
        setattr(network, name, np.ones((1, 1)))
    assert network.forward(np.array([[1.0], [20.0], [300.0]])).tolist() == [[321]]
    assert network.trace.a.ravel().tolist() == [1, 21, 321]
    assert network.backward(np.ones((1, 1)))["d_R"].ravel().tolist() == [0, 1, 21]
