import numpy as np
import pytest

from memspan.reproduce import Options, capacity, reproduce
from memspan.reproduce.capacity import LinearNetwork, networks


@pytest.mark.parametrize("number", range(5))
def test_theory_is_that_of_the_covariance_of_the_states(number):
    """MC_k = w_kᵀ Γ⁻¹ w_k with Γ = Σ w_k w_kᵀ, with the pseudo-inverse where Γ has none."""
    linear = networks(0)[number]
    responses = linear.responses()
    inverse = np.linalg.pinv(responses @ responses.T, rcond=1e-12, hermitian=True)
    expected = np.einsum("ik,ij,jk->k", responses, inverse, responses)
    np.testing.assert_allclose(linear.by_lag(), expected, atol=1e-6)
    assert linear.by_lag().sum() == pytest.approx(linear.rank)


def test_ranks_are_those_that_one_can_see():
    assert [linear.rank for linear in networks(3)] == [10, 30, 12, 3, 1]


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
    linear = LinearNetwork("delays", np.eye(4, k=1), np.eye(1, 4), 12)
    total, lags = capacity.measure((linear, (0,)))
    assert total.agrees
    assert total.paper == "4 (rank)"
    assert lags.agrees
    monkeypatch.setattr(LinearNetwork, "rank", property(lambda self: 3))
    assert not capacity.measure((linear, (0,)))[0].agrees


@pytest.mark.slow
def test_the_whole_reproduction_agrees(monkeypatch):
    monkeypatch.setattr(capacity, "SEQUENCES", 5000)
    short = [linear for linear in networks(1) if linear.length < 300]
    monkeypatch.setattr(capacity, "networks", lambda seed: short)
    page = reproduce("memory-capacity", Options(seed=1, progress="none"))
    assert page.sentence == f"Reproduced: all {len(page.findings)} findings agree."
