import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from complex_step import complex_step_jacobians
from hypothesis import given
from hypothesis import strategies as st

from memspan import CELLS, INITIALIZERS, InvalidArgument, Jacobians, Network
from memspan.errors import FaultyPart
from memspan.runtime import memory

every_cell = pytest.mark.parametrize("name", CELLS)


def network_of(cell, hidden=5, **how):
    """A network that is far from linear, also in its biases and unit weights."""
    network = Network(cell, 2, hidden, 1, **({"init": "uniform", "gain": 4.0, "rng": 1} | how))
    network.parameters += np.random.default_rng(2).uniform(-0.3, 0.3, network.layout.size)
    return network


def inputs(T=6, B=3, F=2, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, (T, B, F))


def agree(found, expected, tolerance=1e-12):
    """Whether two arrays of Jacobians agree, each step and sample beside its largest element."""
    return np.all(np.abs(found - expected) <= tolerance * np.abs(expected).max(axis=(2, 3), keepdims=True))


def random_matrices(seed, T=7, B=2, N=4):
    return Jacobians(np.random.default_rng(seed).standard_normal((T, B, N, N)))


@every_cell
def test_the_backward_of_a_step_agrees_with_the_complex_step_of_its_forward(name):
    network = network_of(name)
    assert agree(Jacobians.of(network, inputs()).J, complex_step_jacobians(network, inputs()))


@every_cell
def test_a_float32_network_is_measured_in_float64(name):
    network = Network(name, 2, 4, 1, dtype="float32", rng=1)
    found = Jacobians.of(network, inputs()).J
    assert found.dtype == np.float64
    assert agree(found, complex_step_jacobians(network, inputs()))


@every_cell
def test_the_jacobians_carry_a_gradient_back_as_backpropagation_does(name):
    """d_states[t] = d_states[t+1] J[t+1], since only the last step is read out."""
    network = network_of(name)
    network.forward(inputs(8))
    d_states = network.backward(np.random.default_rng(3).standard_normal((3, 1))).d_states
    rows = d_states.transpose(1, 2, 0, 3).reshape(8, 3, -1)
    J = Jacobians.of(network, inputs(8)).J
    for t in range(7):
        found = np.matvec(J[t + 1].transpose(0, 2, 1), rows[t + 1])
        np.testing.assert_allclose(found, rows[t], rtol=0, atol=1e-12 * np.abs(rows[t]).max())


def without_a_gate(cell, gate):
    """The cell with a backward that forgets one gate."""

    def backward(*arguments):
        d_gates, d_previous, d_unit = cell.backward(*arguments)
        return tuple(0.0 * d if k == gate else d for k, d in enumerate(d_gates)), d_previous, d_unit

    return replace(cell, backward=backward)


def without_the_direct_path(cell):
    """The cell with a backward that knows no way around the pre-activations."""

    def backward(*arguments):
        d_gates, d_previous, d_unit = cell.backward(*arguments)
        return d_gates, tuple(0.0 for _ in d_previous), d_unit

    return replace(cell, backward=backward)


def at_the_wrong_step(cell):
    """The cell with a backward that takes the new states for the old ones."""

    def backward(d_state, residuals, previous, state, unit):
        return cell.backward(d_state, residuals, state, state, unit)

    return replace(cell, backward=backward)


def without_the_path_through_q(cell):
    """The cell with a reset whose backward forgets that q contains a[t-1]."""

    def backward(*arguments):
        d_gates, d_previous = cell.reset.backward(*arguments)
        return d_gates, tuple(0.0 * d for d in d_previous)

    return replace(cell, reset=replace(cell.reset, backward=backward))


def broken(cell, mistake):
    twin = network_of(cell)
    twin.cell = mistake(twin.cell)
    return Jacobians.of(twin, inputs()).J


@pytest.mark.parametrize(
    ("name", "mistake"),
    [
        *((name, lambda cell, gate=gate: without_a_gate(cell, gate)) for name, gate in (("rnn", 0), ("cornn", 0))),
        *(("lstm", lambda cell, gate=gate: without_a_gate(cell, gate)) for gate in range(4)),
        *(("gru", lambda cell, gate=gate: without_a_gate(cell, gate)) for gate in (1, 2, 3)),
        *(("gru-before", lambda cell, gate=gate: without_a_gate(cell, gate)) for gate in (1, 2)),
        *((name, without_the_direct_path) for name in ("leaky", "lstm", "gru", "mgu", "lru", "cornn", "slstm")),
        *((name, at_the_wrong_step) for name in ("lstm", "gru", "gru-before", "mgu", "ugrnn")),
        *((name, without_the_path_through_q) for name in ("gru-before", "mgu")),
    ],
)
def test_a_mistake_in_a_backward_is_seen(name, mistake):
    expected = complex_step_jacobians(network_of(name), inputs())
    assert not agree(broken(name, mistake), expected, 1e-3)


@every_cell
def test_a_transpose_a_shift_in_time_and_swapped_samples_are_seen(name):
    network = network_of(name)
    right, expected = Jacobians.of(network, inputs()).J, complex_step_jacobians(network, inputs())
    diagonal = name == "mingru"  # its Jacobians are diagonal
    assert agree(right.transpose(0, 1, 3, 2), expected, 1e-3) == diagonal
    constant = name in ("lru", "rnn-linear")  # the Jacobians are the same at every step
    assert agree(np.roll(right, 1, axis=0), expected, 1e-3) == constant
    assert agree(np.roll(right, 1, axis=1), expected, 1e-3) == constant


def test_states_in_the_wrong_order_are_seen():
    network = network_of("lstm")
    swapped = np.roll(Jacobians.of(network, inputs()).J, 5, axis=3)
    assert not agree(swapped, complex_step_jacobians(network, inputs()), 1e-3)


def test_the_units_of_an_lru_are_rotations_that_shrink():
    network = Network("lru", 1, 3, 1, rng=0)
    J = Jacobians.of(network, inputs(4, 1, 1)).J[2, 0]
    size, angle = np.exp(-np.exp(network.U[0])), network.U[1]
    p, q = np.diag(size * np.cos(angle)), np.diag(size * np.sin(angle))
    np.testing.assert_allclose(J, np.block([[p, -q], [q, p]]), rtol=1e-15)


def test_log_det_of_tanh_is_that_of_the_slopes_and_of_R():
    network = network_of("rnn")
    network.forward(inputs(40))
    expected = np.log(1 - network.trace.a**2).sum(axis=2) + np.linalg.slogdet(network.R)[1]
    np.testing.assert_allclose(Jacobians.of(network, inputs(40)).log_det(), expected, rtol=1e-12)


@every_cell
def test_log_det_agrees_with_that_of_numpy(name):
    jacobians = Jacobians.of(network_of(name), inputs(20))
    found, expected = jacobians.log_det(), np.linalg.slogdet(jacobians.J)[1]
    singular = found == -np.inf
    np.testing.assert_allclose(found[~singular], expected[~singular], rtol=1e-11, atol=1e-11)
    assert np.all(expected[singular] < -30)
    assert singular.any() == (name in ("rnn-relu", "slstm"))


@pytest.mark.parametrize("least", [1e-3, 1e-30, 1e-280])
def test_log_det_resolves_units_of_any_slope(least):
    """As of saturated tanh units: the smallest slopes must not drown in the rounding of the largest."""
    rng = np.random.default_rng(0)
    slopes = rng.permutation(np.geomspace(least, 1, 8))
    R = rng.standard_normal((8, 8))
    found = Jacobians((slopes[:, np.newaxis] * R)[np.newaxis, np.newaxis]).log_det()
    assert found[0, 0] == pytest.approx(np.log(slopes).sum() + np.linalg.slogdet(R)[1], rel=1e-13)


@pytest.mark.parametrize("low", [0, 2])
def test_log_det_of_a_singular_matrix_is_minus_infinity(low):
    rng = np.random.default_rng(0)
    J = rng.standard_normal((5, 1, 6, low)) @ rng.standard_normal((5, 1, low, 6))
    np.testing.assert_array_equal(Jacobians(J).log_det(), -np.inf)


@given(st.integers(0, 2**32), st.integers(1, 7), st.floats(-250, 250))
def test_products_are_those_of_the_matrices_without_overflow(seed, lag, exponent):
    jacobians = random_matrices(seed)
    factors = list(jacobians.J[-lag:].transpose(1, 0, 2, 3))
    expected = np.stack([np.linalg.multi_dot(J[::-1]) if lag > 1 else J[0] for J in factors])
    lags, log_scale, matrices = Jacobians(jacobians.J * 10.0**exponent).products([lag])
    assert lags == (lag,)
    np.testing.assert_array_equal(np.abs(matrices).max(axis=(2, 3)), 1)
    unscaled = np.exp(log_scale[0] - lag * exponent * np.log(10))
    np.testing.assert_allclose(unscaled[:, np.newaxis, np.newaxis] * matrices[0], expected, rtol=1e-9, atol=1e-9)


@given(st.integers(0, 2**32))
def test_singular_values_are_those_of_the_products(seed):
    jacobians = random_matrices(seed)
    found = jacobians.singular_values([3, 1])
    for b in range(2):
        J = jacobians.J[:, b]
        for row, product in zip(found[:, b], (J[6] @ J[5] @ J[4], J[6]), strict=True):
            expected = np.linalg.svd(product, compute_uv=False)
            np.testing.assert_allclose(np.exp(row), expected, rtol=1e-9, atol=1e-12 * expected[0])
            assert np.all(np.diff(row) <= 0)


@pytest.mark.parametrize("rho", [1e-3, 0.9, 1.0, 30.0])
def test_all_singular_values_of_a_scaled_orthogonal_matrix_are_powers(rho):
    network = Network("rnn-linear", 2, 6, 1, rng=3)
    network.R = rho * INITIALIZERS["orthogonal"].recurrent(np.random.default_rng(0), 6, 6)
    jacobians = Jacobians.of(network, inputs(90, 2))
    lags = (90, 1, 37)
    found = jacobians.singular_values(lags)
    for lag, of_lag in zip(lags, found, strict=True):
        np.testing.assert_allclose(of_lag, lag * np.log(rho), rtol=1e-12, atol=1e-12)


def test_a_product_that_vanishes_has_the_logarithm_minus_infinity():
    J = np.ones((4, 2, 3, 3))
    J[2, 0] = 0
    lags, log_scale, matrices = Jacobians(J).products(range(1, 5))
    assert lags == (1, 2, 3, 4)
    np.testing.assert_array_equal(log_scale[:, 0], [0, -np.inf, -np.inf, -np.inf])
    np.testing.assert_allclose(log_scale[:, 1], np.log([1, 3, 9, 27]))
    np.testing.assert_array_equal(matrices[1:, 0], 0)
    singular = Jacobians(J).singular_values([2])
    np.testing.assert_array_equal(singular[0, 0], -np.inf)
    np.testing.assert_allclose(singular[0, 1, 0], np.log(9))
    np.testing.assert_array_equal(singular[0, 1, 1:], -np.inf)


@pytest.mark.parametrize("name", ["rnn", "lstm", "gru-before", "slstm"])
def test_the_memory_that_is_demanded_is_what_it_takes(name, monkeypatch):
    demanded = []
    monkeypatch.setattr("memspan.diagnostics.jacobians.demand_memory", lambda *what: demanded.append(what[-1]))
    network, x = network_of(name, hidden=16), inputs(20, 4)
    Jacobians.of(network, x)  # what is imported and compiled once does not count
    tracemalloc.start()
    J = Jacobians.of(network, x).J
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert J.nbytes < demanded[0] / 1.5
    assert 0.4 * demanded[0] < peak < 1.1 * demanded[0]


def test_jacobians_larger_than_the_memory_are_refused(monkeypatch):
    monkeypatch.setattr(memory, "total", lambda: 1 << 20)
    Jacobians.of(network_of("rnn"), inputs())
    rule = r"x must be small enough for the memory of this machine, 1 MiB, got shape \(50, 2, 2\), which takes"
    with pytest.raises(InvalidArgument, match=rule):
        Jacobians.of(network_of("lstm", hidden=20), inputs(50, 2))


@pytest.mark.parametrize(
    ("J", "rule"),
    [
        (np.ones((2, 2)), "of shape"),
        (np.ones((2, 2, 3, 4)), "of shape"),
        (np.ones((0, 2, 3, 3)), "without an empty axis"),
        (np.full((1, 1, 2, 2), np.nan), "finite"),
        (np.ones((1, 1, 2, 2), int), "real floating-point"),
        ("nonsense", "real floating-point"),
    ],
)
def test_what_are_no_jacobians_is_refused(J, rule):
    with pytest.raises(InvalidArgument, match=f"J must be .*{rule}"):
        Jacobians(J)


@pytest.mark.parametrize("lags", [3, "12", [], [0], [8], [1.5], [True], None, {1: 2}])
@pytest.mark.parametrize("method", ["products", "singular_values"])
def test_lags_that_do_not_fit_are_refused(method, lags):
    with pytest.raises(InvalidArgument, match="lags must be"):
        getattr(random_matrices(0), method)(lags)


def test_jacobians_say_in_one_line_what_they_are():
    assert repr(random_matrices(0)) == "<Jacobians of 7 steps: B = 2, 4 x 4>"


def test_a_backward_that_fails_is_named():
    """Only for the arrays of all rows: a cell is called once on small arrays when it is made."""

    def backward(d_state, residuals, previous, state, unit):
        if d_state[0].ndim > 2:
            raise KeyError("gate")
        return CELLS["rnn"].backward(d_state, residuals, previous, state, unit)

    network = network_of(replace(CELLS["rnn"], name="mine", backward=backward))
    with pytest.raises(FaultyPart, match="The cell mine failed with KeyError: 'gate'"):
        Jacobians.of(network, inputs())
