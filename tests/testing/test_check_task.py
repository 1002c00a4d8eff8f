"""Planted mistakes: each breaks the contract that should detect it, and the message names that contract."""

from dataclasses import dataclass

import numpy as np
import pytest

from memspan import Batch, InvalidArgument, MSELoss, Shape, SigmoidCrossEntropy, SoftmaxCrossEntropy, Task
from memspan.testing import TASK_CONTRACTS, ContractBroken, check_task
from memspan.testing import tasks as module


@dataclass(frozen=True)
class Larger(Task):
    """Was the first of T numbers larger than the second?"""

    family, source = "larger", "this test"
    sentence = "After T random numbers, answer whether the first was larger than the second."
    rule = "probability above one half for the right side"

    def shape(self, length):
        return Shape(length, 1, 1)

    def draws(self, length):
        return length

    def make(self, u, length):
        return Batch(2 * u[..., np.newaxis] - 1, (u[0] > u[1]).astype(float)[:, np.newaxis])

    def make_loss(self):
        return SigmoidCrossEntropy()

    def correct(self, y_hat, y):
        return ((y_hat > 0) == (y > 0.5)).all(axis=-1) & ~np.isnan(y_hat).any(axis=-1)

    def relevant(self, x):
        return np.broadcast_to(np.arange(len(x))[:, np.newaxis] < 2, x.shape[:2])

    def trivial_answer(self, length):
        return np.zeros(1)

    def trivial_risk(self, length):
        return float(np.log(2))

    def chance_accuracy(self, length):
        return 0.5


def changed(**members):
    """The task with other members."""
    return type("Changed", (Larger,), members)()


def two_answers(**members):
    """A task with a second output for the opposite; a random one of the two labels is missing."""

    def make(self, u, length):
        x, y = Larger().make(u, length)
        y, hidden = np.concatenate([y, 1 - y], axis=-1), (u[-1] * 2**20 % 1 > 0.5).astype(int)
        y[np.arange(len(y)), hidden] = np.nan
        return Batch(x, y)

    def correct(self, y_hat, y):
        return (((y_hat > 0) == (y > 0.5)) & ~np.isnan(y_hat) | np.isnan(y)).all(axis=-1)

    usual = {
        "make": make,
        "correct": correct,
        "make_loss": lambda self: SigmoidCrossEntropy(masked=True),
        "shape": lambda self, length: Shape(length, 1, 2),
        "trivial_answer": lambda self, length: np.zeros(2),
    }
    return changed(**{**usual, **members})


def labels(make):
    """A `make` whose labels are made anew."""
    return {"make": lambda self, u, length: Batch(Larger().make(u, length).x, make(u))}


def of_the_batch(self, u, length):
    x, y = Larger().make(u, length)
    return Batch(x - x.mean(axis=1, keepdims=True), y)


def in_blocks(self, length, batch, rng):
    """Drawn step by step, and not sequence by sequence."""
    u = np.random.default_rng(rng).random((self.draws(self.checked_length(length)), batch))
    return self.make(u, length)


def out_of_the_blue(self, u, length):
    x, y = Larger().make(u, length)
    return Batch(x + np.random.default_rng().normal(size=x.shape), y)


def always_the_same(self, length, batch, rng):
    return Larger().sample(length, batch, 0)


def shared(self, u, length):
    x = 2 * u[..., np.newaxis] - 1
    return Batch(x, x[0])


def overwriting(self, u, length):
    made = Larger().make(u, length)
    u[:] = 0
    return made


def infinite(self, u, length):
    x, y = Larger().make(u, length)
    x[-1] = np.inf
    return Batch(x, y)


def any_length(self, length, name="length"):
    return 5


@pytest.fixture(autouse=True)
def few_samples(monkeypatch):
    monkeypatch.setattr(module, "SAMPLES", 20_000)


def test_a_right_task_keeps_every_contract():
    report = check_task(Larger())
    assert list(report.kept) == list(TASK_CONTRACTS)
    assert str(report).startswith(f"The task larger keeps {len(TASK_CONTRACTS)} contracts: words, lengths, shapes")


def test_labels_may_be_missing_in_some_outputs_alone():
    check_task(two_answers())


@pytest.mark.parametrize(
    ("task", "contract", "found"),
    [
        (
            two_answers(correct=lambda self, y_hat, y: Larger().correct(y_hat, y)),
            "mask",
            "`correct`, for other predictions where a label is missing, differs",
        ),
        (
            two_answers(correct=lambda self, y_hat, y: Larger().correct(y_hat, np.nan_to_num(y))),
            "mask",
            "`correct`, for other predictions where a label is missing, differs",
        ),
        (
            two_answers(make_loss=lambda self: SoftmaxCrossEntropy(masked=True)),
            "finite",
            "labels that the task's loss refuses at T = 2: y must be rows that are all NaN or free of NaN",
        ),
        (changed(sentence="Which"), "words", "the sentence 'Which'"),
        (changed(source=""), "words", "no source"),
        (changed(class_names=("a", "b", "c")), "words", "3 names of 1 outputs"),
        (changed(checked_length=any_length), "lengths", "0 is accepted as a length"),
        (changed(shape=lambda self, length: Shape(length, 1, 2)), "shapes", "The task larger"),
        (
            changed(trivial_answer=lambda self, length: np.zeros((1, 1))),
            "shapes",
            "the shape of the trivial_answer",
        ),
        (changed(make=infinite), "finite", "a value of x at T = 2 that is not finite"),
        (changed(**labels(lambda u: np.full((u.shape[1], 1), np.nan))), "finite", "NaN labels"),
        (
            changed(mask=lambda self, y: np.zeros(y.shape[:-1], bool)),
            "mask",
            "a sequence of which no answer counts",
        ),
        (changed(correct=lambda self, y_hat, y: 2.0 * np.ones(len(y))), "mask", "outside 0 to 1"),
        (changed(make=of_the_batch), "split", "x of"),
        (changed(sample=in_blocks), "split", "x of"),
        (changed(make=out_of_the_blue), "keys", "x for the same key differs"),
        (changed(sample=always_the_same), "keys", "the same sequences for two keys"),
        (changed(make=shared), "ownership", "y after x was overwritten differs"),
        (changed(make=overwriting), "ownership", "the array of random numbers after make differs"),
        (changed(relevant=lambda self, x: np.zeros(x.shape[:2], bool)), "relevant", "without a relevant step"),
        (changed(relevant=lambda self, x: np.ones(x.shape[:2])), "relevant", "shape and dtype"),
        (
            changed(correct=lambda self, y_hat, y: ((y_hat > 0) == (y > 0.5))[:, 0]),
            "oracle",
            "the accuracy of NaN",
        ),
        (
            changed(correct=lambda self, y_hat, y: (y_hat < 0)[:, 0] == (y[:, 0] > 0.5)),
            "oracle",
            "the accuracy of",
        ),
        (
            changed(accuracy=lambda self, y_hat, y: float(self.correct(y_hat, y).mean())),
            "oracle",
            "whose shape differs",
        ),
        (changed(trivial_answer=lambda self, length: np.full(1, 0.5)), "best", "a loss smaller by"),
        (
            changed(correct=lambda self, y_hat, y: y_hat[:, 0] > 0.5),
            "best",
            "an accuracy higher by",
        ),
        (changed(trivial_risk=lambda self, length: 0.68), "trivial risk", "0.693147"),
        (
            changed(trivial_risk=lambda self, length: float(np.log(2)) + 0.001 * (length > 5)),
            "trivial risk",
            "at T = 19 the trivial answer has a loss",
        ),
        (changed(chance_accuracy=lambda self, length: 0.52), "chance accuracy", "but the task states 0.52"),
        (changed(make_loss=MSELoss), "trivial risk", "but the task states 0.693147"),
    ],
)
def test_a_planted_mistake_is_caught(task, contract, found):
    with pytest.raises(ContractBroken) as caught:
        check_task(task, contracts=[contract])
    assert caught.value.contract == contract
    assert found in caught.value.found
    assert str(caught.value).startswith(f'The task larger breaks the contract "{contract}". ')
    with pytest.raises(ContractBroken):
        check_task(task)


def test_an_error_of_the_task_itself_breaks_the_contract():
    def unlucky(self, x):
        raise ZeroDivisionError("division by zero")

    with pytest.raises(ContractBroken, match=r"relevant.*ZeroDivisionError: division by zero"):
        check_task(changed(relevant=unlucky))


def test_what_is_no_task_and_no_contract_is_refused():
    with pytest.raises(InvalidArgument, match="task must be a Task, got 'parity'"):
        check_task("parity")
    with pytest.raises(InvalidArgument, match="contracts must be one of words, "):
        check_task(Larger(), contracts=["risk"])
