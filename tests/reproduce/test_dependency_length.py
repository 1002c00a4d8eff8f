import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memspan.errors import MachineFailed
from memspan.reproduce import Options, Verdict
from memspan.reproduce import dependency_length as module
from memspan.reproduce.dependency_length import LONGEST, MOST, SETTING, dependency_length, search
from memspan.study.trial import Trial

QUIET = Options(progress="none")
AGREES, DIFFERS, UNDECIDED, _ = Verdict


def searched(solved, most=MOST):
    """Return the length that the search finds, and the delays that it tried in turn."""
    tried = []

    def learns(delay):
        tried.append(delay)
        return solved(delay)

    return dependency_length(learns, most), tried


def test_delays_double_until_a_failure_and_are_then_bisected():
    assert searched(lambda delay: delay <= 37) == (37, [1, 2, 4, 8, 16, 32, 64, 48, 40, 36, 38, 37])
    assert searched(lambda delay: False) == (0, [1])


@given(st.integers(0, 2 * MOST), st.integers(1, MOST))
def test_a_sharp_limit_is_found_exactly_and_in_few_runs(limit, most):
    length, tried = searched(lambda delay: delay <= limit, most)
    assert length == min(limit, most)
    assert len(tried) == len(set(tried)) <= 2 * np.log2(length + 1) + 2
    assert max(tried) <= most


@given(st.sets(st.integers(1, 64)))
def test_the_length_was_learnt_and_the_next_one_failed_even_if_others_are_not_in_order(solved):
    length, tried = searched(solved.__contains__, 64)
    assert (length in solved and length in tried) or length == 0
    assert length == 64 or (length + 1 in tried and length + 1 not in solved)


@pytest.fixture
def trials(monkeypatch):
    """Let a run succeed, in 10 updates, up to a delay of 2; record the runs."""
    runs = []

    def run_trial(configuration, length, repetition):
        runs.append((length, repetition))
        solved = length <= 2
        return Trial(
            length=length,
            repetition=repetition,
            outcome="solved" if solved else "unsolved",
            updates=10 if solved else configuration.updates,
        )

    monkeypatch.setattr(module, "run_trial", run_trial)
    return runs


def test_the_cost_is_every_step_of_every_training_sequence(trials):
    length, steps = search((SETTING.with_(updates=100), 7))
    assert (length, trials) == (2, [(1, 7), (2, 7), (4, 7), (3, 7)])
    assert steps == 32 * (10 * 21 + 10 * 22 + 100 * 24 + 100 * 23)


def test_a_run_that_ends_with_an_error_is_no_failure_to_learn(monkeypatch):
    monkeypatch.setattr(
        module, "run_trial", lambda *key: Trial(length=1, repetition=0, outcome="failed", reason="no memory")
    )
    with pytest.raises(MachineFailed, match="no memory"):
        search((SETTING, 0))


def interval(low, high):
    return {"low": low, "span": None, "high": high, "trainings": 20, "steps": 3_000_000}


def measured(lengths, *intervals):
    found = list(intervals) or [interval(None, None)] * 2
    return {"gru": {"lengths": lengths, "steps": [2_000_000, 4_000_000], "intervals": found}}


def verdicts(*arguments):
    return [finding.verdict for finding in module.judge(measured(*arguments))]


@pytest.mark.parametrize(
    ("lengths", "expected"),
    [
        ([20, 30], [UNDECIDED, AGREES]),
        ([LONGEST, LONGEST + 1], [UNDECIDED, DIFFERS]),
        ([LONGEST + 1, 90], [DIFFERS, AGREES]),
        ([0, 1], [UNDECIDED, AGREES]),
        ([0, 0], [UNDECIDED, DIFFERS]),
    ],
)
def test_lengths_are_held_to_the_papers_longest_and_noise_to_its_ratio(lengths, expected):
    assert verdicts(lengths)[:2] == expected


def test_an_interval_is_compared_with_the_range_of_the_searches():
    assert verdicts([20, 30], interval(20.0, 30.0), interval(21.5, 26.5))[2:] == [DIFFERS, AGREES]
    assert verdicts([20, 30], interval(None, 26.0), interval(21.5, None))[2:] == [DIFFERS, DIFFERS]
    *_, one, many = module.judge(measured([20, 30], interval(20.0, None), interval(21.5, 26.5)))
    assert (one.ours, many.ours) == ("open on one side", "5.0 (21.5 to 26.5)")
    assert "at the cost of one search (3 million time steps, 20 trainings)" in one.quantity
    assert "at the cost of all 10 searches" in many.quantity
    assert many.published == "no interval; the searches range over 10"


def test_our_own_search_gets_the_mean_cost_of_one_search_and_of_all(trials, monkeypatch):
    asked = []

    def ours(configuration, cost, options):
        asked.append((configuration.cell, cost, options))
        return interval(1.5, 2.5)

    monkeypatch.setattr(module, "ours", ours)
    monkeypatch.setattr(module, "prepared", lambda *key: None)
    found = module.measure(QUIET)
    assert list(found) == ["rnn", "gru", "lstm"]
    for k, (cell, its) in enumerate(found.items()):
        assert its["lengths"] == [2] * 10
        mean = np.mean(its["steps"])
        assert asked[2 * k : 2 * k + 2] == [(cell, mean, QUIET), (cell, 10 * mean, QUIET)]
        assert its["intervals"] == [interval(1.5, 2.5)] * 2
    assert sorted(trials) == sorted((delay, k) for delay in (1, 2, 4, 3) for k in range(10) for _ in found)


def test_our_own_search_costs_no_more_than_it_may():
    short = SETTING.with_(updates=3, evaluate_every=1)
    found = module.ours(short, 32 * 3 * 21 * 40, QUIET)
    assert 0 < found["steps"] <= 32 * 3 * 21 * 40
    assert found["trainings"] > 0


def test_a_search_is_a_function_of_its_seed_and_number():
    short = SETTING.with_(updates=3, evaluate_every=1)
    assert search((short, 4)) == search((short, 4)) == (0, 3 * 32 * 21)
