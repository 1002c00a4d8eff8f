import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import digamma

from memspan import CELLS, INITIALIZERS, RNN, InvalidArgument, Jacobians, LyapunovExponents, Network

every_cell = pytest.mark.parametrize("name", CELLS)


def network_of(cell, hidden=6, gain=4.0, features=2):
    network = Network(cell, features, hidden, 1, init="uniform", gain=gain, rng=2)
    network.parameters += np.random.default_rng(2).uniform(-0.3, 0.3, network.layout.size)
    return network


def inputs(T=40, B=2, F=2, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, (T, B, F))


def gaussian(T, B, N, seed=0):
    """Independent Gaussian matrices with elements of variance 1, and their exact exponents.

    Newman 1986 (doi:10.1007/BF01464284): the columns of Q meet a matrix that is Gaussian again, so r_ii² has a χ²
    distribution with N - i + 1 degrees of freedom.
    """
    matrices = np.random.default_rng(seed).standard_normal((T, B, N, N))
    return Jacobians(matrices), (digamma((N - np.arange(N)) / 2) + np.log(2)) / 2


@every_cell
def test_the_sum_of_the_exponents_is_the_mean_of_log_det(name):
    jacobians = Jacobians.of(network_of(name), inputs())
    found = LyapunovExponents.of(jacobians)
    expected = jacobians.log_det().mean()
    assert np.isneginf(expected) == (name in ("rnn-relu", "slstm"))
    assert found.values.sum() == pytest.approx(expected, rel=1e-12, abs=1e-12)
    later = LyapunovExponents.of(jacobians, discard=15, rng=7)
    assert later.values.sum() == pytest.approx(jacobians.log_det()[15:].mean(), rel=1e-12, abs=1e-12)
    assert (found.steps, later.steps) == (40, 25)


def test_that_sum_for_tanh_is_that_of_the_slopes_and_of_R():
    network, x = network_of("rnn"), inputs()
    network.forward(x)
    expected = np.log(1 - network.trace.a**2).sum(axis=2).mean() + np.linalg.slogdet(network.R)[1]
    found = LyapunovExponents.of(Jacobians.of(network, x))
    assert found.values.sum() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("rho", [1e-3, 0.5, 1.0, 1.5, 30.0])
def test_every_exponent_of_a_scaled_orthogonal_matrix_is_its_logarithm(rho):
    network = Network("rnn-linear", 2, 6, 1, rng=3)
    network.R = rho * INITIALIZERS["orthogonal"].recurrent(np.random.default_rng(0), 6, 6)
    x = inputs(150)
    for found in (LyapunovExponents.of(Jacobians.of(network, x)), LyapunovExponents.largest(network, x)):
        np.testing.assert_allclose(found.by_sample, np.log(rho), rtol=0, atol=1e-12)
        assert np.all(found.standard_error < 1e-12)


def test_the_exponents_of_a_triangular_matrix_are_its_diagonal():
    """The directions turn towards the eigenvectors; what `discard` leaves has the eigenvalues."""
    R = np.triu(np.random.default_rng(0).standard_normal((4, 4)), 1) + np.diag([3.0, 1.0, 0.3, 0.1])
    jacobians = Jacobians(np.broadcast_to(R, (100, 1, 4, 4)))
    found = LyapunovExponents.of(jacobians, discard=60).values
    np.testing.assert_allclose(found, np.log([3.0, 1.0, 0.3, 0.1]), rtol=0, atol=1e-12)
    assert np.abs(LyapunovExponents.of(jacobians).values - found).max() > 1e-3


@every_cell
def test_k_exponents_are_the_first_of_all(name):
    """Of enough steps: the first k columns of a random Q are another draw."""
    jacobians = Jacobians.of(network_of(name, hidden=3), inputs(400, 1))
    every = LyapunovExponents.of(jacobians, discard=100).values
    some = LyapunovExponents.of(jacobians, 2, discard=100, rng=5).values
    assert some.shape == (2,)
    np.testing.assert_allclose(some, every[:2], rtol=0, atol=0.03)


@pytest.mark.parametrize("name", ["rnn", "lstm", "gru", "mgu", "lru"])
def test_the_first_exponent_is_the_slope_of_the_gradient_norm(name):
    network = network_of(name, hidden=12, gain=2.0)
    x = inputs(900, 1)
    network.forward(x)
    d_states = network.backward(np.ones((1, 1))).d_states[:, :, 0].astype(np.longdouble)
    log = np.log(np.sqrt((d_states**2).sum(axis=(0, 2))))
    assert np.isfinite(log[500:]).all()
    slope = (log[849] - log[549]) / 300  # ln ‖dL/d(state)‖ over time falls towards the beginning by λ₁ a step
    jacobians = Jacobians(Jacobians.of(network, x).J[500:850])
    first = LyapunovExponents.of(jacobians, 1, discard=50).values[0]
    assert -slope == pytest.approx(first, abs=0.01)


@every_cell
def test_the_largest_alone_is_the_first_of_all(name):
    network = network_of(name, hidden=4)
    x = inputs(1500)
    alone = LyapunovExponents.largest(network, x, discard=100)
    first = LyapunovExponents.of(Jacobians.of(network, x), 1, discard=100)
    assert (alone.steps, first.steps) == (1300, 1400)
    if name == "rnn-relu":  # a gradient ends at a unit that is off
        assert np.isneginf(first.values[0]) == np.isneginf(alone.values[0])
    else:
        np.testing.assert_allclose(alone.by_sample, first.by_sample, rtol=0, atol=0.02)


def test_the_largest_is_the_growth_of_the_gradient_of_backpropagation():
    """From the same gradient at the end: the mean of the steps is the logarithm of the whole."""
    network = RNN(2, 1, 1, rng=0)  # of one unit, so that every gradient has the same direction
    x = inputs(30, 3)
    network.forward(x)
    d_a = network.backward(np.ones((3, 1))).d_a[..., 0]
    slope_of_first = 1 - network.trace.a[0, :, 0] ** 2
    whole = np.log(np.abs(d_a[0] / d_a[-1])) + np.log(np.abs(network.R[0, 0]) * slope_of_first)
    found = LyapunovExponents.largest(network, x).by_sample[:, 0]
    np.testing.assert_allclose(found, whole / 30, rtol=1e-13)


@given(st.integers(0, 2**32), st.floats(-250, 250), st.integers(1, 4))
def test_a_factor_adds_its_logarithm_to_every_exponent(seed, exponent, k):
    jacobians, _ = gaussian(5, 2, 4, seed)
    plain, scaled = (LyapunovExponents.of(one, k) for one in (jacobians, Jacobians(jacobians.J * 10.0**exponent)))
    shift = exponent * np.log(10)
    np.testing.assert_allclose(scaled.by_sample - shift, plain.by_sample, rtol=0, atol=1e-11)
    np.testing.assert_allclose(scaled.standard_error, plain.standard_error, rtol=1e-6, atol=1e-11)


@given(st.integers(0, 2**32), st.integers(1, 9), st.integers(1, 3), st.integers(1, 4))
def test_orthogonal_coordinates_do_not_matter_and_samples_are_apart(seed, T, B, N):
    jacobians, _ = gaussian(T, B, N, seed)
    found = LyapunovExponents.of(jacobians)
    q = INITIALIZERS["orthogonal"].recurrent(np.random.default_rng(seed), N, N)
    turned = LyapunovExponents.of(Jacobians(q.T @ jacobians.J @ q))
    np.testing.assert_allclose(turned.by_sample.sum(axis=1), found.by_sample.sum(axis=1), rtol=1e-9, atol=1e-9 * N)
    alone = LyapunovExponents.of(Jacobians(jacobians.J[:, :1]))
    assert alone.by_sample.sum() == pytest.approx(found.by_sample[0].sum(), rel=1e-9, abs=1e-9)
    assert found.values == pytest.approx(found.by_sample.mean(axis=0))


def test_a_transpose_or_the_wrong_order_of_time_gives_other_exponents():
    """Of products that do not commute; the sum of all is the same, so only single ones can tell."""
    jacobians, _ = gaussian(30, 1, 4)
    right = LyapunovExponents.of(jacobians).values
    for J in (jacobians.J.transpose(0, 1, 3, 2), jacobians.J[::-1]):
        wrong = LyapunovExponents.of(Jacobians(J)).values
        assert wrong.sum() == pytest.approx(right.sum())
        assert np.abs(wrong - right).max() > 0.01


def test_the_exponents_of_gaussian_matrices_are_the_exact_ones():
    jacobians, exact = gaussian(4000, 4, 5)
    found = LyapunovExponents.of(jacobians)
    np.testing.assert_allclose(found.values, exact, rtol=0, atol=5 * found.standard_error.max())
    assert found.standard_error.max() < 0.02


def of_three_units(T, B, seed):
    return gaussian(T, B, 3, seed)


def autoregressive(T, B, seed):
    """Diagonal matrices whose logarithms follow an AR(1) process with the means 0 and -3."""
    noise = np.random.default_rng(seed).normal(0, 0.1, (T + 100, B, 2))
    logs = np.zeros_like(noise)
    for t in range(1, T + 100):
        logs[t] = 0.6 * logs[t - 1] + noise[t]
    J = np.zeros((T, B, 2, 2))
    J[..., [0, 1], [0, 1]] = np.exp(logs[100:] + np.array([0, -3]))
    return Jacobians(J), np.array([0.0, -3.0])


def covered(make, T, B, repetitions=200):
    """The share of 95 % intervals that contain the exact exponents."""
    jacobians, exact = make(T, B * repetitions, seed=3)
    inside = []
    for one in np.array_split(jacobians.J, repetitions, axis=1):
        low, high = LyapunovExponents.of(Jacobians(one), discard=20).interval()
        inside.append((low <= exact) & (exact <= high))
    return np.mean(inside)


@pytest.mark.slow
@pytest.mark.parametrize(("T", "B"), [(170, 1), (120, 2), (70, 5)])
@pytest.mark.parametrize("make", [of_three_units, autoregressive])
def test_intervals_cover_the_exact_exponents(make, T, B):
    """At least 400 intervals, so that a share of 0.95 has a standard error of about 0.011."""
    assert 0.90 <= covered(make, T, B) <= 0.98


@pytest.mark.slow
def test_single_steps_in_place_of_blocks_would_not_cover(monkeypatch):
    """Consecutive steps of the AR(1) process are alike: their spread knows half of the error."""
    monkeypatch.setattr("memspan.diagnostics.exponents.math.isqrt", lambda T: T)
    assert covered(autoregressive, 170, 1) < 0.75


def test_the_standard_error_of_several_samples_is_that_of_their_mean():
    found = LyapunovExponents.of(gaussian(20, 6, 3)[0])
    np.testing.assert_allclose(found.standard_error, found.by_sample.std(axis=0, ddof=1) / np.sqrt(6))
    assert found.degrees_of_freedom == 5


def test_the_standard_error_of_one_sample_is_that_of_blocks_of_steps():
    jacobians, _ = gaussian(16, 1, 1)
    growth = np.log(np.abs(jacobians.J.ravel())).reshape(4, 4)
    found = LyapunovExponents.of(jacobians)
    assert found.values[0] == pytest.approx(growth.mean())
    assert found.standard_error[0] == pytest.approx(growth.mean(axis=1).std(ddof=1) / 2)
    assert found.degrees_of_freedom == 3


@pytest.mark.parametrize("T", [1, 3])
def test_too_few_steps_of_one_sample_have_no_finite_error(T):
    found = LyapunovExponents.of(gaussian(T, 1, 2)[0])
    np.testing.assert_array_equal(found.standard_error, np.inf)
    low, high = found.interval()
    assert np.all(np.isneginf(low) & np.isposinf(high))


def test_intervals_are_those_of_student():
    found = LyapunovExponents.of(gaussian(20, 3, 2)[0])
    low, high = found.interval(0.9)
    np.testing.assert_allclose((high - low) / 2, 2.919986 * found.standard_error, rtol=1e-6)
    np.testing.assert_allclose((low + high) / 2, found.values, rtol=1e-12)


@pytest.mark.parametrize("samples", [1, 3])
def test_a_network_without_memory_has_only_exponents_of_minus_infinity(samples):
    network = RNN(2, 4, 1, rng=0)
    network.R = np.zeros((4, 4))
    x = inputs(9, samples)
    for found in (LyapunovExponents.of(Jacobians.of(network, x)), LyapunovExponents.largest(network, x)):
        np.testing.assert_array_equal(found.by_sample, -np.inf)
        np.testing.assert_array_equal(found.standard_error, 0)
        np.testing.assert_array_equal(found.interval(), -np.inf)


def test_inactive_units_annihilate_as_many_exponents():
    """Two of four relu units never switch on; the other two are linear."""
    network = Network("rnn-relu", 1, 4, 1, rng=0)
    network.W, network.R = np.zeros((1, 4)), np.diag([0.5, 0.5, 2.0, 2.0])
    network.bs = np.array([[1.0], [-1.0], [1.0], [-1.0]])
    jacobians = Jacobians.of(network, inputs(20, 2, 1))
    values = LyapunovExponents.of(jacobians, discard=1).values
    np.testing.assert_array_equal(values[2:], -np.inf)
    assert values[:2].sum() == pytest.approx(np.log([0.5, 2.0]).sum(), abs=1e-12)
    assert LyapunovExponents.of(jacobians, 1, discard=10).values[0] == pytest.approx(np.log(2), abs=1e-2)


def test_a_sample_that_is_annihilated_makes_the_mean_so():
    J = np.ones((4, 2, 1, 1))
    J[2, 1] = 0
    found = LyapunovExponents.of(Jacobians(J))
    np.testing.assert_array_equal(found.by_sample, [[0], [-np.inf]])
    assert found.values[0] == -np.inf
    assert found.standard_error[0] == 0


def test_the_same_rng_gives_the_same_exponents():
    jacobians, _ = gaussian(5, 1, 3)
    same = [LyapunovExponents.of(jacobians, 2, rng=4).values for _ in range(2)]
    np.testing.assert_array_equal(*same)
    assert not np.array_equal(same[0], LyapunovExponents.of(jacobians, 2, rng=5).values)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"k": 0}, "k must be a whole number of at least 1, got 0"),
        ({"k": 4}, "k must be at most 3, got 4"),
        ({"discard": -1}, "discard must be a whole number of at least 0"),
        ({"discard": 5}, "discard must be at most 4, got 5"),
        ({"rng": "x"}, "rng must be a Generator"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(how, message):
    with pytest.raises(InvalidArgument, match=message):
        LyapunovExponents.of(gaussian(5, 1, 3)[0], **how)


def test_what_has_no_exponents_is_refused():
    with pytest.raises(InvalidArgument, match=r"jacobians must be Jacobians, made by"):
        LyapunovExponents.of(np.ones((3, 1, 2, 2)))
    with pytest.raises(InvalidArgument, match="discard must be at most 2, got 3"):
        LyapunovExponents.largest(network_of("rnn"), inputs(6), discard=3)
    with pytest.raises(InvalidArgument, match="network must be a Network"):
        LyapunovExponents.largest(None, inputs())
    with pytest.raises(InvalidArgument, match="level must be"):
        LyapunovExponents.of(gaussian(5, 1, 3)[0]).interval(1)


def test_a_gradient_that_overflows_is_refused():
    network = Network("lru", 1, 1, 1, rng=0)
    network.parameters[:] = 0
    network.U = np.array([[-900.0], [0.0], [0.0]])
    assert LyapunovExponents.largest(network, np.zeros((3, 1))).values[0] == pytest.approx(0, abs=1e-15)
    linear = Network("rnn-linear", 1, 16, 1, rng=0)
    linear.R = np.full((16, 16), 1.7e308)
    with pytest.raises(InvalidArgument, match="network must be one whose gradient is finite at every step"):
        LyapunovExponents.largest(linear, np.zeros((3, 1)))


def test_exponents_say_in_one_line_what_they_are():
    one = LyapunovExponents(np.array([[0.5]]), np.array([0.125]), 4, 30)
    assert repr(one) == "<1 Lyapunov exponent of 1 sample and 30 steps: λ₁ = 0.5 ± 0.12>"
    assert repr(LyapunovExponents.of(gaussian(5, 2, 3)[0])).startswith(
        "<3 Lyapunov exponents of 2 samples and 5 st"
    )
