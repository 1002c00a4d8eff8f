import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memspan import InvalidArgument, estimate_span
from memspan.span.compare import LEAST_P, PairOfSpans, SpanRatio, compare_all, compare_spans, holm
from memspan.span.lattice import STEP
from memspan.span.likelihood import Likelihood

LENGTHS = np.array([5, 10, 15, 20, 25, 30, 40])


LADDER = np.array([4, 6, 9, 14, 20, 30, 46, 68])
LONG = np.array([*LADDER, 100, 150])


def known(span, trials=10, rng=None, slope=4.5, lengths=LENGTHS):
    return Likelihood.of(lengths, *counts(span, trials, rng, slope, lengths))


def counts(span, trials, rng=None, slope=4.5, lengths=LENGTHS):
    p = 1 / (1 + (lengths / span) ** slope)
    return np.round(trials * p) if rng is None else rng.binomial(trials, p), trials


def test_the_ratio_is_that_of_the_spans():
    found = compare_spans(known(26, 200), known(13, 200))
    assert found.ratio == pytest.approx(2, rel=0.05)
    assert found.low < 2 < found.high
    assert found.p == LEAST_P


def random_ladder(rng):
    """What is known of a random span between 8 and 30, from lengths that may end before it or begin after it."""
    first, last = sorted(rng.choice(len(LADDER) + 1, 2, replace=False))
    return known(rng.uniform(8, 30), 4, rng, lengths=LADDER[first:last])


def test_the_interval_is_that_of_draws_from_both_posteriors():
    """A draw beyond the tried lengths of a span may be anywhere beyond."""
    rng = np.random.default_rng(0)
    for a, b in [(known(26), known(18)), *((random_ladder(rng), random_ladder(rng)) for _ in range(8))]:
        found = compare_spans(a, b)
        ends = []
        for one in (a, b):
            tau = rng.choice(one.tau, 200_000, p=one.posterior)
            inside = (tau >= np.log(one.lengths[0])), (tau <= np.log(one.lengths[-1]))
            least = np.where(inside[0], np.minimum(tau, np.log(one.lengths[-1])), -np.inf)
            most = np.where(inside[1], np.maximum(tau, np.log(one.lengths[0])), np.inf)
            ends.append((least, most))
        least, most = ends[0][0] - ends[1][1], ends[0][1] - ends[1][0]
        low = np.quantile(least, 0.025, method="lower")
        high = np.quantile(most, 0.975, method="higher")
        for end, expected in ((found.low, low), (found.high, high)):
            assert end == (pytest.approx(np.exp(expected), rel=0.02) if np.isfinite(expected) else None)
        expected = 2 * min(np.mean(least < -STEP / 2), np.mean(most > STEP / 2))
        at_1 = 2 * max(np.mean(np.abs(least) <= STEP / 2), np.mean(np.abs(most) <= STEP / 2))
        assert min(expected, 1) - 0.01 <= found.p <= expected + at_1 + 0.01


@given(st.integers(0, 2**32))
def test_the_other_way_round_everything_is_inverted(seed):
    rng = np.random.default_rng(seed)
    a, b = random_ladder(rng), random_ladder(rng)
    one, other = compare_spans(a, b), compare_spans(b, a)
    for mine, theirs in ((one.low, other.high), (one.ratio, other.ratio), (one.high, other.low)):
        assert (mine is None) == (theirs is None)
        if mine is not None:
            assert mine * theirs == pytest.approx(1, rel=1e-9)
    assert one.p == other.p
    pairs = PairOfSpans("a", "b", one, one.p), PairOfSpans("b", "a", other, other.p)
    assert pairs[0].told_apart == pairs[1].told_apart
    assert not pairs[0].told_apart or pairs[0].sentence() == pairs[1].sentence()


@given(st.integers(0, 2**32), st.integers(-100, 300))
def test_the_unit_of_the_lengths_does_not_matter(seed, cells):
    """The lengths of both spans are stretched, by whole cells of the lattice."""
    found = []
    for factor in (1.0, np.exp(STEP * cells)):
        rng, ratio = np.random.default_rng(seed), []
        for _ in range(2):
            first, last = sorted(rng.choice(len(LADDER) + 1, 2, replace=False))
            lengths = LADDER[first:last]
            solved = rng.binomial(4, 1 / (1 + (lengths / rng.uniform(8, 30)) ** 4.5))
            ratio.append(Likelihood.of(factor * lengths, solved, 4))
        found.append(compare_spans(*ratio))
    one, other = found
    for mine, theirs in ((one.low, other.low), (one.ratio, other.ratio), (one.high, other.high)):
        assert mine == (None if theirs is None else pytest.approx(theirs, rel=0.01))
    assert one.p == pytest.approx(other.p, rel=0.05)


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


def test_searches_that_ended_early_are_not_told_apart():
    """Two searches of equal spans climb the same ladder, and their budgets end below and beyond the span."""
    rng = np.random.default_rng(6)
    pairs = [(known(90, 4, rng, lengths=LADDER[:4]), known(90, 4, rng, lengths=LONG)) for _ in range(60)]
    assert np.mean([compare_spans(*pair).p < 0.05 for pair in pairs]) <= 0.05
    assert np.mean([compare_spans(*pair).high is None for pair in pairs]) >= 0.9


def test_what_the_prior_says_beyond_the_tried_lengths_decides_nothing():
    """All of the longest lengths are solved: the spans may be anywhere beyond."""
    slow, fast = Likelihood.of(LADDER[:4], [4] * 4, 4), known(90, 4, lengths=LONG)
    found = compare_spans(slow, fast)
    assert (found.ratio, found.high, found.p) == (None, None, 1)


def test_open_ends_stay_open():
    at_least = Likelihood.of([5, 10, 20], [8, 8, 8], 8)
    below = Likelihood.of([5, 10, 20], [0, 0, 0], 8)
    middle = known(8, 40)
    assert compare_spans(at_least, middle).short.startswith("at least ")
    assert compare_spans(at_least, middle).low == pytest.approx(
        20 / estimate_span(LENGTHS, *counts(8, 40)).high, rel=0.1
    )
    assert compare_spans(middle, at_least).short.startswith("at most ")
    assert compare_spans(at_least, at_least).short == "unknown"
    assert compare_spans(at_least, below).low == pytest.approx(4, rel=0.02)
    assert compare_spans(at_least, at_least).p == 1


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
    assert pairs[0].sentence().startswith("gru remembers 2.")
    assert "times as far as rnn (95 %; p < 0.0012)" in pairs[0].sentence()
    assert pairs[2].sentence().startswith("These data cannot tell gru from lstm (p = ")


def test_a_ratio_known_on_one_side_is_said_so():
    pair = PairOfSpans("a", "b", SpanRatio(None, None, 0.5, 0.95, 0.001, 0.001), 0.001)
    assert pair.sentence() == "b remembers at least 2 times as far as a (95 %; p = 0.001)."


def test_a_claim_needs_an_interval_that_excludes_equal_spans():
    for low, high in ((None, 6.0), (0.2, None), (None, None), (0.5, 2.0)):
        pair = PairOfSpans("a", "b", SpanRatio(None, low, high, 0.95, 0.001, 0.001), 0.001)
        assert not pair.told_apart
        assert pair.sentence().startswith("These data cannot tell a from b")


def test_a_p_value_that_the_posteriors_do_not_tell_is_a_bound():
    pairs = compare_all(
        {"short": known(5, 100), "middle": known(15, 100), "long": known(40, 100, lengths=2 * LENGTHS)}
    )
    assert [pair.p for pair in pairs] == [3 * LEAST_P] * 3
    assert {pair.p_text for pair in pairs} == {"p < 0.0012"}


def test_what_cannot_be_compared_is_refused():
    half, ninety = known(20), Likelihood.of([5, 10], [8, 0], 8, 0.9)
    for arguments in ((half, 3), (3, half), (half, ninety), (half, half, 1.0)):
        with pytest.raises(InvalidArgument):
            compare_spans(*arguments)


def test_the_sentence_about_tasks_is_about_the_span_on_them():
    """A task does not remember."""
    pair = PairOfSpans("recall", "parity", SpanRatio(None, 2.29, None, 0.95, 0.001, 0.001), 0.001)
    assert pair.sentence("on") == ("The span on recall is at least 2.29 times that on parity (95 %; p = 0.001).")
    same = PairOfSpans("recall", "parity", SpanRatio(1, 0.5, 2, 0.95, 0.5, 0.5), 0.5)
    assert same.sentence("on") == "These data cannot tell the span on recall from that on parity (p = 0.5)."


def test_where_an_open_end_decides_the_sentence_says_so():
    """The spans are about 12 and 37, but the first may lie beyond 14."""
    spans = {
        "rnn": Likelihood.of([4, 6, 9, 14], [8, 8, 7, 1], 8),
        "gru": Likelihood.of([20, 30, 46, 68], [12, 10, 2, 0], 12),
    }
    (pair,) = compare_all(spans)
    assert pair.ratio.p_inside < 0.001 < 0.05 < pair.ratio.p
    assert pair.sentence() == (
        f"These data cannot tell rnn from gru ({pair.p_text}), because a span may lie outside the lengths tried."
    )


@pytest.mark.parametrize(("inside", "decides"), [(0.001, True), (0.02, True), (0.045, False), (0.08, False)])
def test_an_open_end_decides_only_if_most_of_the_p_value_comes_from_it(inside, decides):
    pair = PairOfSpans("rnn", "gru", SpanRatio(0.5, 0.2, 1.1, 0.95, 0.08, inside), 0.08)
    assert pair.open_end_decides == decides


def test_where_closed_spans_are_compared_no_open_end_decides():
    for ratio in (compare_spans(known(26, 200), known(13, 200)), compare_spans(known(20), known(20))):
        assert not PairOfSpans("rnn", "gru", ratio, ratio.p).open_end_decides
        assert ratio.p_inside <= ratio.p + 1e-9
