"""The unrolling and its reverse, where a closed form or an independent sum says what must come out."""

from dataclasses import replace

import jaxtyping
import numpy as np
import pytest

from memspan import CELLS, Network
from memspan.engines.parameters import split
from memspan.engines.readable import unroll


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def linear_network(rho, rng):
    """a[t] = Wᵀx[t] + Rᵀa[t-1] with R = rho·Q, Q orthogonal."""
    return Network("rnn-linear", 2, 5, 3, init="orthogonal", gain=rho, rng=rng)


@pytest.mark.parametrize("rho", [0.5, 1.0, 1.1])
@pytest.mark.parametrize("T", [1, 2, 20, 200])
def test_error_of_a_linear_orthogonal_network_shrinks_or_grows_by_rho_at_every_step(T, rho, rng):
    network = linear_network(rho, rng)
    network.forward(rng.standard_normal((T, 4, 2)))
    d_a = network.backpropagate(rng.standard_normal((4, 3))).d_a
    norms = np.linalg.norm(d_a, axis=2)
    powers = rho ** np.arange(T - 1.0, -1.0, -1.0)
    np.testing.assert_allclose(norms, powers[:, np.newaxis] * norms[-1], rtol=1e-12)


def test_linear_network_is_a_sum_of_matrix_powers(rng):
    network = Network("rnn-linear", 2, 4, 3, init="glorot", rng=rng)
    network.bs = rng.standard_normal((4, 1))
    network.by = rng.standard_normal((3, 1))
    x, d = rng.standard_normal((6, 1, 2)), rng.standard_normal((1, 3))
    W, R, bs, V, by, _ = network.weights
    power = [np.linalg.matrix_power(R, k) for k in range(6)]

    # a[t] = Σ_k (Rᵀ)^(t-k) (Wᵀ x[k] + b)
    a = [sum(power[t - k].T @ (W.T @ x[k, 0] + bs[:, 0]) for k in range(t + 1)) for t in range(6)]
    np.testing.assert_allclose(network.forward(x)[0], V.T @ a[5] + by[:, 0], rtol=1e-13)
    np.testing.assert_allclose(network.trace.a[:, 0], a, rtol=1e-13)

    # dL/da[t] = dL/ds[t] = R^(T-1-t) V dL/dŷ
    grads = network.backward(d)
    delta = [power[5 - t] @ V @ d[0] for t in range(6)]
    np.testing.assert_allclose(network.grads.d_a[:, 0], delta, rtol=1e-13)
    np.testing.assert_allclose(grads["d_V"], np.outer(a[5], d[0]), rtol=1e-13)
    np.testing.assert_allclose(grads["d_by"][:, 0], d[0], rtol=0)
    for t in range(6):
        previous = a[t - 1] if t > 0 else np.zeros(4)
        np.testing.assert_allclose(grads["d_W"][t], np.outer(x[t, 0], delta[t]), rtol=1e-12)
        np.testing.assert_allclose(grads["d_R"][t], np.outer(previous, delta[t]), rtol=1e-12)
        np.testing.assert_allclose(grads["d_bs"][t, :, 0], delta[t], rtol=1e-12)


def test_contributions_are_outer_products_summed_over_the_batch(rng):
    network = Network("lstm", 2, 3, 2, init="glorot", rng=rng)
    x, d = rng.standard_normal((4, 5, 2)), rng.standard_normal((5, 2))
    network.forward(x)
    gradients, a = network.backpropagate(d), network.trace.a
    assert gradients.d_y_hat.tolist() == [d.tolist()]
    for t in range(4):
        previous = np.zeros((5, 3)) if t == 0 else a[t - 1]
        outer = {"d_W": x[t], "d_R": previous, "d_bs": np.ones((5, 1))}
        for name, factor in outer.items():
            expected = sum(np.outer(factor[b], gradients.d_s[t, b]) for b in range(5))
            actual = getattr(gradients, name)[t]
            np.testing.assert_allclose(actual.T if name == "d_bs" else actual, expected, rtol=1e-12, atol=1e-16)
    np.testing.assert_allclose(gradients.d_V, sum(np.outer(a[3, b], d[b]) for b in range(5)), rtol=1e-12)
    np.testing.assert_allclose(gradients.d_by[:, 0], sum(d), rtol=1e-12)


def test_total_is_that_of_the_backward_pass_whatever_is_done_to_grads(rng):
    network = Network("rnn", 1, 3, 1, rng=rng)
    network.forward(rng.standard_normal((4, 2, 1)))
    grads = network.backward(np.ones((2, 1)))
    before = network.grads.total()
    for gradient in grads.values():
        gradient *= 0
    np.testing.assert_array_equal(network.grads.total(), before)


@pytest.mark.parametrize("cell", CELLS)
def test_d_s_is_the_derivative_by_one_more_input_for_each_column_of_s(cell, rng):
    T, B, H = 4, 2, 3
    network = Network(cell, 2, H, 2, init="glorot", rng=rng)
    x, d = rng.standard_normal((T, B, 2)), rng.standard_normal((B, 2))
    network.forward(x)
    d_s = network.backpropagate(d).d_s
    twin, columns = network.astype(np.complex128), d_s.shape[-1]
    W = np.pad(twin.W, ((0, 0), (0, columns - twin.W.shape[1])))  # by the wider W every gate is fed
    wider = twin.weights._replace(W=np.vstack([W, np.eye(columns)]))
    fed = replace(twin.cell, input_gates=twin.cell.gates)
    inputs = np.concatenate([x, np.zeros(d_s.shape)], axis=-1).astype(complex)
    probe = inputs[:, :, 2:]
    for index in np.ndindex(d_s.shape):
        probe[index] = 1e-20j
        y_hat = unroll(fed, wider, inputs).y_hat
        np.testing.assert_allclose(d_s[index], (y_hat.imag * d).sum() / 1e-20, rtol=1e-11, atol=1e-16)
        probe[index] = 0


def test_trace_starts_at_zero_and_keeps_the_state_before_and_after_each_step(rng):
    network = Network("lstm", 2, 3, 1, rng=rng)
    y_hat = network.forward(rng.standard_normal((4, 2, 2)))
    trace = network.trace
    np.testing.assert_array_equal(trace.states[:, 0], 0)
    np.testing.assert_array_equal(trace.read[1:], trace.a[:-1])
    np.testing.assert_array_equal(trace.state("a"), trace.a)
    np.testing.assert_array_equal(y_hat, trace.a[-1] @ network.V + network.by.T)


def test_split_gives_each_gate_its_own_columns_as_views():
    s = np.arange(12.0).reshape(2, 6)
    parts = split(s, 2)
    assert [part.tolist() for part in parts] == [[[0, 1], [6, 7]], [[2, 3], [8, 9]], [[4, 5], [10, 11]]]
    assert all(np.shares_memory(part, s) for part in parts)


def test_axes_in_annotations_are_enforced_here(rng):
    network = Network("rnn", 2, 3, 1, rng=rng)
    with pytest.raises(jaxtyping.TypeCheckError, match="x"):
        unroll(network.cell, network.weights, np.ones((4, 2)))
