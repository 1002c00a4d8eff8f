import numpy as np
import pytest

from memspan import estimate_span
from memspan.span.band import probability_band

LENGTHS, SOLVED, TRIALS = (5, 10, 20, 40, 80), (20, 20, 12, 3, 0), (20,) * 5


def test_the_median_is_near_the_most_likely_curve_and_the_band_falls():
    at = np.geomspace(5, 80, 50)
    low, middle, high = probability_band(LENGTHS, SOLVED, TRIALS, at)
    likeliest = estimate_span(LENGTHS, SOLVED, TRIALS).curve(at)
    assert np.all((low <= middle) & (middle <= high))
    np.testing.assert_allclose(middle, likeliest, atol=0.13)
    assert np.all((low >= 0) & (high <= 1))
    assert np.all(np.diff(low) <= 0)
    assert np.all(np.diff(high) <= 0)


def test_more_trainings_give_a_narrower_band():
    at, widths = np.array([12.0, 20.0, 30.0]), []
    for trials in (20, 80, 320):
        solved = np.round(
            trials / (1 + (np.array(LENGTHS) / 20) ** 4.5)
        )  # of a curve that fits, or heat widens it
        widths.append(np.subtract(*probability_band(LENGTHS, solved, trials, at)[::-2]))
    assert np.all(widths[0] > widths[1])
    assert np.all(widths[1] > widths[2])


def test_the_band_covers_the_probability_that_made_the_counts():
    """Pointwise coverage over simulations of a logistic curve. A band of level 0.5 covers less."""
    rng, lengths, at = np.random.default_rng(0), np.array([5, 10, 15, 20, 30, 40]), np.array([12.0, 20.0, 27.0])

    def p(length):
        return 1 / (1 + (length / 20) ** 4.5)

    covered = {0.95: [], 0.5: []}
    for _ in range(60):
        solved = rng.binomial(12, p(lengths))
        for level, found in covered.items():
            low, _, high = probability_band(lengths, solved, 12, at, level=level)
            found.append((low <= p(at)) & (p(at) <= high))
    assert np.mean(covered[0.95]) >= 0.93
    assert 0.4 < np.mean(covered[0.5]) < 0.75


@pytest.mark.parametrize("share", [0.3, 0.5, 0.9])
def test_the_band_is_narrow_where_all_solve(share):
    low, _, high = probability_band((5, 10, 20), (200, 200, 0), 200, np.array([5.0]), share)
    assert low[0] > 0.95
    assert high[0] == pytest.approx(1, abs=0.01)
