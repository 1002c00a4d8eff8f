import io
import json
import os
import pickle
import tracemalloc
from dataclasses import replace
from itertools import islice
from typing import NamedTuple

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save

from memspan import (
    CELLS,
    GRU,
    LSTM,
    RNN,
    SGD,
    Adam,
    Batch,
    Batches,
    Chain,
    ClipByNorm,
    ClipByValue,
    InvalidArgument,
    Learner,
    Momentum,
    MSELoss,
    Network,
    Recall,
    RMSprop,
    Shape,
    SigmoidCrossEntropy,
    SoftmaxCrossEntropy,
    UnreadableFile,
    generate_samples,
    get_task,
)
from memspan.cells import cornn, leaky, lstm
from memspan.cells.activations import tanh, tanh_derivative
from memspan.runtime.files import replaced
from memspan.runtime.tensors import checksum_of

FIT = {
    "evaluate_every": 10,
    "evaluation_batches": 1,
    "final_batches": 2,
    "stop_when_solved": False,
    "progress": False,
}


def stream():
    return Batches(Recall(), length=3, batch=4, rng=1)


def single():
    """A small learner in float32, for which other tests compile the kernel anyway."""
    return replace(stream(), dtype=np.float32)


def generator(rng=1):
    return generate_samples(4, 3, rng=rng)


def learner_of(batches=None, *, model=None, loss=None, optimizer=None, **options):
    model = RNN(1, 3, 1, rng=0) if model is None else model
    optimizer = Chain(ClipByNorm(0.5), Adam(1e-2)) if optimizer is None else optimizer
    return Learner(model, loss or MSELoss(), stream() if batches is None else batches, optimizer, **options)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "learner.safetensors"


def assert_continues(path, make, **given):
    """Check that a learner saved after 25 updates and loaded continues as if it had not been saved."""
    stopped, straight = make(), make()
    stopped.fit(25, **FIT)
    stopped.save(path)
    loaded = Learner.load(path, **given)
    assert type(loaded.model) is type(straight.model)
    assert loaded.model.cell.forward is straight.model.cell.forward
    assert loaded.optimizer == straight.optimizer
    assert (loaded.updates, loaded.history, loaded.result) == (25, stopped.history, None)
    assert [type(at) for at in loaded.history.evaluated_at] == [int] * 3
    np.testing.assert_array_equal(loaded.model.parameters, stopped.model.parameters)
    straight.fit(25, **FIT)
    for learner in (loaded, straight):
        learner.fit(25, **FIT)
    assert loaded.history == straight.history
    np.testing.assert_array_equal(loaded.model.parameters, straight.model.parameters)
    assert loaded.model.parameters.dtype == straight.model.parameters.dtype
    assert type(loaded.state) is type(straight.state)
    for mine, theirs in zip(loaded.state, straight.state, strict=True):
        np.testing.assert_array_equal(mine, theirs)
        assert mine.dtype == theirs.dtype
    for mine, theirs in ((loaded.batches, straight.batches), (loaded.evaluation, straight.evaluation)):
        for here, there in zip(next(mine), next(theirs), strict=True):
            np.testing.assert_array_equal(here, there)
            assert here.dtype == there.dtype
    assert loaded.task == straight.task
    assert type(loaded.loss) is type(straight.loss)
    assert loaded.loss.masked is straight.loss.masked
    assert loaded.threshold == straight.threshold
    assert loaded.truncate == straight.truncate
    return loaded


# --- going on -------------------------------------------------------------------------------------------

RULES = [SGD(0.1), Momentum(0.03, 0.7), RMSprop(1 / 300, 0.95), Adam(0.01, 0.85, 0.995, 1e-7)]


@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_a_loaded_learner_goes_on_as_if_it_had_not_stopped(path, rule):
    optimizer = Chain(ClipByNorm(0.3), ClipByValue(0.1), rule)
    assert_continues(path, lambda: learner_of(optimizer=optimizer, threshold=0.75))


def test_so_does_one_whose_gradient_is_truncated(path):
    loaded = assert_continues(path, lambda: learner_of(truncate=2))
    assert loaded.truncate == 2


@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_so_does_one_that_was_fed_by_a_generator(path, rule):
    loaded = assert_continues(path, lambda: learner_of(generator(), optimizer=rule), batches=generator())
    assert loaded.evaluation is loaded.batches


def test_evaluation_batches_of_their_own_are_kept(path):
    batches = Batches(Recall(0.2), length=5, batch=7, rng=9)
    assert_continues(path, lambda: learner_of(evaluation=replace(batches, rng=9)))
    assert_continues(path, lambda: learner_of(evaluation=generator(8)), evaluation=generator(8))
    given = {"batches": generator(), "evaluation": generator(8)}
    assert_continues(path, lambda: learner_of(generator(), evaluation=generator(8)), **given)


@pytest.mark.parametrize(("cell", "dtype"), [*((cell, "float32") for cell in CELLS), ("lstm", "float64")])
def test_every_cell_comes_back_as_what_it_was(path, cell, dtype):
    def make():
        batches = Batches(Recall(), length=3, batch=4, rng=1, dtype=dtype)
        return learner_of(batches, model=Network(cell, 1, 3, 1, dtype=dtype, rng=0))

    assert_continues(path, make)


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_an_rnn_comes_back_as_an_rnn(path, activation):
    loaded = assert_continues(
        path, lambda: learner_of(single(), model=RNN(1, 3, 1, activation=activation, dtype="float32", rng=0))
    )
    assert type(loaded.model) is RNN


@pytest.mark.parametrize("options", [{}, {"output_steps": 2}], ids=str)
@pytest.mark.parametrize("network", [RNN, LSTM, GRU])
def test_a_named_network_comes_back_as_one(path, network, options):
    def make():
        batches = Batches(Recall(), length=3, batch=4, rng=1)
        pairs = ((x, np.stack([y] * 2)) for x, y in batches) if options else batches
        return learner_of(pairs, model=network(1, 3, 1, rng=0, **options))

    given = {"batches": make().batches} if options else {}
    loaded = assert_continues(path, make, **given)
    assert type(loaded.model) is network
    assert loaded.model.output_steps == options.get("output_steps")


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_a_class_without_the_cell_is_refused(path, kind):
    learner_of(model=Network("gru-before", 1, 3, 1, rng=0)).save(path)
    rewrite(path, header={"kind": kind})
    message = f"describes a {kind!r} with the cell gru-before, which is impossible"
    with pytest.raises(UnreadableFile, match=message):
        Learner.load(path)


def test_the_task_is_kept_also_where_the_batches_do_not_tell_it(path):
    loaded = assert_continues(path, lambda: learner_of(generator(), task=Recall(0.6)), batches=generator())
    assert loaded.task == Recall(0.6)
    assert_continues(path, lambda: learner_of(task=Recall(0.6)))
    assert Learner.load(path, task=Recall(0.7)).task == Recall(0.7)


OTHERS = [
    (get_task("copying/urnn", items=2, symbols=3), 3, SoftmaxCrossEntropy()),
    (get_task("adding/hs97"), 20, MSELoss(masked=True)),
    (get_task("order/hs97-2", tolerance=0.2), 20, MSELoss(masked=True)),
    (get_task("order/pascanu-2"), 10, SoftmaxCrossEntropy()),
    (get_task("recall/distractors", scale=5.0, element=2), 3, MSELoss()),
    (get_task("latch/3c"), 9, MSELoss(masked=True)),
    (get_task("parity"), 4, SigmoidCrossEntropy()),
    (get_task("parity"), 4, SigmoidCrossEntropy(masked=True)),
]


def other_learner(task, length, loss, batches=None, dtype="float32"):
    """A learner with the network that the task requires."""
    _, features, outputs, output_steps = task.shape(length)
    model = Network("rnn", features, 4, outputs, output_steps=output_steps, dtype=dtype, rng=0)
    batches = Batches(task, length, 6, rng=1, dtype=dtype) if batches is None else batches
    return learner_of(batches, model=model, loss=loss, task=task)


@pytest.mark.parametrize(
    ("task", "length", "loss"), OTHERS, ids=[f"{task.name}, {loss!r}" for task, _, loss in OTHERS]
)
def test_every_kind_of_task_and_loss_comes_back(path, task, length, loss):
    loaded = assert_continues(path, lambda: other_learner(task, length, loss))
    assert loaded.batches.task == loaded.evaluation.task == loaded.task == task
    assert type(loaded.task) is type(task)
    assert loaded.loss is not loss
    assert repr(loaded.loss) == repr(loss)
    assert loaded.model.output_steps == task.shape(length).output_steps
    assert np.isfinite(loaded.history.loss).all()


@pytest.mark.parametrize(("task", "length", "loss"), OTHERS[:2], ids=[task.name for task, *_ in OTHERS[:2]])
def test_so_do_they_with_a_generator_in_double_precision(path, task, length, loss):
    """Some labels of the second output are missing."""

    def endless():
        rng = np.random.default_rng(3)
        while True:
            yield task.sample(length, 6, rng)

    def make():
        return other_learner(task, length, loss, endless(), "float64")

    assert np.isnan(next(endless()).y).any() == loss.masked
    loaded = assert_continues(path, make, batches=endless())
    assert loaded.evaluation is loaded.batches


def test_a_loss_that_is_not_masked_does_not_come_back_masked(path):
    for masked in (False, True):
        other_learner(Recall(), 3, MSELoss(masked=masked)).save(path)
        loaded = Learner.load(path)
        assert loaded.loss.masked is masked
        assert loaded.fit(3, **FIT).update == 3


def test_numpy_numbers_are_numbers(path):
    optimizer = Chain(ClipByNorm(np.float32(0.3)), SGD(np.float64(0.1)))
    assert_continues(path, lambda: learner_of(optimizer=optimizer, threshold=np.float64(0.5)))


def test_before_the_first_update_there_is_nothing_to_lose(path):
    learner_of().save(path)
    loaded, straight = Learner.load(path), learner_of()
    assert loaded.history == straight.history
    for learner in (loaded, straight):
        learner.fit(5, **FIT)
    assert loaded.history == straight.history


def test_saving_changes_nothing_and_can_be_repeated(path):
    learner, straight = learner_of(), learner_of()
    learner.fit(10, **FIT)
    learner.save(path)
    first = path.read_bytes()
    learner.save(str(path))
    assert path.read_bytes() == first
    Learner.load(str(path)).save(path)
    assert path.read_bytes() == first
    straight.fit(10, **FIT)
    for one in (learner, straight):
        one.fit(5, **FIT)
    assert learner.history == straight.history


# --- parts that are not memspan's own -------------------------------------------------------------------


def same_forward(s, previous, unit):
    return (tanh(s[0]),), ()


def same_backward(d_state, residuals, previous, state, unit):
    return (d_state[0] * tanh_derivative(state[0]),), (0.0,), ()


OWN_CELL = replace(CELLS["rnn"], name="mine", forward=same_forward, backward=same_backward)


class OwnLoss(MSELoss):
    pass


class OwnState(NamedTuple):
    average: np.ndarray


class OwnRule:
    """Averaged gradients, with a state that is not one of memspan's."""

    def __eq__(self, other):
        return type(other) is OwnRule

    def init(self, parameters):
        return OwnState(np.zeros_like(parameters))

    def step(self, gradient, state):
        average = (state.average + gradient) / 2
        return -0.1 * average, OwnState(average)


class Unwritable(OwnRule):
    """An optimiser whose state cannot be saved."""

    def init(self, parameters):
        return OwnState(np.full(parameters.shape, object()))


class OwnTask(Recall):
    name = "own"

    def __init__(self):
        super().__init__(0.2)

    def __eq__(self, other):
        return type(other) is OwnTask


OWN = [
    pytest.param("cell", OWN_CELL, {"model": Network(OWN_CELL, 1, 3, 1, rng=0)}, id="cell"),
    pytest.param("loss", OwnLoss(), {"loss": OwnLoss()}, id="loss"),
    pytest.param("optimizer", Chain(OwnRule()), {"optimizer": Chain(OwnRule())}, id="rule"),
    pytest.param("task", OwnTask(), {"task": OwnTask()}, id="task"),
]


@pytest.mark.parametrize(("name", "thing", "parts"), OWN)
def test_what_a_file_cannot_hold_must_be_given_again(path, name, thing, parts):
    def make():
        model = parts.get("model")
        return learner_of(**{**parts, "model": None if model is None else model.astype("float64")})

    make().save(path)
    with pytest.raises(InvalidArgument, match=f"{name} must be passed, because ") as caught:
        Learner.load(path)
    assert caught.value.name == name
    assert_continues(path, make, **{name: thing})


def test_batches_of_a_task_of_ones_own_need_the_task_again(path):
    def make():
        return learner_of(Batches(OwnTask(), length=3, batch=4, rng=1))

    make().save(path)
    with pytest.raises(InvalidArgument, match="task must be passed, because "):
        Learner.load(path)
    loaded = assert_continues(path, make, task=OwnTask())
    assert type(loaded.batches.task) is type(loaded.evaluation.task) is OwnTask


class Lenient(Recall):
    """A task with the name of one of memspan's tasks, but with another definition."""

    def correct(self, y_hat, y):
        return np.ones(y.shape[:-1])


def test_a_task_of_ones_own_does_not_come_back_as_memspans_of_the_same_name(path):
    def make():
        return learner_of(Batches(Lenient(), length=3, batch=4, rng=1))

    make().save(path)
    with pytest.raises(InvalidArgument, match="task must be passed, because "):
        Learner.load(path)
    loaded = assert_continues(path, make, task=Lenient())
    assert type(loaded.task) is type(loaded.batches.task) is Lenient
    assert set(loaded.history.accuracy) == {1}


def test_a_clip_of_ones_own_needs_the_whole_optimiser_again(path):
    def halve(gradient):
        return gradient / 2

    optimizer = Chain(halve, SGD(0.1))
    learner_of(optimizer=optimizer).save(path)
    with pytest.raises(InvalidArgument, match="optimizer must be passed, because "):
        Learner.load(path)
    assert_continues(path, lambda: learner_of(optimizer=optimizer), optimizer=optimizer)


def test_a_cell_of_ones_own_does_not_come_back_as_memspans_of_the_same_name(path):
    learner_of(model=Network(replace(OWN_CELL, name="rnn"), 1, 3, 1, rng=0)).save(path)
    message = "cell must be passed, because 'another rnn' is not one of memspan's cells"
    with pytest.raises(InvalidArgument, match=message):
        Learner.load(path)
    with pytest.raises(InvalidArgument, match="which has the name 'rnn', got 'mine'"):
        Learner.load(path, cell=OWN_CELL)
    own = replace(OWN_CELL, name="rnn")
    assert Learner.load(path, cell=own).model.cell is own


@pytest.mark.parametrize("cell", [leaky(0.3), cornn(epsilon=5.0)], ids=lambda cell: cell.name)
def test_a_cell_with_other_constants_does_not_come_back_with_memspans(path, cell):
    def make():
        return learner_of(single(), model=Network(cell, 1, 3, 1, dtype="float32", rng=0))

    make().save(path)
    with pytest.raises(InvalidArgument, match=f"'another {cell.name}' is not one of memspan's cells") as caught:
        Learner.load(path)
    assert caught.value.name == "cell"
    loaded = assert_continues(path, make, cell=cell)
    assert loaded.model.cell.constants == cell.constants


@pytest.mark.parametrize("cell", [leaky(0.1), lstm(forget_bias=0.5)], ids=lambda cell: cell.name)
def test_a_cell_that_only_began_otherwise_comes_back_by_its_name(path, cell):
    loaded = assert_continues(
        path, lambda: learner_of(single(), model=Network(cell, 1, 3, 1, dtype="float32", rng=0))
    )
    assert loaded.model.cell is CELLS[cell.name]


class LastTwo(Recall):
    """Answers after each of the last two steps: `y [2, B, 1]`."""

    name = "last-two"

    def shape(self, length):
        return Shape(length, 1, 1, 2)

    def make(self, u, length):
        x, y = super().make(u, length)
        return Batch(x, np.stack([y, 2 * y]))


def test_the_number_of_steps_that_are_read_out_comes_back(path):
    task = LastTwo(0.2)

    def make():
        model = Network("rnn", 1, 3, 1, output_steps=2, rng=0)
        return learner_of(Batches(task, length=3, batch=4, rng=1), model=model)

    loaded = assert_continues(path, make, task=task)
    assert loaded.model.output_steps == 2
    assert loaded.model.predict(np.zeros((3, 4, 1))).shape == (2, 4, 1)


@pytest.mark.parametrize("name", ["batches", "evaluation"])
def test_a_generator_must_be_given_again_and_be_the_same(path, name):
    streams = {"batches": stream(), "evaluation": stream(), name: generator()}
    learner = learner_of(**streams)
    learner.fit(5, **{**FIT, "evaluate_every": 1})
    learner.save(path)
    with pytest.raises(InvalidArgument, match=f"{name} must be passed as a new generator"):
        Learner.load(path)
    with pytest.raises(InvalidArgument, match=f"{name} must be the stream that was saved, from its first batch"):
        Learner.load(path, **{name: generator(2)})
    with pytest.raises(InvalidArgument, match=f"{name} must be endless, got only 3 batches"):
        Learner.load(path, **{name: islice(generator(), 3)})
    with pytest.raises(InvalidArgument, match=rf"{name} must be an endless iterator of pairs \(x, y\)"):
        Learner.load(path, **{name: [next(generator())]})
    begun = generator()
    next(begun)
    with pytest.raises(InvalidArgument, match=f"{name} must be the stream that was saved, from its first batch"):
        Learner.load(path, **{name: begun})


class OwnNetwork(Network):
    pass


class OwnBatches(Batches):
    pass


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: learner_of(model=OwnNetwork("rnn", 1, 3, 1)),
            "model must be a Network, RNN, LSTM or GRU, to be saved",
        ),
        (lambda: learner_of(OwnBatches(Recall(), 3, 4, 1)), "batches must be Batches or a generator, to be saved"),
        (
            lambda: learner_of(Batches(Recall(), 3, 4, np.random.Generator(np.random.MT19937(0)))),
            "batches.rng must be a PCG64 generator, to be saved, got MT19937",
        ),
    ],
)
def test_what_could_never_be_loaded_is_not_saved(path, make, message):
    with pytest.raises(InvalidArgument, match=message):
        make().save(path)
    assert not path.exists()


# --- parts that are given in place of those saved -------------------------------------------------------


def other_stream():
    return Batches(Recall(), length=6, batch=5, rng=7)


def test_batches_that_are_given_are_those_of_training(path):
    learner_of().save(path)
    given = other_stream()
    loaded = Learner.load(path, batches=given)
    assert loaded.batches is given
    np.testing.assert_array_equal(loaded.evaluation.peek().x, other_stream().fork().peek().x)
    loaded = Learner.load(path, batches=generator())
    assert loaded.evaluation is loaded.batches
    np.testing.assert_array_equal(next(loaded.batches).x, next(generator()).x)


def test_evaluation_batches_that_are_given_are_those_of_evaluation(path):
    learner = learner_of()
    learner.save(path)
    for given in (other_stream(), generator(5)):
        loaded = Learner.load(path, evaluation=given)
        expected = other_stream() if isinstance(given, Batches) else generator(5)
        np.testing.assert_array_equal(next(loaded.evaluation).x, next(expected).x)
        np.testing.assert_array_equal(loaded.batches.peek().x, learner.batches.peek().x)
    both = Learner.load(path, batches=other_stream(), evaluation=generator(5))
    np.testing.assert_array_equal(both.batches.peek().x, other_stream().peek().x)
    np.testing.assert_array_equal(next(both.evaluation).x, next(generator(5)).x)


def test_evaluation_batches_are_used_where_training_and_evaluation_shared_theirs(path):
    learner_of(generator()).save(path)
    loaded = Learner.load(path, batches=generator(), evaluation=other_stream())
    np.testing.assert_array_equal(loaded.evaluation.peek().x, other_stream().peek().x)
    batches = stream()
    learner_of(batches, evaluation=batches).save(path)
    assert Learner.load(path, evaluation=other_stream()).evaluation.length == 6
    loaded = Learner.load(path, batches=other_stream())
    assert loaded.evaluation is loaded.batches


def test_every_other_part_that_is_given_is_used(path):
    learner_of().save(path)
    given = {"loss": SigmoidCrossEntropy(), "optimizer": Chain(ClipByNorm(0.1), Adam(1e-4)), "task": Recall(0.3)}
    loaded = Learner.load(path, **given)
    for name, part in given.items():
        assert getattr(loaded, name) is part
    with pytest.raises(InvalidArgument, match="memory must be at least "):
        Learner.load(path, memory=1).fit(1, **FIT)


@pytest.mark.parametrize(
    ("network", "cell"),
    [
        (RNN(1, 3, 1, rng=0), replace(CELLS["rnn"], forward=lambda *a: CELLS["rnn"].forward(*a))),
        (LSTM(1, 3, 1, rng=0), replace(lstm(), forward=lambda *a: lstm().forward(*a))),
        (GRU(1, 3, 1, rng=0), replace(CELLS["gru"], source="elsewhere")),
    ],
    ids=["RNN", "LSTM", "GRU"],
)
def test_a_network_with_a_cell_of_its_own_takes_no_other(path, network, cell):
    learner_of(model=network).save(path)
    with pytest.raises(
        InvalidArgument, match=f"cell must be omitted, because a saved {type(network).__name__} always"
    ):
        Learner.load(path, cell=cell)
    Learner.load(path, cell=network.cell)


# --- whole or not at all --------------------------------------------------------------------------------


def refuse(*arguments):
    raise OSError("no space left")


def interrupt(*arguments):
    raise KeyboardInterrupt


@pytest.mark.parametrize("failure", [refuse, interrupt])
@pytest.mark.parametrize("function", ["replace", "fsync"])
def test_a_failed_save_leaves_the_old_file_and_nothing_else(path, monkeypatch, function, failure):
    learner = learner_of()
    learner.save(path)
    before = path.read_bytes()
    learner.fit(5, **FIT)
    monkeypatch.setattr(os, function, failure)
    with pytest.raises((OSError, KeyboardInterrupt)):
        learner.save(path)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_a_state_that_cannot_be_written_leaves_the_old_file(path):
    learner = learner_of()
    learner.save(path)
    before = path.read_bytes()
    unwritable = learner_of(optimizer=Chain(Unwritable()))
    with pytest.raises(Exception, match=r"object|dtype"):  # whatever error the library has for it
        unwritable.save(path)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_the_new_file_is_whole_before_it_takes_the_place_of_the_old(path, monkeypatch):
    learner, move, seen = learner_of(), os.replace, []
    learner.save(path)

    def watch(new, old):
        seen.append((Learner.load(old).updates, Learner.load(new).updates))
        move(new, old)

    learner.fit(5, **FIT)
    monkeypatch.setattr(os, "replace", watch)
    learner.save(path)
    assert seen == [(0, 5)]
    assert Learner.load(path).updates == 5
    assert list(path.parent.iterdir()) == [path]


def test_a_folder_that_is_not_there_is_pythons_own_error(tmp_path):
    with pytest.raises(FileNotFoundError), replaced(tmp_path / "nowhere" / "file"):
        pass


# --- files that are no learners -------------------------------------------------------------------------


@pytest.fixture
def good(path):
    """The bytes of a saved learner."""
    learner = learner_of(model=RNN(1, 2, 1, rng=0))
    learner.fit(12, **FIT)
    learner.save(path)
    return path.read_bytes()


def header_end(contents):
    return 8 + int.from_bytes(contents[:8], "little")


def test_no_part_of_a_file_is_a_file(path, good):
    """The file is cut at every byte of the header and at every twentieth byte of the numbers."""
    assert Learner.load(path).updates == 12
    for size in [*range(header_end(good)), *range(header_end(good), len(good), 20)]:
        path.write_bytes(good[:size])
        with pytest.raises(UnreadableFile, match="is not a complete safetensors file"):
            Learner.load(path)


def test_more_than_a_file_is_not_a_file(path, good):
    path.write_bytes(good + b"\0")
    with pytest.raises(UnreadableFile, match="is not a complete safetensors file"):
        Learner.load(path)


def test_every_flipped_bit_is_noticed(path, good):
    """Every byte of the header and every seventh byte of the numbers is changed."""
    rng = np.random.default_rng(0)
    for place in [*range(header_end(good)), *range(header_end(good), len(good), 7)]:
        damaged = bytearray(good)
        damaged[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        with pytest.raises(UnreadableFile):
            Learner.load(path)


def npz():
    file = io.BytesIO()
    np.savez(file, parameters=np.zeros(3))
    return file.getvalue()


FOREIGN = {
    "empty": b"",
    "text": b"updates,loss\n1,0.5\n",
    "long text": b"Lorem ipsum dolor sit amet. " * 100,
    "png": b"\x89PNG\r\n\x1a\n" + bytes(range(256)),
    "zeros": bytes(1000),
    "ones": b"\xff" * 1000,
    "pickle": pickle.dumps({"parameters": np.zeros(3)}),
    "npz": npz(),
    "safetensors": save({"parameters": np.zeros(3)}),
    "safetensors of others": save({"parameters": np.zeros(3)}, {"format": "pt"}),
    "no json": save({"parameters": np.zeros(3)}, {"memspan": "not JSON"}),
    "not an object": save({"parameters": np.zeros(3)}, {"memspan": "[1, 2]"}),
    "empty object": save({"parameters": np.zeros(3)}, {"memspan": "{}"}),
    "deep": save({"parameters": np.zeros(3)}, {"memspan": "[" * 100_000}),
}


@pytest.mark.parametrize("contents", FOREIGN.values(), ids=FOREIGN)
def test_foreign_files_are_refused(path, contents):
    path.write_bytes(contents)
    with pytest.raises(UnreadableFile, match=str(path)):
        Learner.load(path)


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(UnreadableFile):
        Learner.load(tmp_path)


def test_a_missing_file_is_pythons_own_error(path):
    with pytest.raises(FileNotFoundError):
        Learner.load(path)


def rewrite(path, header=None, arrays=None):
    """Change the header or the arrays of a saved file; None removes an array."""
    with safe_open(path, framework="numpy") as file:
        said = json.loads(file.metadata()["memspan"])
        held = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    held = {name: array for name, array in {**held, **(arrays or {})}.items() if array is not None}
    said |= {"checksum": "", **(header or {})}
    if "2" in said["format"]:  # as somebody would who means harm
        said["checksum"] = checksum_of(json.dumps(said), held)
    path.write_bytes(save(held, {"memspan": json.dumps(said)}))


def test_rewriting_alone_breaks_nothing(path, good):
    rewrite(path)
    assert Learner.load(path).updates == 12


def test_a_file_of_the_format_without_a_checksum_is_read(path, good):
    rewrite(path, header={"format": "memspan learner 1"})
    assert Learner.load(path).updates == 12


def test_a_file_of_this_format_must_have_its_checksum(path, good):
    rewrite(path, header={"format": "memspan learner 1"})
    path.write_bytes(path.read_bytes().replace(b"memspan learner 1", b"memspan learner 2"))
    with pytest.raises(UnreadableFile, match="its content does not match its checksum"):
        Learner.load(path)


SENT = {"task": {"name": "recall"}, "length": 3, "batch": 4, "rng": np.random.PCG64(1).state}
BAD_HEADERS = [
    {"updates": -1},
    {"updates": 11},
    {"updates": "many"},
    {"updates": 10**30},
    {"updates": None},
    {"hidden_size": 0},
    {"hidden_size": -2},
    {"hidden_size": 3},
    {"hidden_size": 2.5},
    {"hidden_size": 10**9},
    {"hidden_size": 10**30},
    {"input_size": 10**12},
    {"output_size": 10**12},
    {"dtype": "float32"},
    {"dtype": "complex128"},
    {"kind": "Transformer"},
    {"cell": "lstm"},
    {"cell": "rnn-linear"},
    {"cell": 3},
    {"format": "memspan learner 3"},
    {"extra": 1},
    {"batches": SENT | {"length": 10**12}},
    {"batches": SENT | {"batch": 10**12}},
    {"batches": {"drawn": 10**12}},
    {"evaluation": {"drawn": 10**12}},
    {"threshold": None},
    {"threshold": -1},
    {"threshold": 7},
    {"truncate": 0},
    {"truncate": 2.5},
    {"batches": []},
    {"loss": "mse"},
    {"rule": {"name": "adam", "parameters": {"learning_rate": "much"}}},
    {"clips": [{"name": "norm", "code": "import os"}]},
    {"task": {"name": "recall", "parameters": {"tolerance": "much"}}},
    {"task": {"name": "recall", "parameters": [0.1]}},
    {"loss": {"name": "mse", "parameters": {"masked": "maybe"}}},
]


@pytest.mark.parametrize("change", BAD_HEADERS, ids=str)
def test_a_header_that_cannot_be_right_is_refused_before_anything_is_made(path, good, change):
    rewrite(path, header=change)
    tracemalloc.start()
    with pytest.raises(UnreadableFile, match=str(path)):
        Learner.load(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10e6


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"cell": "gru-of-mine"}, "cell"),
        ({"loss": {"name": "mae"}}, "loss"),
        ({"rule": {"name": "adagrad"}}, "optimizer"),
        ({"rule": {"name": "adam", "parameters": {"speed": 3}}}, "optimizer"),
        ({"rule": {"name": "adam", "parameters": {"learning_rate": -1}}}, "learning_rate"),
        ({"clips": [{"name": "norm", "parameters": {}}]}, "optimizer"),
        ({"clips": [{"name": "sgd", "parameters": {"learning_rate": 1}}]}, "optimizer"),
        ({"task": {"name": "guess"}}, "task"),
        ({"loss": {"name": "mse", "parameters": {"masked": 1}}}, "masked"),
        ({"loss": {"name": "mse", "parameters": {"masked": None}}}, "masked"),
        ({"loss": {"name": "softmax", "parameters": {"weight": 1}}}, "loss"),
        ({"task": {"name": "recall", "parameters": {"tolerance": 2}}}, "tolerance"),
        ({"task": {"name": "recall", "parameters": {"tolerance": None}}}, "tolerance"),
        ({"task": {"name": "recall", "parameters": {"tolerance": True}}}, "tolerance"),
        ({"task": {"name": "recall", "parameters": {"speed": 3}}}, "a parameter of recall"),
        ({"task": {"name": "recall/kth", "parameters": {"element": 1.5}}}, "element"),
        ({"task": {"name": "copying/urnn", "parameters": {"items": 0}}}, "items"),
    ],
    ids=str,
)
def test_a_header_that_names_something_else_is_refused_by_name(path, good, change, name):
    rewrite(path, header=change)
    with pytest.raises(InvalidArgument) as caught:
        Learner.load(path)
    assert caught.value.name == name


@pytest.mark.parametrize(
    "rng",
    [
        {},
        {"bit_generator": "PCG64"},
        {"bit_generator": "MT19937", "state": {}},
        {"bit_generator": "PCG64", "state": {"state": -1, "inc": 1}, "has_uint32": 0, "uinteger": 0},
        {"bit_generator": "PCG64", "state": {"state": 2**200, "inc": 1}, "has_uint32": 0, "uinteger": 0},
        {"bit_generator": "PCG64", "state": {"state": "1", "inc": 1}, "has_uint32": 0, "uinteger": 0},
        {"bit_generator": "PCG64", "state": {"state": 1, "inc": 1}, "has_uint32": 0, "uinteger": 2**64},
        {"bit_generator": "PCG64", "state": {"state": 1, "inc": 2}, "has_uint32": 0, "uinteger": 0},
        {"bit_generator": "PCG64", "state": [1, 1], "has_uint32": 0, "uinteger": 0},
        {"bit_generator": "PCG64", "state": "none", "has_uint32": 0, "uinteger": 0},
    ],
    ids=str,
)
def test_a_position_in_the_random_numbers_that_is_none_is_refused(path, good, rng):
    with safe_open(path, framework="numpy") as file:
        batches = json.loads(file.metadata()["memspan"])["batches"]
    rewrite(path, header={"batches": {**batches, "rng": rng}})
    with pytest.raises(UnreadableFile, match="contains an invalid position of batches"):
        Learner.load(path)


BAD_ARRAYS = [
    {"parameters": None},
    {"parameters": np.zeros(11, np.float32)},
    {"parameters": np.zeros((11, 1))},
    {"parameters": np.zeros(12)},
    {"parameters": np.zeros(0)},
    {"optimizer.mean": None},
    {"optimizer.mean": np.zeros(3)},
    {"optimizer.steps": np.array(-1)},
    {"optimizer.steps": np.array(12.0)},
    {"optimizer.steps": np.array([12])},
    {"history.loss": None},
    {"history.loss": np.zeros(11)},
    {"history.loss": np.array(0.0)},
    {"history.norm": np.zeros(13)},
    {"history.clipped_norm": np.zeros(12, np.float32)},
    {"history.accuracy": np.zeros(3)},
    {"history.evaluation_loss": np.zeros((2, 1))},
    {"history.evaluated_at": None},
    {"history.evaluated_at": np.array([10.0, np.inf])},
    {"history.evaluated_at": np.array([10.0, np.nan])},
    {"history.evaluated_at": np.array([10.0, 11.5])},
    {"history.evaluated_at": np.array([10.0, 13.0])},
    {"history.evaluated_at": np.array([-1.0, 12.0])},
    {"history.evaluated_at": np.array([12.0, 10.0])},
    {"history.loss": np.full(12, -0.1)},
    {"history.loss": np.full(12, np.inf)},
    {"history.norm": np.full(12, -1.0)},
    {"history.clipped_norm": np.full(12, np.nan)},
    {"history.accuracy": np.array([0.5, 1.5])},
    {"history.evaluation_loss": np.array([0.5, -0.5])},
    {"optimizer.mean": np.full(11, np.nan)},
    {"optimizer.square": np.full(11, np.inf)},
    {"optimizer.square": np.full(11, -1.0)},
]


@pytest.mark.parametrize("change", BAD_ARRAYS, ids=str)
def test_numbers_that_do_not_fit_the_header_are_refused(path, good, change):
    rewrite(path, arrays=change)
    with pytest.raises(UnreadableFile, match=str(path)):
        Learner.load(path)


def has_bfloat16():
    """NumPy has it in a process that has imported a library which brings it along, such as ml_dtypes."""
    try:
        return np.dtype("bfloat16") is not None
    except TypeError:
        return False


@pytest.mark.parametrize("dtype", ["BF16", "F8_E4M3", "F4", "NONE"])
def test_dtypes_that_numpy_does_not_have_are_refused(path, good, dtype):
    size = {"BF16": 4, "F8_E4M3": 2, "F4": 1, "NONE": 1}[dtype]
    with safe_open(path, framework="numpy") as file:
        metadata = file.metadata()
    entry = {"dtype": dtype, "shape": [2], "data_offsets": [0, size]}
    header = json.dumps({"__metadata__": metadata, "parameters": entry}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(size))
    readable = dtype == "BF16" and has_bfloat16()
    message = "does not match its checksum" if readable else "is not a complete safetensors file"
    with pytest.raises(UnreadableFile, match=message):
        Learner.load(path)
