"""The check of a class that is not memspan's: only the assignment's four methods are known of it."""

import numpy as np
import pytest
from student import StudentRNN

from memspan import InvalidArgument, MSELoss, Network, gradient_check

WEIGHTS = ["W", "R", "bs", "V", "by"]


class RealRNN(StudentRNN):
    """Its weights are floats, whatever it is given."""

    def set_weights(self, weights):
        super().set_weights({name: np.asarray(weight).real.astype(float) for name, weight in weights.items()})


class ReluRNN(StudentRNN):
    """With relu in place of tanh: from weights of 0 every pre-activation sits at the kink."""

    def forward(self, x):
        self.x, self.a = x, [np.zeros(len(self.weights["R"]))]
        for x_t in x:
            s = x_t @ self.weights["W"] + self.a[-1] @ self.weights["R"] + self.weights["bs"][:, 0]
            self.a.append(np.where(s.real > 0, s, 0))
        return self.a[-1][np.newaxis] @ self.weights["V"] + self.weights["by"].T

    def backward(self, d_loss):
        T = len(self.x)
        grads = {f"d_{name}": np.zeros((T, *self.weights[name].shape)) for name in ("W", "R", "bs")}
        d_a = self.weights["V"] @ d_loss
        for t in reversed(range(T)):
            d_s = d_a * (self.a[t + 1].real > 0)
            grads["d_W"][t], grads["d_R"][t] = np.outer(self.x[t], d_s), np.outer(self.a[t], d_s)
            grads["d_bs"][t, :, 0] = d_s
            d_a = self.weights["R"] @ d_s
        return grads | {"d_V": np.outer(self.a[-1], d_loss), "d_by": d_loss[:, np.newaxis].copy()}


def wrong(kind, weight, factor):
    """The same class, whose gradient of one weight is wrong by a factor."""

    class Wrong(kind):
        def backward(self, d_loss):
            grads = super().backward(d_loss)
            grads[f"d_{weight}"] = factor * grads[f"d_{weight}"]
            return grads

    return Wrong


class NaturalLoss:
    """The mean squared error as it is written without complex numbers in mind."""

    def forward(self, y_hat, y):
        self.derivative = 2 * (y_hat - y) / y.size
        return float(np.mean((y_hat - y) ** 2))

    def backward(self):
        return self.derivative


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def x(rng):
    return rng.standard_normal((6, 2))


@pytest.mark.parametrize("loss", [None, MSELoss(), NaturalLoss()], ids=["sum", "mse", "natural"])
@pytest.mark.parametrize("kind", [StudentRNN, RealRNN])
def test_a_right_class_passes(kind, loss, rng, x):
    model = kind(2, 3, 1, rng)
    before = model.get_weights()
    report = gradient_check(model, x, None if loss is None else np.ones((1, 1)), loss)
    assert report.passed, str(report)
    assert {row.weight for row in report.comparisons if row.scope == "sum"} == set(WEIGHTS)
    for name, weight in model.get_weights().items():
        np.testing.assert_array_equal(weight, before[name])


@pytest.mark.parametrize("weight", WEIGHTS)
@pytest.mark.parametrize(("kind", "factor"), [(StudentRNN, 1 + 1e-11), (RealRNN, 1 + 1e-6)])
def test_a_wrong_one_fails_at_the_weight_alone(kind, factor, weight, rng, x):
    report = gradient_check(wrong(kind, weight, factor)(2, 3, 1, rng), x)
    assert {row.weight for row in report.failures} == {weight}, str(report)


def test_the_report_says_in_one_sentence_why_complex_numbers_must_pass(rng, x):
    assert gradient_check(StudentRNN(2, 3, 1, rng), x).notes == ()
    report = gradient_check(RealRNN(2, 3, 1, rng), x, np.ones((1, 1)), NaturalLoss())
    (note,) = report.notes
    assert note.startswith(
        "Complex numbers lose their imaginary part in the loss and in the model's forward (float()"
    )
    assert " ".join(note.split()) in " ".join(str(report).split())


def test_predictions_may_be_a_vector(rng, x):
    class Vector(StudentRNN):
        def forward(self, x):
            return super().forward(x)[0]

    report = gradient_check(Vector(2, 3, 1, rng), x, np.ones(1), NaturalLoss())
    assert report.passed, str(report)
    assert [row.scope for row in report.comparisons if row.weight == "y_hat"] == ["loss"]


def test_at_a_kink_the_weights_are_moved(rng, x):
    for kind, passes in ((ReluRNN, True), (wrong(ReluRNN, "R", 2.0), False)):
        model = kind(2, 8, 1, rng)
        # Every second input is 0, so that a pre-activation is R a[t-1] = 0 there.
        model.weights |= {"bs": np.zeros((8, 1)), "R": np.zeros((8, 8))}
        inputs = np.abs(x)
        inputs[::2] = 0
        report = gradient_check(model, inputs)
        assert {row.weight for row in report.comparisons if row.moved} >= {"R"}
        assert (not report.failures) == passes, str(report)


def test_a_large_weight_is_sampled_and_the_report_says_so(rng, x):
    report = gradient_check(StudentRNN(2, 5, 1, rng), x, elements=7)
    notes = {row.weight: row.note for row in report.comparisons if row.scope == "sum"}
    assert notes == {"W": "7 of 10 elements", "R": "7 of 25 elements", "bs": "", "V": "", "by": ""}


def test_a_network_of_memspan_and_the_same_one_as_a_stranger_agree(rng):
    network, inputs = Network("lstm", 2, 3, 2, rng=0), rng.standard_normal((5, 4, 2))

    class Stranger:
        def __init__(self, inner):
            self.inner = inner

        def forward(self, x):
            return self.inner.forward(x)

        def backward(self, d_loss):
            return dict(self.inner.backward(d_loss))

        def get_weights(self):
            return self.inner.get_weights()

        def set_weights(self, weights):
            dtype = np.result_type(*weights.values())
            if dtype != self.inner.dtype:
                self.inner = self.inner.astype(dtype)
            self.inner.set_weights({name: weight.astype(dtype) for name, weight in weights.items()})

    known, stranger = gradient_check(network, inputs), gradient_check(Stranger(network), inputs)
    assert known.passed
    assert stranger.passed, str(stranger)
    assert not stranger.notes
    sums = {row.weight: row.oracle for row in known.comparisons if row.scope == "sum"}
    assert sums.keys() == {row.weight for row in stranger.comparisons if row.scope == "sum"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"backward": None}, "model must be a Network, or an object with the methods forward, backward, "),
        ({"get_weights": lambda self: {"W": np.ones((2, 3), int)}}, "must be arrays of floating-point numbers"),
        ({"backward": lambda self, d_loss: {"d_W": np.zeros((2, 3))}}, r"a dictionary with d_\w+, got \['d_W'\]"),
        ({"forward": lambda self, x: np.full((1, 1), np.nan)}, "must be finite floating-point numbers, got array"),
    ],
)
def test_an_object_that_cannot_be_checked_is_named(change, message, rng, x):
    with pytest.raises(InvalidArgument, match=message):
        gradient_check(type("Broken", (StudentRNN,), change)(2, 3, 1, rng), x)
