"""The estimate of a span: against statsmodels, closed forms, symmetries and simulations."""

import warnings

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from memspan import InvalidArgument, SpanEstimate, estimate_span
from memspan.span import Likelihood, quantiles, read_span
from memspan.span.lattice import STEP

LENGTHS = (5, 10, 15, 20, 25, 30, 40)
LENGTH = st.integers(1, 200)
COUNTS = st.lists(st.tuples(LENGTH, st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=8)
"""Lengths, solved and unsolved trainings."""


def logistic(lengths, span=20.0, slope=4.5):
    return 1 / (1 + (np.asarray(lengths) / span) ** slope)


def of(counts, **options):
    lengths, solved, unsolved = zip(*counts, strict=True)
    return estimate_span(lengths, solved, np.add(solved, unsolved), **options)


def by_statsmodels(lengths, solved, trials):
    """T50 of a logistic regression on the log length, and its 95 % interval by the delta method."""
    from statsmodels.genmod.families import Binomial
    from statsmodels.genmod.generalized_linear_model import GLM

    x = np.log(lengths)
    fit = GLM(np.column_stack([solved, np.subtract(trials, solved)]), np.column_stack([np.ones_like(x), x]),
              family=Binomial()).fit()  # fmt: skip
    a, b = fit.params
    slope = np.array([-1 / b, a / b**2])
    half = 1.96 * np.sqrt(slope @ fit.cov_params() @ slope)
    return np.exp([-a / b - half, -a / b, -a / b + half])


@pytest.mark.parametrize("span", [14.0, 19.0, 24.0])
@pytest.mark.parametrize("slope", [3.0, 6.0])
def test_it_agrees_with_logistic_regression_where_the_curve_is_logistic(span, slope):
    """The family is larger than the regression's, so its interval is wider, but not by much."""
    lengths = np.array([4, 6, 9, 13, 16, 20, 25, 32, 45])
    solved = np.round(40 * logistic(lengths, span, slope))
    found, (low, middle, high) = estimate_span(lengths, solved, 40), by_statsmodels(lengths, solved, 40)
    assert found.span == pytest.approx(middle, rel=0.03)
    assert found.fits
    assert 0.95 < np.log(found.high / found.low) / np.log(high / low) < 2
    np.testing.assert_allclose(found.curve(lengths), logistic(lengths, span, slope), atol=0.05)


@settings(max_examples=50)
@given(COUNTS, st.randoms(use_true_random=False))
def test_neither_order_nor_merging_changes_a_bit(counts, random):
    assume(any(solved + unsolved for _, solved, unsolved in counts))
    whole = of(counts)
    single = [one for length, k, m in counts for one in [(length, 1, 0)] * k + [(length, 0, 1)] * m]
    random.shuffle(single)
    assert of(single) == whole
    assert of([*counts[::-1], (7, 0, 0)]) == whole


@settings(max_examples=50)
@given(COUNTS, st.integers(-300, 300))
def test_other_units_of_length_scale_the_span(counts, steps):
    """By whole steps of the lattice. Rounding may move the lattice by one, and so open or close an end."""
    assume(any(solved + unsolved for _, solved, unsolved in counts))
    factor = np.exp(STEP * steps)
    one, other = of(counts), of([(factor * length, k, m) for length, k, m in counts])
    for name in ("span", "low", "high"):
        mine, theirs = getattr(one, name), getattr(other, name)
        if mine is not None and theirs is not None:
            assert theirs == pytest.approx(factor * mine, rel=0.02)
    assert one.smooth == pytest.approx(other.smooth, abs=0.01)


def test_other_units_hardly_matter_where_the_counts_say_much():
    one, other = (estimate_span(unit * np.array(LENGTHS), [10, 10, 9, 6, 3, 1, 0], 10) for unit in (1, 1.2345))
    for name in ("span", "low", "high"):
        assert getattr(other, name) == pytest.approx(1.2345 * getattr(one, name), rel=0.01)


@pytest.mark.parametrize("trials", [4, 10, 50, 1000])
def test_counts_that_are_separated_give_nearly_the_whole_gap(trials):
    """The central 95 % of it, if every place in the gap were equally likely; curves are not quite as steep."""
    found = estimate_span([10, 20, 40, 80], [trials, trials, 0, 0], trials)
    assert 20 < found.low < 21.1
    assert 37.9 < found.high < 40
    assert found.span == pytest.approx(np.sqrt(20 * 40), rel=0.02)


def test_more_trainings_narrow_the_interval_as_the_root_of_their_number():
    widths = []
    for trials in (25, 100, 400):
        found = estimate_span(LENGTHS, np.round(trials * logistic(LENGTHS)), trials)
        widths.append(np.log(found.high / found.low))
        assert found.span == pytest.approx(20, rel=0.03)
    assert 1.5 < widths[0] / widths[1] < 2.7
    assert 1.5 < widths[1] / widths[2] < 2.7


def test_more_solved_trainings_make_the_span_longer():
    spans = [estimate_span([10, 20, 40], [8, k, 0], 8).span for k in range(9)]
    assert np.all(np.diff(spans) > 0)


def test_a_larger_share_has_a_shorter_span_and_a_larger_level_a_wider_interval():
    solved = np.round(50 * logistic(LENGTHS))
    spans = [estimate_span(LENGTHS, solved, 50, share).span for share in (0.3, 0.5, 0.7, 0.9)]
    assert np.all(np.diff(spans) < 0)
    widths = [estimate_span(LENGTHS, solved, 50, level=level).relative_width for level in (0.5, 0.9, 0.95, 0.99)]
    assert np.all(np.diff(widths) > 0)


@settings(max_examples=50)
@given(COUNTS, st.sampled_from([0.02, 0.3, 0.5, 0.9]))
def test_the_likeliest_curve_crosses_the_share_at_its_span(counts, share):
    assume(any(solved + unsolved for _, solved, unsolved in counts))
    best = of(counts, share=share).best
    assert best(np.exp([best.tau])) == pytest.approx(share, abs=1e-9)
    assert np.all(np.diff(best(np.geomspace(0.1, 1000, 50))) <= 1e-12)


def test_the_curve_is_that_of_the_counts():
    found = estimate_span([10, 20, 40], [9, 5, 1], 10)
    np.testing.assert_allclose(found.curve([10, 20, 40]), [0.9, 0.5, 0.1], atol=0.06)
    assert found.curve(20).shape == ()


@settings(max_examples=50)
@given(COUNTS)
def test_nothing_is_extrapolated(counts):
    assume(any(solved + unsolved for _, solved, unsolved in counts))
    found = of(counts)
    ends = [end for end in (found.low, found.span, found.high) if end is not None]
    assert ends == sorted(ends)
    assert all(found.lengths[0] <= end <= found.lengths[-1] for end in ends)
    assert found.left_censored == (found.low is None)
    assert found.right_censored == (found.high is None)
    assert (found.relative_width < np.inf) == (len(ends) == 3)
    assert sum(solved + unsolved for _, solved, unsolved in counts) == found.trainings


@pytest.mark.parametrize(
    ("counts", "short", "text"),
    [
        (([10, 20, 30, 40], [10, 8, 2, 0], 10), "25.5 [20, 30]", "T50 = 25.5 steps [20, 30] (95 %), from 40 "),
        (
            ([5, 10], [10, 10], 10),
            "at least 10",
            "T50 is at least 10 steps (95 %), from 20 trainings at 2 lengths",
        ),
        (([5, 10], [0, 0], 10), "below 5", "T50 is below 5 steps (95 %), from 20 trainings at 2 lengths"),
        (([1, 2], [0, 0], 10), "below 1", "T50 is below 1 step (95 %), from 20 trainings at 2 lengths"),
        (([5], [1], 1), "unknown", "T50 is unknown (95 %), from 1 training at 1 length"),
        (([5, 10, 20], [8, 8, 3], 8), "19.1 [at least 10.8]", "T50 = 19.1 steps [at least 10.8] (95 %), from 24"),
        (([10, 20, 40], [5, 0, 0], 8), "11.3 [below 18.5]", "T50 = 11.3 steps [below 18.5] (95 %), from 24"),
        (
            ([5, 10, 20], [1, 1, 0], 1),
            "15 [no bounds]",
            "T50 = 15 steps [no bounds] (95 %), from 3 trainings at 3",
        ),
        (([1000, 2000, 4000], [50, 50, 0], 50), "2827 [", "T50 = 2827 steps ["),
    ],
)
def test_it_is_said_in_words(counts, short, text):
    found = estimate_span(*counts)
    assert found.short.startswith(short)
    assert str(found).startswith(text)


def test_the_share_and_the_level_are_named():
    found = estimate_span(LENGTHS, [30, 30, 20, 10, 5, 1, 0], 30, share=0.9, level=0.8)
    assert str(found).startswith("T90 = ")
    assert "(80 %)" in str(found)
    assert (found.name, estimate_span([5], [1], 1, 0.125).name) == ("T90", "T12.5")


def test_counts_that_fall_in_steps_are_said_to_and_widen_the_interval():
    """A plateau at 0.6 from 6 to 30, with many trainings: no smooth curve has one."""
    stepped = estimate_span((4, 6, 10, 15, 20, 30, 40, 60), [100, 60, 60, 60, 60, 60, 0, 0], 100)
    smooth = estimate_span((4, 6, 10, 15, 20, 30, 40, 60), [100, 98, 92, 80, 65, 40, 26, 11], 100)
    assert not stepped.fits
    assert str(stepped).endswith("; no smooth curve fits these counts")
    assert (stepped.low, stepped.high) == (pytest.approx(30, rel=0.05), pytest.approx(40, rel=0.05))
    assert smooth.fits
    assert str(smooth).endswith("lengths")


def covered(share, asked, simulations=150):
    """How often the interval for the share `asked` covers the span of the share `share`."""
    rng, lengths, true = np.random.default_rng(3), np.array(LENGTHS), 20 * (1 / share - 1) ** (1 / 4.5)
    found = [estimate_span(lengths, rng.binomial(10, logistic(lengths)), 10, asked) for _ in range(simulations)]
    return np.mean([(e.low or 0) <= true <= (e.high or np.inf) for e in found])


def test_the_interval_covers_the_span_and_not_that_of_another_share():
    assert covered(0.5, 0.5) >= 0.93
    assert covered(0.8, 0.8) >= 0.93
    assert covered(0.8, 0.5) < 0.6


def test_the_posterior_is_a_distribution_whose_quantiles_are_the_estimate():
    likelihood = Likelihood.of(LENGTHS, [10, 10, 9, 6, 3, 1, 0], 10)
    assert likelihood.posterior.sum() == pytest.approx(1)
    np.testing.assert_allclose(np.diff(likelihood.tau), 0.01)
    low, middle, high = np.exp(quantiles(likelihood.tau, likelihood.posterior, [0.05, 0.5, 0.95]))
    found = read_span(likelihood, 0.9)
    assert (found.low, found.span, found.high) == pytest.approx((low, middle, high))
    assert found == estimate_span(LENGTHS, [10, 10, 9, 6, 3, 1, 0], 10, level=0.9)
    mean, deviation = 3.0, 0.2  # of a normal distribution
    x = np.arange(100, 500) * 0.01
    found = quantiles(x, np.exp(-0.5 * ((x - mean) / deviation) ** 2), [0.025, 0.5, 0.975])
    np.testing.assert_allclose(found, [mean - 1.96 * deviation, mean, mean + 1.96 * deviation], atol=2e-4)


@pytest.mark.parametrize("solved", [[10, 10, 9, 6, 3, 1, 0], [10, 8, 8, 7, 7, 1, 1], [9, 9, 8, 9, 8, 9, 0]])
@pytest.mark.parametrize("share", [0.5, 0.9])
def test_the_lattice_is_fine_enough(monkeypatch, solved, share):
    """A finer one moves the ends by little of the interval's width."""
    levels = [0.025, 0.975]
    usual = Likelihood.of(LENGTHS, solved, 10, share)
    monkeypatch.setattr("memspan.span.likelihood.POINTS", 1000)
    monkeypatch.setattr("memspan.span.likelihood.NEGLECTED", 1e-8)
    finer = Likelihood.of(LENGTHS, solved, 10, share)
    ends, exact = (quantiles(one.tau, one.posterior, levels) for one in (usual, finer))
    np.testing.assert_allclose(ends, exact, atol=0.02 * (exact[1] - exact[0]))


def test_numbers_of_any_kind_are_counts():
    expected = estimate_span([10, 20, 40], [8, 5, 1], [8, 8, 8])
    for lengths in ((10, 20, 40), np.array([10, 20, 40], np.uint8), np.array([10.0, 20.0, 40.0], np.float32)):
        for solved in ((8, 5, 1), np.array([8, 5, 1], np.int8), [8.0, 5.0, 1.0]):
            assert estimate_span(lengths, solved, 8) == expected
    assert isinstance(expected, SpanEstimate)


def test_very_many_and_very_long_lengths_are_no_problem():
    lengths = np.arange(1, 301)
    found = estimate_span(lengths, (logistic(lengths, 100) > 0.5).astype(int), 1)
    assert found.span == pytest.approx(100, rel=0.05)
    assert estimate_span([1, 10**9], [10**6, 0], 10**6).span == pytest.approx(10**4.5, rel=0.02)
    assert estimate_span([1e-3, 1], [5, 5], 5).short == "at least 1"


RIGHT = {"lengths": [5, 10], "solved": [3, 1], "trials": [4, 4], "share": 0.5, "level": 0.95}
A_ROW = "a one-dimensional array of numbers"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"lengths": 5}, f"lengths must be {A_ROW}, got 5"),
        ({"lengths": [[5, 10]]}, f"lengths must be {A_ROW}, got [[5, 10]]"),
        ({"lengths": ["a", "b"]}, f"lengths must be {A_ROW}, got dtype <U1"),
        ({"lengths": [[1], [1, 2]]}, "lengths must be a rectangular array, got list"),
        ({"lengths": [0, 5]}, "lengths must be finite numbers above 0, got array([0., 5.])"),
        ({"lengths": [np.nan, 5]}, "lengths must be finite numbers above 0, got array([nan,  5.])"),
        ({"lengths": [np.inf, 5]}, "lengths must be finite numbers above 0, got array([inf,  5.])"),
        ({"lengths": np.ma.ones(2)}, "lengths must be an array without a mask, got a numpy.ma.MaskedArray"),
        ({"solved": [3]}, "solved must be 2 numbers, one for each length, got 1"),
        ({"solved": 3}, f"solved must be {A_ROW}, got 3"),
        ({"solved": [-1, 1]}, "solved must be whole numbers of at least 0, got array([-1.,  1.])"),
        ({"solved": [0.5, 1]}, "solved must be whole numbers of at least 0, got array([0.5, 1. ])"),
        ({"solved": [np.nan, 1]}, "solved must be whole numbers of at least 0, got array([nan,  1.])"),
        ({"solved": [True, False]}, f"solved must be {A_ROW}, got [True, False]"),
        ({"solved": [5, 1]}, "solved must be at most the trials of each length, got 5 of 4 at length 5"),
        ({"solved": np.ma.ones(2)}, "solved must be an array without a mask, got a numpy.ma.MaskedArray"),
        ({"trials": [4, 4, 4]}, "trials must be 2 numbers, one for each length, got 3"),
        ({"trials": [np.inf, 4]}, "trials must be whole numbers of at least 0, got array([inf,  4.])"),
        ({"trials": None}, f"trials must be {A_ROW}, got dtype object"),
        ({"solved": [0, 0], "trials": 0}, "trials must be at least 1 at some length, got none"),
        ({"lengths": [], "solved": [], "trials": []}, "trials must be at least 1 at some length, got none"),
        ({"share": 0}, "share must be a finite number above 0 and below 1, got 0"),
        ({"share": 1.0}, "share must be a finite number above 0 and below 1, got 1.0"),
        ({"level": np.nan}, "level must be a finite number above 0 and below 1, got nan"),
        ({"level": 95}, "level must be a finite number above 0 and below 1, got 95"),
    ],
)
def test_arguments_are_checked(wrong, message):
    with pytest.raises(InvalidArgument) as caught:
        estimate_span(**{**RIGHT, **wrong})
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("lengths", [[0], [-1.0], [np.nan], "abc", [None]])
def test_a_curve_is_asked_about_lengths(lengths):
    with pytest.raises(InvalidArgument, match=r"^lengths must be finite numbers above 0, got "):
        estimate_span(**RIGHT).curve(lengths)


def test_no_counts_warn():
    """Zeros and ones have infinite logits."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for solved in ([4, 4], [0, 0], [4, 0], [0, 4]):
            for share in (1e-6, 0.5, 1 - 1e-6):
                estimate_span([5, 10], solved, 4, share).curve([1e-300, 1, 1e300])
