"""The closed form against wide networks, against exact limits, and against numerical integration."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.integrate import quad

from memspan import InvalidArgument, MeanField, Network, Twins, get_task, label_gradient, label_signal
from memspan.diagnostics import mean_field as module
from memspan.diagnostics.label import label_engine

VARIANCES = (0.05, 0.25, 0.8, 1.0, 2.0, 16.0)


def gaussian(variance, hidden, seed):
    network = Network("rnn", 1, hidden, 1, rng=seed)
    network.R = np.random.default_rng([seed, 1]).standard_normal((hidden, hidden)) * np.sqrt(variance / hidden)
    return network


def of_networks(variance, hidden, length, count):
    """P and Θ of random networks over their closed form, `[count, T]` and `[count]`."""
    twins, engine = Twins.of(get_task("recall"), length, 64), label_engine(gaussian(variance, hidden, 0))
    power, theta = [], []
    for seed in range(count):
        network = gaussian(variance, hidden, seed)
        field = MeanField.of(network, length)
        power.append(label_signal(network, twins).power / field.power)
        theta.append(label_gradient(network, twins, engine=engine).theta / field.theta[-1])
    return np.array(power), np.array(theta)


@pytest.mark.parametrize("q", [1e-6, 0.01, 1.0, 20.0, 100.0])
def test_means_over_a_normal_variable_are_exact(q):
    def integral(power):
        def density(z):
            return np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi) / np.cosh(np.sqrt(q) * z) ** (2 * power)

        return 2 * quad(density, 0, 10, epsabs=1e-14, epsrel=1e-13, limit=400)[0]

    for power in (1, 2):
        assert module._mean(module._slopes(q) ** power) == pytest.approx(integral(power), rel=1e-11)


@pytest.mark.parametrize("variance", VARIANCES)
def test_the_recursion_is_that_of_the_module(variance):
    field = MeanField(variance, 30)
    tanh2 = [1 - module._mean(module._slopes(q)) for q in field.q]
    np.testing.assert_allclose(field.q[1:], variance * np.array(tanh2[:-1]) + field.input / 3, rtol=1e-12)
    assert field.q[0] == field.input / 3
    np.testing.assert_allclose(field.power[1:], field.power[:-1] * field.gamma[1:], rtol=1e-12)
    assert field.power[0] == pytest.approx(32 * field.input / 3 * field.slope[0] ** 2, rel=1e-14)
    assert MeanField(variance, 3000).q[-1] == pytest.approx(field.fixed_point, rel=1e-6)


def test_small_weights_are_the_linear_network():
    """Without saturation P[T] = H σ_W² E y² σ_R^(2 (T-1)); the rest of Θ are the norms of the two derivatives."""
    field = MeanField(0.3, 12, hidden=20, input=1e-12, readout=0.5, y2=0.7)
    t = np.arange(12)
    np.testing.assert_allclose(field.slope, 1, rtol=1e-10)
    P = 20 * 1e-12 * 0.7 * 0.3**t
    np.testing.assert_allclose(field.power, P, rtol=1e-10)
    np.testing.assert_allclose(field.theta, 0.7 * P * (1 + 0.5 * (t / 0.3 + 1 / (20 * 1e-12))), rtol=1e-9)
    assert field.chi_1 == pytest.approx(0.3, rel=1e-9)
    assert field.xi == pytest.approx(-1 / np.log(0.3), rel=1e-9)


def test_of_a_linear_network_theta_is_the_mean_over_random_matrices():
    """Its R-part is |Σ s[t-1] e[t]ᵀ|², from random matrices, with no twins and no back-propagation."""
    rng, H, T, variance = np.random.default_rng(0), 200, 5, 0.6
    found = []
    for _ in range(60):
        R = rng.standard_normal((H, H)) * np.sqrt(variance / H)
        W, V = rng.standard_normal(H) * 1e-5, rng.standard_normal(H) * 0.1
        forward, back = [W / 3], [V]
        for _ in range(T - 1):
            forward.append(forward[-1] @ R)
            back.append(R @ back[-1])
        d_R = sum(np.outer(forward[k], back[T - 2 - k]) for k in range(T - 1))
        norms = (forward[-1] ** 2).sum() + (d_R**2).sum() + (back[-1] ** 2).sum() / 9
        field = MeanField(variance, T, H, (W**2).mean(), (V**2).sum())
        found.append(norms / field.theta[-1])
    assert abs(np.mean(found) - 1) < 4 * np.std(found) / np.sqrt(60)
    assert np.std(found) / np.sqrt(60) < 0.03


@pytest.mark.parametrize("variance", [0.25, 0.8])
def test_wide_networks_agree_within_their_standard_error(variance):
    power, theta = of_networks(variance, 384, 8, 12)
    for found in (*power.T, theta):
        error = np.std(found) / np.sqrt(12)
        assert error < 0.08
        assert abs(found.mean() - 1) < 4 * error + 0.02


@pytest.mark.parametrize("variance", [0.25, 0.6, 1.0])
def test_up_to_sixteen_steps_the_mean_of_wide_networks_agrees_within_thirty_per_cent(variance):
    power, theta = of_networks(variance, 256, 16, 24)
    assert np.abs(power.mean(axis=0) - 1).max() < 0.3
    assert abs(theta.mean() - 1) < 0.3


def test_a_narrow_network_is_not_described_over_many_steps():
    """R is the same in every step, not a new one: the error grows with T²/H."""
    power, _ = of_networks(0.6, 32, 24, 24)
    assert np.abs(power.mean(axis=0)[:4] - 1).max() < 0.3
    assert power[:, -1].max() / power[:, -1].min() > 10


def test_a_mistake_in_the_formula_would_be_seen():
    """Without the part of R, or with χ₁ in the place of γ at a large gain, nothing agrees."""
    _, theta = of_networks(0.8, 128, 8, 8)
    field = MeanField.of(gaussian(0.8, 128, 0), 8)
    without_R = field.y2 * field.power[-1] * (1 + field.readout / (field.hidden * field.input))
    assert theta.mean() * field.theta[-1] / without_R > 1.5
    power, _ = of_networks(4.5, 256, 8, 8)
    field = MeanField(4.5, 8, 256)
    assert np.abs(np.log(power[:, -1].mean())) < 0.5 < 7 * np.log(field.chi_1 / field.gamma[-1])


@pytest.mark.parametrize("variance", VARIANCES)
def test_the_label_fades_at_every_gain(variance):
    field = MeanField(variance, 300)
    assert field.gamma[-1] < 1
    assert field.gamma[-1] <= field.chi_1
    assert (field.chi_1 > 1) == (field.xi == np.inf)


def test_the_depth_scale_grows_towards_the_critical_gain():
    scales = [MeanField(variance, 2).xi for variance in (0.25, 0.5, 0.8, 1.0, 1.2)]
    assert scales == sorted(scales)
    assert MeanField(1.4, 2).chi_1 == pytest.approx(1.0, abs=0.03)


def test_the_largest_signal_is_found():
    for length in (10, 40):
        field = MeanField(1.0, length)
        best = field.most_signal()
        signals = [replace(field, recurrent=best * factor).log_power[-1] for factor in (0.5, 0.9, 1, 1.1, 2)]
        assert signals[2] == max(signals)
        grid = np.geomspace(0.05, 50, 60)
        others = [replace(field, recurrent=variance).log_power[-1] for variance in grid]
        assert signals[2] >= max(others)


def test_the_largest_signal_is_above_the_critical_gain_and_the_nearer_the_longer_the_sequences():
    best = [MeanField(1.0, length).most_signal() for length in (5, 10, 20, 40, 80, 200)]
    assert best == sorted(best, reverse=True)
    assert MeanField(best[-1], 200).chi_1 > 1


def test_a_signal_below_the_smallest_number_keeps_its_logarithm():
    field = MeanField(0.1, 1000)
    assert field.power[-1] == 0
    assert field.log_power[-1] == pytest.approx(999 * np.log(0.1), rel=0.02)


def test_the_variances_come_from_the_weights():
    network = gaussian(0.7, 16, 0)
    field = MeanField.of(network, 5)
    assert field.recurrent == pytest.approx((network.R**2).mean() * 16, rel=1e-12)
    assert field.input == pytest.approx((network.W**2).mean(), rel=1e-12)
    assert field.readout == pytest.approx((network.V**2).sum(), rel=1e-12)
    assert (field.hidden, field.length) == (16, 5)


@pytest.mark.parametrize("cell", ["lstm", "rnn-relu", "rnn-linear"])
def test_other_networks_are_refused(cell):
    with pytest.raises(InvalidArgument, match="network must be a network of the cell rnn"):
        MeanField.of(Network(cell, 1, 4, 1, rng=0), 5)
    with pytest.raises(InvalidArgument, match="network must be a Network"):
        MeanField.of(cell, 5)


def test_networks_with_several_inputs_are_refused():
    with pytest.raises(InvalidArgument, match="network must be a network with one input and one output"):
        MeanField.of(Network("rnn", 2, 4, 1, rng=0), 5)


@pytest.mark.parametrize("name", ["recurrent", "input", "readout", "x2", "y2", "length", "hidden"])
def test_numbers_that_are_not_positive_are_refused(name):
    for value in (0, -1, np.nan, "1"):
        with pytest.raises(InvalidArgument, match=f"{name} must be"):
            MeanField(**({"recurrent": 1.0, "length": 4} | {name: value}))


def test_one_step_has_no_best_variance():
    with pytest.raises(InvalidArgument, match="length must be at least 2"):
        MeanField(1.0, 1).most_signal()


def test_repr():
    assert repr(MeanField(1.0, 10)) == "<MeanField of σ_R² = 1, T = 10, H = 32: P = 0.0934, Θ = 0.182>"
