import numpy as np
import pytest
from scipy.stats import beta

from memspan.span.lattice import STEP, Lattice
from memspan.span.smooth import LAPSES, PAIRS, SLOPES, Curve, SmoothCurves, lapse_prior


def likelihood_of(curve, lengths, solved, trials):
    p = np.clip(curve(np.array(lengths)), 1e-43, 1 - 1e-16)
    return np.sum(solved * np.log(p) + np.subtract(trials, solved) * np.log1p(-p))


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_the_log_likelihood_is_that_of_the_curves(share):
    """Lengths on the table's lattice; between its points, log p is linear."""
    lengths = np.exp(STEP * np.array([161, 230, 300, 345]))
    solved, trials = np.array([5.0, 3.0, 2.0, 1.0]), np.array([5.0, 5.0, 4.0, 5.0])
    curves = SmoothCurves.of(share, Lattice(150, 30, 8), lengths, solved, trials)
    rng = np.random.default_rng(0)
    for pair in range(len(PAIRS)):
        for _ in range(20):
            place = (pair, *(int(rng.integers(n)) for n in curves.values.shape[1:]))
            expected = likelihood_of(curves.curve(place), lengths, solved, trials)
            if expected > -60:
                assert curves.values[place] == pytest.approx(expected, rel=1e-4, abs=1e-3)


def test_between_points_of_the_table_it_is_nearly_linear():
    lengths, solved, trials = np.array([7.0, 13.0, 29.0]), np.array([9.0, 6.0, 1.0]), np.full(3, 10.0)
    curves = SmoothCurves.of(0.5, Lattice(230, 40, 2), lengths, solved, trials)
    gentle = np.flatnonzero(SLOPES < 20)
    for slope in gentle:
        place = (1, 15, int(slope), 2)
        expected = likelihood_of(curves.curve(place), lengths, solved, trials)
        assert curves.values[place] == pytest.approx(expected, abs=0.05)


@pytest.mark.parametrize("shape", ["logistic", "Weibull", "Frechet"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_every_shape_falls_from_one_minus_the_lapse_to_0_and_crosses_the_share(shape, share):
    lapse = 0.3 * (1 - share)
    curve = Curve(share, np.log(20), shape, 3.0, 6.0, lapse)
    assert curve(np.array([20.0])) == pytest.approx(share, rel=1e-12)
    assert curve(np.array([1e-6])) == pytest.approx(1 - lapse, rel=1e-3)
    assert curve(np.array([1e6])) == pytest.approx(0, abs=1e-9)
    p = curve(np.geomspace(1, 400, 200))
    assert np.all(np.diff(p) <= 0)


def test_the_shapes_are_those_of_their_names():
    """In the length, Weibull's law has p = exp(-(T/scale)^k); Frechet's 1 - p = exp(-(T/scale)^-k)."""
    T, half = np.array([5.0, 17.0, 30.0]), np.log(2)
    weibull, frechet = (Curve(0.5, np.log(20), shape, 3.0, 3.0, 0.0) for shape in ("Weibull", "Frechet"))
    np.testing.assert_allclose(weibull(T), np.exp(-half * (T / 20) ** 3))
    np.testing.assert_allclose(frechet(T), 1 - np.exp(-half * (T / 20) ** -3))


def test_the_lapses_have_the_beta_prior_of_the_cells_around_them():
    prior = lapse_prior(0.5)
    assert prior.sum() == pytest.approx(1)
    edges = 0.5 * np.concatenate([[0], (LAPSES[1:] + LAPSES[:-1]) / 2, [1]])
    expected = np.diff(beta.cdf(edges, 1, 10))
    np.testing.assert_allclose(prior, expected / expected.sum(), rtol=1e-6)


def test_slopes_are_paired_as_said():
    curves = SmoothCurves.of(0.5, Lattice(290, 3), np.array([20.0]), np.array([1.0]), np.array([2.0]))
    ratios = [curves.curve((pair, 0, 3, 0)) for pair in range(len(PAIRS))]
    assert [curve.beyond / curve.before for curve in ratios] == pytest.approx([0.25, 1, 4, 1, 1])
    assert [np.sqrt(curve.beyond * curve.before) for curve in ratios] == pytest.approx([SLOPES[3]] * 5)
