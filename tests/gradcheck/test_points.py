"""Points at which little or nothing can be compared: cancellation, kinks, saturation, tiny and huge numbers.

At each of them a right gradient passes and one that is wrong by 1 % fails.
"""

import sys

import numpy as np
import pytest

from memspan import CELLS, MSELoss, Network, SigmoidCrossEntropy, SoftmaxCrossEntropy, gradient_check
from memspan.cells.activations import sigmoid
from memspan.cli import main
from memspan.gradcheck.tolerance import BLIND
from memspan.tasks import get_task

every_cell = pytest.mark.parametrize("cell", sorted(CELLS))
both_dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])


class Wrong(Network):
    """A network whose gradient of one weight is wrong by 1 %."""

    weight = "R"

    def backward(self, d_loss):
        gradients = super().backward(d_loss)
        gradients[f"d_{self.weight}"] = gradients[f"d_{self.weight}"] * 1.01
        return gradients


def wrong_loss(loss):
    """The same loss with a derivative that is wrong by 1 %."""

    class WrongLoss(loss):
        def backward(self):
            return 1.01 * super().backward()

    return WrongLoss()


def softmax(y_hat):
    powers = np.exp(y_hat - y_hat.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def far_bias(network):
    network.by[0] = 10


def equal_rows(network):
    network.V[:] = 0.3


def unchanged(network):
    pass


def first_class(y_hat):
    return np.eye(y_hat.shape[-1])[np.zeros(len(y_hat), int)]


CASES = {
    "p - y of 5e-5, logistic": (SigmoidCrossEntropy, 1, far_bias, np.ones_like),
    "p - y of 1e-4, softmax": (SoftmaxCrossEntropy, 3, far_bias, first_class),
    "y is p, logistic": (SigmoidCrossEntropy, 1, unchanged, sigmoid),
    "y is p, softmax": (SoftmaxCrossEntropy, 3, unchanged, softmax),
    "y is the prediction, squares": (MSELoss, 2, unchanged, np.array),
    "V (p - y) is 0": (SoftmaxCrossEntropy, 3, equal_rows, first_class),
}


def point(case, dtype, kind=Network):
    """The network, inputs, labels and loss of a case."""
    loss, outputs, prepare, labels = CASES[case]
    network = kind("rnn", 2, 4, outputs, dtype=dtype, rng=1)
    prepare(network)
    x = np.random.default_rng(0).standard_normal((6, 3, 2)).astype(dtype)
    return network, x, labels(network.forward(x)).astype(dtype), loss


@both_dtypes
@pytest.mark.parametrize("case", CASES)
def test_where_terms_cancel_a_right_gradient_passes(case, dtype):
    network, x, y, loss = point(case, dtype)
    report = gradient_check(network, x, y, loss())
    assert report.passed, str(report)
    assert not report.unchecked


@both_dtypes
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("weight", ["W", "R", "bs", "V", "by"])
def test_where_terms_cancel_a_gradient_wrong_by_one_per_cent_fails(case, dtype, weight):
    network, x, y, loss = point(case, dtype, Wrong)
    network.weight = weight
    report = gradient_check(network, x, y, loss())
    assert {row.weight for row in report.failures} == {weight}, str(report)


@both_dtypes
@pytest.mark.parametrize("case", CASES)
def test_where_terms_cancel_a_loss_wrong_by_one_per_cent_fails(case, dtype):
    network, x, y, loss = point(case, dtype)
    report = gradient_check(network, x, y, wrong_loss(loss))
    assert {row.weight for row in report.failures} == {"y_hat"}, str(report)


def kinked(kind=Network):
    """A relu network from the identity, whose pre-activations are 0 wherever the inputs are."""
    task = get_task("parity")
    x, y = task.sample(8, 4, np.random.default_rng(0))
    _, features, outputs, output_steps = task.shape(8)
    network = kind("rnn-relu", features, 6, outputs, init="identity", output_steps=output_steps, rng=0)
    return network, x, y, task.make_loss()


def test_at_a_kink_the_weights_are_moved_and_a_doubled_gradient_fails():
    report = gradient_check(*kinked())
    assert report.passed, str(report)
    assert not report.unchecked
    assert {row.weight for row in report.comparisons if row.moved} == {"W", "R", "bs"}
    report = gradient_check(*kinked(Wrong))
    assert ("R", "sum", "moved") in {(row.weight, row.scope, row.moved) for row in report.failures}


def test_no_comparison_counts_whose_tolerance_passes_one_per_cent():
    report = gradient_check(*kinked())
    numbers = [row for row in report.comparisons if not row.is_contract]
    blind = [row for row in numbers if row.tolerance > BLIND]
    assert blind
    assert all(row.passed and not row.checked and row.reason for row in blind)
    counted = sum(row.checked for row in report.comparisons)
    assert f"All {counted} comparisons pass" in report.verdict
    assert counted == len(report.comparisons) - sum(not row.checked for row in numbers)
    assert "with all weights moved a little" in " ".join(str(report).split())


def test_at_an_output_of_exactly_zero_the_logistic_cross_entropy_is_right(monkeypatch, capsys):
    arguments = ["--cell", "rnn-relu", "--task", "parity", "--hidden", "2", "--length", "5", "--seed", "9"]
    monkeypatch.setattr(sys, "argv", ["memspan", "gradcheck", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code in (0, None), capsys.readouterr().out


@every_cell
def test_tiny_inputs_are_checked_on_their_own_scale(cell):
    x = np.full((5, 2, 1), 1e-290)
    report = gradient_check(Network(cell, 1, 3, 1, rng=1), x)
    assert report.passed, str(report)
    wrong = Wrong(cell, 1, 3, 1, rng=1)
    wrong.weight = "W"
    assert {row.weight for row in gradient_check(wrong, x).failures} == {"W"}


@every_cell
@pytest.mark.parametrize("seed", range(20))
def test_inputs_that_saturate_are_no_reason_to_refuse_the_cell(cell, seed):
    rng = np.random.default_rng(seed)
    network = Network(cell, 1, int(rng.integers(1, 3)), 1, rng=seed, gain=float(rng.uniform(0.5, 3)))
    network.W[:] = rng.choice((-1, 1), network.W.shape) * rng.uniform(0.5, 1.5, network.W.shape)
    x = rng.uniform(300, 1200) * rng.choice((-1, 1), (int(rng.integers(1, 4)), 1, 1))
    report = gradient_check(network, x)
    assert not report.failures, str(report)


def test_a_weight_that_cannot_be_checked_anywhere_leaves_the_verdict_open():
    network = Network("rnn", 1, 3, 1, rng=1)
    network.bs[:] = 1e6  # saturated, and still so when moved by a thousandth
    report = gradient_check(network, np.ones((4, 2, 1)))
    assert not report.failures
    assert not report.passed
    assert "W" in report.unchecked_weights
    assert report.verdict.startswith("UNDECIDED: every comparison that was possible passes. Not checked: W")
