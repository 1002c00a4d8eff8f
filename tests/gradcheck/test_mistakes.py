"""Every planted mistake is rejected, at the weights it spoils and at the time steps where it is made."""

import numpy as np
import pytest

from memspan import MSELoss, Network, Recall, gradient_check
from memspan.gradcheck.mistakes import MISTAKES, ConstantBatchLoss, MistakenNetwork

T, B = 48, 4
every_cell = pytest.mark.parametrize("cell", ["rnn", "lstm"])
every_mistake = pytest.mark.parametrize("name", sorted(MISTAKES))


@pytest.fixture
def case(cell):
    rng = np.random.default_rng(1)
    network = Network(cell, 1, 5, 1, init="uniform", rng=rng)
    return network, *Recall().sample(T, B, rng)


def report_of(case, name):
    network, x, y = case
    loss = ConstantBatchLoss(B + 3) if name == "constant-batch-size" else MSELoss()
    return gradient_check(MistakenNetwork.like(network, name), x, y, loss)


def failing_steps(report):
    return {row.weight: row.failing for row in report.failures if row.scope == "steps"}


@every_cell
def test_the_network_without_a_mistake_passes(case):
    network, x, y = case
    assert gradient_check(network, x, y, MSELoss())


@every_cell
@every_mistake
def test_the_forward_pass_is_right_and_the_backward_pass_is_not(case, name):
    network, x, _ = case
    mistaken = MistakenNetwork.like(network, name)
    np.testing.assert_array_equal(mistaken.forward(x), network.forward(x))


@every_cell
@every_mistake
def test_a_mistake_is_rejected_at_the_weights_it_spoils_and_at_no_other(case, name):
    report = report_of(case, name)
    assert not report
    assert {row.weight for row in report.failures} == set(MISTAKES[name].weights), str(report)


# The steps at which each mistake shows in W, R and bs; R has no part in the first step, where a[t-1] is 0.
STEPS = {
    "last-step-dropped": {"W": (T - 1, T - 1), "R": (T - 1, T - 1), "bs": (T - 1, T - 1)},
    "truncated": {"W": (0, T // 2 - 1), "R": (1, T // 2 - 1), "bs": (0, T // 2 - 1)},
    "not-transposed": {"W": (0, T - 2), "R": (1, T - 2), "bs": (0, T - 2)},
    "a-for-previous-a": {"R": (0, T - 1)},
    "bias-of-one-sample": {"bs": (0, T - 1)},
    "batch-mean-twice": {"W": (0, T - 1), "R": (1, T - 1), "bs": (0, T - 1)},
    "derivative-of-previous-step": {"W": (0, T - 1), "R": (1, T - 1), "bs": (0, T - 1)},
    "gate-sign": {"W": (0, T - 1), "R": (1, T - 1), "bs": (0, T - 1)},
    "float32-sum": {"R": (1, T - 1)},
    "constant-batch-size": {},
    "clip-inside": {},
    "aliased-buffer": {},
}


@every_cell
@every_mistake
def test_a_mistake_is_placed_at_its_time_steps(case, cell, name):
    expected = {weight: tuple(range(first, last + 1)) for weight, (first, last) in STEPS[name].items()}
    if (cell, name) == ("rnn", "gate-sign"):
        # The only gate's sign is wrong once more with every step back, and so right at every second one.
        expected = dict.fromkeys(("W", "R", "bs"), tuple(range(1, T, 2)))
    assert failing_steps(report_of(case, name)) == expected


@pytest.mark.parametrize("cell", ["rnn"])
def test_a_truncation_is_seen_where_the_gradient_is_below_1e_minus_8(case):
    network, x, y = case
    loss = MSELoss()
    loss.forward(network.forward(x), y)
    gradients = network.backward(loss.backward())
    lost = max(np.abs(gradients[name][: T // 2]).max() for name in ("d_W", "d_R", "d_bs"))
    assert 0 < lost < 1e-8
    report = report_of(case, "truncated")
    assert set(failing_steps(report)) == {"W", "R", "bs"}


@pytest.mark.parametrize("cell", ["lstm"])
def test_the_gate_whose_sign_is_wrong_is_named(case):
    failures = report_of(case, "gate-sign").failures
    # The other gates are wrong too, one step further back; where the mistake enters, the forget gate is alone.
    at_the_end = [row for row in failures if row.scope == "steps"]
    assert {(row.weight, row.step, row.gate) for row in at_the_end} == {(w, T - 1, "f") for w in ("W", "R", "bs")}


@every_cell
def test_mistakes_that_no_comparison_of_values_shows_are_broken_contracts(case):
    def scopes(name):
        return {row.scope for row in report_of(case, name).failures}

    assert scopes("clip-inside") == {"linear"}
    assert scopes("aliased-buffer") == {"ownership"}
    assert scopes("constant-batch-size") == {"loss, B=1", f"loss, B={B}", f"loss, B={B + 1}"}


@every_cell
def test_a_constant_batch_size_is_seen_even_where_it_is_the_right_one(case):
    network, x, y = case
    report = gradient_check(network, x, y, ConstantBatchLoss(B))
    assert {(row.weight, row.scope) for row in report.failures} == {
        ("y_hat", "loss, B=1"),
        ("y_hat", f"loss, B={B + 1}"),
    }


@every_cell
def test_one_sequence_alone_is_enough_for_the_mistakes_in_the_sum_over_the_batch(case):
    network, x, y = case
    for name in ("bias-of-one-sample", "batch-mean-twice"):
        report = gradient_check(MistakenNetwork.like(network, name), x[:, 0], y[:1], MSELoss())
        assert {row.weight for row in report.failures} == set(MISTAKES[name].weights)
