import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memspan import InvalidArgument
from memspan.span.compare import PairOfSpans, SpanRatio, compare_all, compare_spans, holm
from memspan.span.likelihood import Likelihood

LENGTHS = np.array([5, 10, 15, 20, 25, 30, 40])


def known(span, trials=10, rng=None, slope=4.5, lengths=LENGTHS):
    p = 1 / (1 + (lengths / span) ** slope)
    return Likelihood.of(lengths, np.round(trials * p) if rng is None else rng.binomial(trials, p), trials)


def test_the_ratio_is_that_of_the_spans():
    found = compare_spans(known(26, 200), known(13, 200))
    assert found.ratio == pytest.approx(2, rel=0.05)
    assert found.low < 2 < found.high
    assert found.p < 1e-6


def test_the_interval_is_that_of_draws_from_both_posteriors():
    a, b = known(26), known(18)
    found, rng = compare_spans(a, b), np.random.default_rng(0)
    draws = [rng.choice(one.tau, 400_000, p=one.posterior) for one in (a, b)]
    low, middle, high = np.exp(np.quantile(draws[0] - draws[1], [0.025, 0.5, 0.975]))
    np.testing.assert_allclose((found.low, found.ratio, found.high), (low, middle, high), rtol=0.01)
    below = np.mean(draws[0] < draws[1]) + np.mean(np.isclose(draws[0], draws[1])) / 2
    assert found.p == pytest.approx(2 * min(below, 1 - below), abs=0.01)


@given(st.integers(0, 2**32))
def test_the_other_way_round_everything_is_inverted(seed):
    rng = np.random.default_rng(seed)
    a, b = known(rng.uniform(8, 30), rng=rng), known(rng.uniform(8, 30), rng=rng)
    one, other = compare_spans(a, b), compare_spans(b, a)
    for mine, theirs in ((one.low, other.high), (one.ratio, other.ratio), (one.high, other.low)):
        assert (mine is None) == (theirs is None)
        if mine is not None:
            assert mine * theirs == pytest.approx(1, rel=1e-6)
    assert one.p == pytest.approx(other.p, abs=1e-9)


def test_a_span_is_not_told_from_itself():
    found = compare_spans(known(20), known(20))
    assert found.p == pytest.approx(1, abs=1e-6)
    assert found.ratio == pytest.approx(1, abs=1e-3)


def test_equal_spans_are_seldom_told_apart_and_unequal_ones_often():
    """At most 5 % false positives; at a ratio of 2, 7 x 10 trainings tell nearly all apart."""
    rng = np.random.default_rng(5)
    p = {
        ratio: np.array([
            compare_spans(known(20 * ratio**0.5, rng=rng), known(20 / ratio**0.5, rng=rng)).p for _ in range(60)
        ])
        for ratio in (1, 2)
    }  # fmt: skip
    assert np.mean(p[1] < 0.05) <= 0.1
    assert np.mean(p[2] < 0.05) >= 0.85


def test_open_ends_stay_open():
    at_least = Likelihood.of([5, 10, 20], [8, 8, 8], 8)
    below = Likelihood.of([5, 10, 20], [0, 0, 0], 8)
    middle = known(8, 40)
    assert compare_spans(at_least, middle).short.startswith("at least ")
    assert compare_spans(middle, at_least).short.startswith("at most ")
    assert compare_spans(at_least, at_least).short == "unknown"
    assert compare_spans(at_least, below).short.startswith("at least ")
    assert compare_spans(at_least, at_least).p > 0.9


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holms_correction_rejects_what_its_definition_rejects(p_values):
    """Step down: reject the smallest p of the m that are left while p <= alpha / m."""
    corrected = holm(p_values)
    for alpha in (0.01, 0.05, 0.3):
        left, rejected = sorted(range(len(p_values)), key=lambda k: p_values[k]), set()
        while left and p_values[left[0]] * len(left) <= alpha:
            rejected.add(left.pop(0))
        assert {k for k, p in enumerate(corrected) if p <= alpha} == rejected


def test_pairs_are_corrected_together_and_said_in_words():
    pairs = compare_all({"rnn": known(12, 30), "gru": known(26, 30), "lstm": known(25, 30)})
    assert [(pair.a, pair.b) for pair in pairs] == [("rnn", "gru"), ("rnn", "lstm"), ("gru", "lstm")]
    assert [pair.p for pair in pairs] == holm([pair.ratio.p for pair in pairs])
    assert [pair.told_apart for pair in pairs] == [True, True, False]
    assert pairs[0].sentence.startswith("gru remembers 2.")
    assert "times as far as rnn (95 %; p = " in pairs[0].sentence
    assert pairs[2].sentence.startswith("These data cannot tell gru from lstm (p = ")


def test_a_ratio_known_on_one_side_is_said_so():
    pair = PairOfSpans("a", "b", SpanRatio(None, None, 0.5, 0.95, 0.001), 0.001)
    assert pair.sentence == "b remembers at least 2 times as far as a (95 %; p = 0.001)."


def test_what_cannot_be_compared_is_refused():
    half, ninety = known(20), Likelihood.of([5, 10], [8, 0], 8, 0.9)
    for arguments in ((half, 3), (3, half), (half, ninety), (half, half, 1.0)):
        with pytest.raises(InvalidArgument):
            compare_spans(*arguments)
