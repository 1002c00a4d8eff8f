"""The test of a falling curve: against exact probabilities, and by simulation."""

import numpy as np
import pytest
from scipy.stats import hypergeom

from memspan import estimate_span
from memspan.span.falling import _at_most, falling_bound

LENGTHS = np.geomspace(2, 100, 12)
FALL = 1 / (1 + (LENGTHS / 20) ** 4)
DIP = np.where(np.arange(12) == 0, 0.4, FALL)
"""Short sequences are not solved: the network answers after that many steps and no others, say."""


def alarms(p, trials, simulations=1000):
    """How often counts at lengths that are solved with probability p are said to rise."""
    rng, tried = np.random.default_rng(5), np.full(len(p), trials)
    return np.mean([falling_bound(rng.binomial(tried, p), tried) < 0.001 for _ in range(simulations)])


@pytest.mark.parametrize(
    ("p", "trials"),
    [(FALL, 4), (FALL, 16), (np.full(2, 0.5), 10), (np.full(30, 0.5), 4), (np.full(12, 0.9), 16), ([0.9] * 80, 1)],
)
def test_a_falling_curve_hardly_ever_raises_an_alarm(p, trials):
    assert alarms(p, trials) <= 0.003


def test_a_clear_rise_is_found():
    assert alarms(DIP, 16) > 0.8
    assert alarms([0.05, 0.95], 10) > 0.9
    assert alarms(np.geomspace(0.1, 0.9, 12), 16) > 0.9  # slow, so that no two neighbours tell it


def test_more_solved_trainings_at_the_longer_length_count_against_a_fall():
    bounds = [falling_bound(np.array([5, k]), np.array([10, 10])) for k in range(11)]
    assert np.all(np.diff(bounds) <= 0)
    assert bounds[5] == 1 > bounds[10]


@pytest.mark.parametrize("counts", [(0, 10, 10, 20), (3, 12, 20, 30), (8, 16, 72, 80), (0, 1, 30, 31)])
def test_the_bound_is_just_above_fishers_probability(counts):
    k, n, solved, trials = counts
    exact = hypergeom.cdf(k, trials, solved, n)
    bound = float(_at_most(*(np.array([float(count)]) for count in counts))[0])
    assert exact * (1 - 1e-9) <= bound <= max(1.2 * exact, exact == 1)


def test_one_length_tells_nothing():
    assert falling_bound(np.array([3.0]), np.array([4.0])) == 1


@pytest.mark.parametrize(
    ("counts", "rises"),
    [
        (([5, 10, 20, 40, 80], [10, 200, 200, 200, 0], 200), True),
        (([20, 40], [0, 10], 10), True),
        (([5, 10, 20, 40, 80], [200, 200, 100, 10, 0], 200), False),
        (([5, 10, 20], [6, 8, 0], 8), False),
    ],
)
def test_an_estimate_tells_a_rise(counts, rises):
    found = estimate_span(*counts)
    assert found.rises == rises == (not found.fits)
    assert str(found).endswith("; short lengths are solved less often than longer ones") == rises
    assert "no smooth curve" not in str(found)
