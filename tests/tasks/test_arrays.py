"""Tasks from arrays: the parts, the noise, the labels and what ignoring the input reaches."""

import pickle
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memspan import (
    Adam,
    ArrayTask,
    Batch,
    Batches,
    Ensemble,
    InvalidArgument,
    Learner,
    MSELoss,
    Network,
    SoftmaxCrossEntropy,
)
from memspan.testing import ContractBroken, check_task
from memspan.testing import tasks as module

N, T, F = 60, 5, 2
RNG = np.random.default_rng(3)
X = RNG.normal(2, 3, (N, T, F))
CLASSES = np.arange(N) % 3
NUMBERS = RNG.normal(size=(N, 2))


def of_classes(**options):
    return ArrayTask(X, CLASSES, **options)


def of_numbers(**options):
    return ArrayTask(X, NUMBERS, **{"tolerance": 0.3, **options})


def sequences(task, length=T, count=500):
    """The numbers of the sequences that a task draws."""
    x, _ = task.sample(length, count, 0)
    return {int(np.flatnonzero((x[:T, b] == X).all(axis=(1, 2)))[0]) for b in range(count)}


@pytest.fixture
def few_samples(monkeypatch):
    monkeypatch.setattr(module, "SAMPLES", 20_000)


@pytest.mark.parametrize(
    "task",
    [
        of_classes(),
        of_classes(noise=0, held_out=[5, 3, 59]),
        of_classes().for_evaluation,
        ArrayTask(X, CLASSES == 0),
        ArrayTask(X, np.where(CLASSES == 2, 7, CLASSES)),
        of_numbers(),
        of_numbers(held_out=0.5).for_evaluation,
        ArrayTask(X, NUMBERS[:, :1] > 0, tolerance=0.2),
    ],
    ids=lambda task: f"{task.make_loss()!r} {task.part} {task.data.y.shape[1]}",
)
@pytest.mark.usefixtures("few_samples")
def test_every_contract_is_kept(task):
    check_task(task)


# --- the parts ------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_share_is_held_out_of_every_class(data):
    sizes = data.draw(st.lists(st.integers(8, 40), min_size=2, max_size=5))
    share = data.draw(st.floats(0.2, 0.8))
    y = np.random.default_rng(data.draw(st.integers(0, 9))).permutation(np.repeat(np.arange(len(sizes)), sizes))
    x = np.arange(len(y), dtype=float).reshape(-1, 1, 1)
    task = ArrayTask(x, y, share)
    held_out, training = task.data.parts["held-out"], task.data.parts["training"]
    assert sorted([*held_out, *training]) == list(range(len(y)))
    assert len(held_out) == round(share * len(y))
    for number, size in enumerate(sizes):
        exact = size * len(held_out) / len(y)
        assert abs((y[held_out] == number).sum() - exact) < 1 + 1e-9
    np.testing.assert_array_equal(ArrayTask(x, y, share).data.parts["held-out"], held_out)


@pytest.mark.parametrize("length", [T, 3 * T])
def test_training_draws_every_sequence_but_the_held_out_ones(length):
    task = of_classes(held_out=[7, 2, 30, 31])
    assert sequences(task.for_evaluation, length) == {2, 7, 30, 31}
    assert sequences(task, length) == set(range(N)) - {2, 7, 30, 31}
    assert (task.distinct, task.for_evaluation.distinct) == (N - 4, 4)
    assert task.for_training == task
    assert task.for_evaluation.for_training == task
    assert task.for_evaluation != task


def test_learners_score_networks_on_held_out_sequences():
    task = of_classes(held_out=range(20))
    batches = Batches(task, T, 8, 0)
    learner = Learner(Network("rnn", F, 3, 3, rng=0), task.make_loss(), batches, Adam(), engine="readable")
    learner.fit(3, progress=False, final_batches=2)
    assert learner.batches is batches
    assert sequences(learner.evaluation.task) == set(range(20))
    x, _ = next(learner.evaluation)
    assert all((x[:, b] == X[:20]).all(axis=(1, 2)).any() for b in range(8))


def test_batches_of_the_other_part_are_refused():
    task = of_classes()
    wrong = {"evaluation": (task, task), "batches": (task.for_evaluation, task.for_evaluation)}
    for name, parts in wrong.items():
        batches, evaluation = (Batches(part, T, 8, seed) for seed, part in enumerate(parts))
        model = Network("rnn", F, 3, 3, rng=0)
        with pytest.raises(InvalidArgument) as caught:
            Ensemble([model], task.make_loss(), [batches], Adam(), evaluation=[evaluation])
        part = "training" if name == "batches" else "evaluation"
        rule = f"{name} must be Batches of task.for_{part}, because arrays keeps some sequences for evaluation"
        assert str(caught.value).startswith(rule)


def test_a_saved_learner_goes_on_with_the_held_out_part(tmp_path):
    task = of_classes()
    model = Network("rnn", F, 3, 3, rng=0)
    learner = Learner(model, task.make_loss(), Batches(task, T, 8, 0), Adam(), engine="readable")
    learner.save(tmp_path / "learner")
    loaded = Learner.load(tmp_path / "learner", task=task, engine="readable")
    assert loaded.evaluation.task == task.for_evaluation
    assert loaded.batches.task == task
    np.testing.assert_array_equal(next(loaded.evaluation).x, next(learner.evaluation).x)


# --- sequences and labels -------------------------------------------------------------------------------


def test_noise_follows_with_the_mean_and_deviation_of_the_training_sequences():
    task = of_classes(noise=0.5)
    x, y = task.sample(T + 40, 4000, 1)
    trained = X[task.data.parts["training"]]
    np.testing.assert_allclose(x[T:].mean(axis=(0, 1)), trained.mean(axis=(0, 1)), atol=0.02)
    np.testing.assert_allclose(x[T:].std(axis=(0, 1)), 0.5 * trained.std(axis=(0, 1)), rtol=0.01)
    of = [int(np.flatnonzero((x[:T, b] == X).all(axis=(1, 2)))[0]) for b in range(100)]
    np.testing.assert_array_equal(y[:100].argmax(axis=1), CLASSES[of])
    constant = replace(task, noise=0).sample(T + 2, 3, 1).x[T:]
    np.testing.assert_array_equal(constant, np.broadcast_to(trained.mean(axis=(0, 1)), constant.shape))


def test_labels_are_classes_or_numbers():
    one_hot = np.eye(3)[CLASSES]
    for y in (CLASSES, one_hot, one_hot.astype(int), CLASSES.tolist()):
        task = ArrayTask(X, y)
        assert task == of_classes()
        assert isinstance(task.make_loss(), SoftmaxCrossEntropy)
        assert task.class_names == ("0", "1", "2")
        assert task.rule == "the right class"
    task = of_numbers()
    assert isinstance(task.make_loss(), MSELoss)
    assert task.class_names == ()
    assert task.rule == "within 0.3 of the label, separately for each output"
    np.testing.assert_array_equal(task.correct(np.array([[0.0, 0.0]]), np.array([[0.2, 0.4]])), [0.5])


def test_the_trivial_risk_is_that_of_the_labels():
    y = np.array([0] * 30 + [1] * 10 + [2] * 20)
    task = ArrayTask(X, y, held_out=[0, 1, 59])
    shares = np.array([28, 10, 19]) / 57
    assert task.trivial_risk(T) == pytest.approx(-(shares * np.log(shares)).sum())
    assert task.chance_accuracy(T) == pytest.approx(28 / 57)
    assert task.for_evaluation.trivial_risk(T) == pytest.approx(np.log(3) - 2 / 3 * np.log(2))
    assert task.for_evaluation.chance_accuracy(T) == pytest.approx(2 / 3)
    numbers = ArrayTask(X, np.r_[np.zeros(30), np.full(30, 5.0)][:, None], [0, 59], tolerance=1)
    assert numbers.trivial_risk(T) == pytest.approx(6.25)
    assert numbers.chance_accuracy(T) == 0.5
    assert numbers.chance_answer(T)[0] in (0, 5)


def test_the_arrays_are_copied():
    x, y = X.copy(), CLASSES.copy()
    task = ArrayTask(x, y)
    x[:], y[:] = 0, 0
    assert task == of_classes()
    with pytest.raises(ValueError, match="read-only"):
        task.data.x[0] = 1
    assert replace(task, noise=0).data is task.data
    assert pickle.loads(pickle.dumps(task)) == task
    assert hash(task) == hash(of_classes())
    assert task != ArrayTask(X + 1, CLASSES)
    assert repr(task) == "<ArrayTask arrays, training: 60 sequences of 5 steps x 2, 3 classes, 15 held out>"
    assert repr(task.data) == "<DataSet of 60 sequences of 5 steps x 2, 3 classes, 15 held out>"


# --- what is asked ill ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"x": None}, "x must be an array [N, T, F] of numbers: sequences, time steps, features, got an array of"),
        ({"x": X[..., 0]}, "x must be an array [N, T, F] of numbers"),
        ({"x": X[:, :0]}, "x must be an array [N, T, F] of numbers"),
        ({"x": X.astype(complex)}, "x must be an array [N, T, F] of numbers"),
        ({"x": np.where(X > 8, np.nan, X)}, "x must be an array of finite numbers, got one with NaN or infinity"),
        ({"x": np.ma.masked_less(X, 0)}, "x must be an array without a mask"),
        ({"x": [[[1.0], [2.0]], [[3.0]]]}, "x must be a rectangular array, got list"),
        ({"y": CLASSES[1:]}, "y must be an array with a label for each of the 60 sequences of x, got an array"),
        ({"y": 3}, "y must be an array with a label for each of the 60 sequences of x"),
        ({"y": CLASSES.astype(float)}, "; for labels that are numbers use y[:, np.newaxis]"),
        ({"y": CLASSES - 1}, "class numbers from 0, and less than the number of sequences, got -1"),
        (
            {"y": CLASSES * 10**9},
            "class numbers from 0, and less than the number of sequences, got 0 to",
        ),
        (
            {"y": NUMBERS[:, :, None], "tolerance": 1},
            "y must be an array [N] of class numbers or [N, O] of numbers",
        ),
        ({"y": np.zeros(N, int)}, "y must be an array with at least two different labels in the training part"),
        (
            {"held_out": [0, 3]},
            "y must be an array with at least two different labels in the held-out part, got 2",
        ),
        ({"held_out": 0}, "held_out must be a finite number above 0 and below 1, got 0"),
        ({"held_out": True}, "held_out must be a share or the numbers of sequences, got True"),
        ({"held_out": 0.001}, "held_out must be some of the 60 sequences, but not all, got 0 of them"),
        ({"held_out": range(60)}, "held_out must be some of the 60 sequences, but not all, got 60 of them"),
        ({"held_out": [1, 60]}, "held_out must be numbers from 0 to 59, got 1 to 60"),
        ({"held_out": [1, 2, 2]}, "held_out must be numbers that differ, got 2 twice"),
        ({"held_out": CLASSES == 0}, "held_out must be a share or the numbers of sequences"),
        ({"noise": -1}, "noise must be a finite number of at least 0, got -1"),
        ({"part": "test"}, "part must be training or held-out, got 'test'"),
        ({"tolerance": 1}, "tolerance must be left out, because the labels are classes, got 1"),
        ({"y": NUMBERS}, "tolerance must be a finite number above 0, got None"),
        ({"family": ""}, "family must be a text, got ''"),
        ({"arrays": of_classes().data}, "arrays must be the arrays of another ArrayTask, without x and y"),
    ],
)
def test_bad_arrays_are_refused(arguments, message):
    with pytest.raises(InvalidArgument) as caught:
        ArrayTask(**{"x": X, "y": CLASSES, **arguments})
    assert message in str(caught.value)


def test_a_length_shorter_than_the_sequences_is_refused():
    with pytest.raises(InvalidArgument, match="length must be at least 5 for arrays, got 4"):
        Batches(of_classes(), 4, 2, 0)


# --- planted mistakes -----------------------------------------------------------------------------------


@dataclass(frozen=True, repr=False)
class Leaking(ArrayTask):
    """One held-out sequence is also drawn for training."""

    def make(self, u, length):
        x, y = super().make(u, length)
        leaked, draws_it = self.data.parts["held-out"][0], u[0] > 0.98
        x[:T, draws_it], y[draws_it] = self.data.x[leaked][:, np.newaxis], self.data.y[leaked]
        return Batch(x, y)


@dataclass(frozen=True, repr=False)
class Shuffled(ArrayTask):
    """The labels of a batch do not belong to its sequences."""

    def make(self, u, length):
        x, y = super().make(u, length)
        return Batch(x, y[np.argsort(u[-1] * 7919 % 1)])


@dataclass(frozen=True, repr=False)
class Swapped(ArrayTask):
    """Both parts draw all sequences."""

    def make(self, u, length):
        every = np.arange(N)
        data = replace(self.data, parts={"training": every, "held-out": every})
        return ArrayTask(arrays=data, part=self.part).make(u, length)


@pytest.mark.parametrize(
    ("kind", "found"),
    [
        (Leaking, "1 of 4000 sequences for evaluation that are also drawn for training"),
        (Shuffled, "a sequence that is drawn twice, with different labels"),
        (Swapped, "60 of 4000 sequences for evaluation that are also drawn for training"),
    ],
)
def test_a_planted_mistake_is_caught(kind, found):
    check_task(ArrayTask(X, CLASSES), contracts=["held out"])
    with pytest.raises(ContractBroken) as caught:
        check_task(kind(X, CLASSES), contracts=["held out"])
    assert caught.value.contract == "held out"
    assert found in caught.value.found
