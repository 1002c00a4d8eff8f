from fractions import Fraction

import numpy as np
import pytest

from memspan.reproduce import Options, Verdict, capacity, reproduce
from memspan.reproduce.capacity import LinearNetwork, networks


@pytest.mark.parametrize("number", range(5))
def test_theory_is_that_of_the_covariance_of_the_states(number):
    """MC_k = w_kᵀ Γ⁻¹ w_k with Γ = Σ w_k w_kᵀ, or with the pseudo-inverse if Γ is singular."""
    linear = networks(0)[number]
    responses = linear.responses()
    inverse = np.linalg.pinv(responses @ responses.T, rcond=1e-12, hermitian=True)
    expected = np.einsum("ik,ij,jk->k", responses, inverse, responses)
    np.testing.assert_allclose(linear.by_lag(), expected, atol=1e-6)
    assert linear.by_lag().sum() == pytest.approx(linear.rank)


def test_ranks_are_those_of_the_construction():
    assert [linear.rank for linear in networks(3)] == [10, 30, 12, 3, 1, 30]
    assert [linear.rank_in_float64 for linear in networks(3)][:5] == [10, 30, 12, 3, 1]


def exact_rank(linear):
    """Return the rank of the first H responses, computed with fractions."""
    R = [[Fraction(value) for value in row] for row in linear.R.tolist()]
    column, rows = [Fraction(value) for value in linear.W[0].tolist()], []
    for _ in R:
        rows.append(column)
        column = [sum(a * row[k] for a, row in zip(column, R, strict=True) if row[k]) for k in range(len(R))]
    rank = 0
    for place in range(len(R)):
        found = next((row for row in rows[rank:] if row[place]), None)
        if found is None:
            continue
        rows.remove(found)
        rows.insert(rank, found)
        rank += 1
        for k in range(rank, len(rows)):
            if factor := rows[k][place] / found[place]:
                rows[k] = [a - factor * b for a, b in zip(rows[k], found, strict=True)]
    return rank


def test_the_last_network_is_of_full_rank_and_float64_does_not_see_it():
    last = networks(0)[5]
    assert exact_rank(last) == last.rank == 30
    assert last.rank_in_float64 < 25
    assert exact_rank(networks(0)[2]) == 12  # a network whose rank is known, to test exact_rank


def test_lag_0_is_not_counted():
    """At seed 0, the capacities without lag 0 are 9.12, 29.05, 11, 2.53 and 0.81."""
    totals = [linear.rank - linear.by_lag()[0] for linear in networks(0)][:5]
    np.testing.assert_allclose(totals, [9.12, 29.05, 11, 2.53, 0.81], atol=0.005)


def test_a_line_of_delays_keeps_the_last_numbers_and_nothing_else():
    line = networks(0)[2]
    np.testing.assert_allclose(line.by_lag(), [1] * 12 + [0] * 28, atol=1e-12)


def test_responses_are_what_a_network_does_to_an_impulse():
    from memspan import Network

    linear = networks(0)[0]
    network = Network("rnn-linear", 1, 10, 1, rng=0)
    network.R, network.W, network.bs = linear.R, linear.W, np.zeros((10, 1))
    impulse = np.zeros((linear.length, 1))
    impulse[0] = 1
    network.forward(impulse)
    np.testing.assert_allclose(network.trace.a[:, 0].T, linear.responses(), atol=1e-14)


def test_measured_capacity_agrees_and_a_wrong_rank_would_not(monkeypatch):
    monkeypatch.setattr(capacity, "SEQUENCES", 3000)
    linear = LinearNetwork("delays", 4, np.eye(4, k=1), np.eye(1, 4), 12)
    measured = capacity.measure_one((linear, (0,)))
    total, lags = capacity.judge([measured])
    assert (total.verdict, lags.verdict) == (Verdict.AGREES, Verdict.AGREES)
    assert total.published == "3.00 (rank 4 minus the capacity of lag 0)"
    assert measured["total"] == pytest.approx(3, abs=0.05)
    wrong, *others = capacity.judge([measured | {"rank": 3}])
    assert wrong.verdict is Verdict.DIFFERS
    assert others == []  # single lags are compared only if the numerical rank is exact
    with_lag_0, _ = capacity.judge([measured | {"lag_0": 0.0}])
    assert with_lag_0.verdict is Verdict.DIFFERS


@pytest.mark.slow
def test_the_whole_agrees_but_for_the_network_that_float64_does_not_see(monkeypatch):
    monkeypatch.setattr(capacity, "SEQUENCES", 5000)
    short = [linear for linear in networks(1) if linear.length < 300 or not linear.R[0, 1]]
    monkeypatch.setattr(capacity, "networks", lambda seed: short)
    page = reproduce("memory-capacity", Options(seed=1, progress="none"))
    assert [finding.verdict for finding in page.findings] == [Verdict.AGREES] * 8 + [Verdict.DIFFERS]
