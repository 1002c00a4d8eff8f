import math

import numpy as np
import pytest
from scipy.stats import beta, binom

from memspan import InvalidArgument
from memspan.span import SolvedShare, longest_solved

Z = 1.959963984540054  # the normal quantile of 97.5 %


def wilson(solved, trials):
    """The closed form of Wilson (1927)."""
    centre = (solved + Z**2 / 2) / (trials + Z**2)
    half = Z / (trials + Z**2) * math.sqrt(solved * (trials - solved) / trials + Z**2 / 4)
    return centre - half, centre + half


@pytest.mark.parametrize("trials", [1, 2, 3, 10, 30, 1000])
def test_the_interval_is_wilsons(trials):
    for solved in {0, 1, trials // 2, trials - 1, trials}:
        share = SolvedShare.of(solved, trials)
        assert (share.solved, share.trials, share.share) == (solved, trials, solved / trials)
        np.testing.assert_allclose((share.low, share.high), wilson(solved, trials), rtol=1e-12, atol=1e-15)


def test_the_interval_covers_the_truth_95_times_in_100():
    """The coverage of a discrete interval oscillates with p; averaged over p it is the nominal 95 %."""
    rng, trials = np.random.default_rng(0), 10
    intervals = [SolvedShare.of(solved, trials) for solved in range(trials + 1)]
    low, high = (np.array([getattr(interval, end) for interval in intervals]) for end in ("low", "high"))
    p = rng.uniform(size=40_000)
    solved = rng.binomial(trials, p)
    assert np.mean((low[solved] <= p) & (p <= high[solved])) == pytest.approx(0.95, abs=0.01)


@pytest.mark.parametrize("trials", [1, 3, 10, 1000])
def test_none_and_all_of_n_reach_to_the_end_and_no_further(trials):
    none, every = SolvedShare.of(0, trials), SolvedShare.of(trials, trials)
    assert none.low == pytest.approx(0, abs=1e-15)
    assert none.high == pytest.approx(Z**2 / (trials + Z**2), rel=1e-12)
    assert every.low == pytest.approx(trials / (trials + Z**2), rel=1e-12)
    assert every.high == pytest.approx(1, abs=1e-15)


@pytest.mark.parametrize("trials", [1, 2, 3, 10, 30, 1000])
def test_the_exact_interval_is_that_of_clopper_and_pearson(trials):
    """Of beta quantiles; in closed form where none or all solved."""
    for solved in range(0, trials + 1, max(1, trials // 10)):
        low, high = SolvedShare.of(solved, trials).exact
        assert low == pytest.approx(beta.ppf(0.025, solved, trials - solved + 1) if solved else 0, rel=1e-9)
        assert high == pytest.approx(
            beta.ppf(0.975, solved + 1, trials - solved) if solved < trials else 1, rel=1e-9
        )
    assert SolvedShare.of(0, trials).exact == (0, pytest.approx(1 - 0.025 ** (1 / trials), rel=1e-9))
    assert SolvedShare.of(trials, trials).exact == (pytest.approx(0.025 ** (1 / trials), rel=1e-9), 1)


@pytest.mark.parametrize("trials", [1, 4, 10])
def test_the_exact_interval_covers_every_probability(trials):
    """Wilson's covers it in the mean only."""
    p = np.linspace(0, 1, 2001)
    covered = np.zeros_like(p)
    for solved in range(trials + 1):
        low, high = SolvedShare.of(solved, trials).exact
        covered += binom.pmf(solved, trials, p) * ((low <= p) & (p <= high))
    assert covered.min() >= 0.95


def test_without_trials_nothing_is_known():
    share = SolvedShare.of(0, 0)
    assert (share.low, share.high) == share.exact == (0, 1)
    assert math.isnan(share.share)


@pytest.mark.parametrize(
    ("solved", "trials", "message"),
    [
        (4, 3, "solved must be at most the 3 trials, got 4"),
        (1, 0, "solved must be at most the 0 trials, got 1"),
        (-1, 3, "solved must be a whole number of at least 0, got -1"),
        (1.0, 3, "solved must be a whole number of at least 0, got 1.0"),
        (0, -1, "trials must be a whole number of at least 0, got -1"),
        (0, "3", "trials must be a whole number of at least 0, got '3'"),
    ],
)
def test_counts_are_checked(solved, trials, message):
    with pytest.raises(InvalidArgument) as caught:
        SolvedShare.of(solved, trials)
    assert str(caught.value) == message


def shares(**counts):
    return {int(name[1:]): SolvedShare.of(*count) for name, count in counts.items()}


def test_exactly_half_is_enough_and_less_is_not():
    assert longest_solved(shares(T5=(4, 4), T10=(2, 4), T20=(1, 4))) == 10
    assert longest_solved(shares(T5=(3, 3), T10=(1, 3))) == 5


def test_the_longest_counts_even_where_a_shorter_one_is_not_solved():
    assert longest_solved(shares(T20=(3, 4), T5=(4, 4), T10=(1, 4), T30=(0, 4))) == 20


def test_no_length_solved():
    assert longest_solved(shares(T5=(1, 4), T10=(0, 4))) is None
    assert longest_solved({}) is None


def test_a_length_without_trials_is_not_solved():
    assert longest_solved(shares(T5=(1, 1), T10=(0, 0))) == 5


def test_another_share_can_be_asked_for():
    assert longest_solved(shares(T5=(4, 4), T10=(3, 4), T20=(1, 4)), least=0.75) == 10
    assert longest_solved(shares(T5=(4, 4), T10=(3, 4), T20=(1, 4)), least=1.0) == 5


@pytest.mark.parametrize("least", [0, -1, 1.5, "half", None, True])
def test_the_share_that_counts_is_one(least):
    with pytest.raises(InvalidArgument, match=r"^least must be a finite number above 0 and of at most 1, got "):
        longest_solved({5: SolvedShare.of(1, 2)}, least)
