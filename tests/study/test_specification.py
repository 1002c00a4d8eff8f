import math

import numpy as np
import pytest
from pydantic import ValidationError

from memspan import TASKS, Copying, InvalidArgument, Recall, Study
from memspan.cells import CELLS
from memspan.optimizers import RULES
from memspan.starts import STARTS


def test_the_defaults_are_valid_and_make_a_network_and_an_optimizer():
    study = Study()
    network = study.new_network(5, 0)
    assert network.weights.R.shape == (study.hidden, study.hidden)
    assert network.dtype == np.float32
    gradient = np.full((1, 4), 100.0)
    step = study.new_optimizer().step(gradient, study.new_optimizer().init(np.zeros((1, 4))))
    assert step.norm == pytest.approx(200)
    assert step.clipped_norm == pytest.approx(1)


def test_no_clip_clips_nothing():
    optimizer = Study(clip=0).new_optimizer()
    step = optimizer.step(np.full((1, 4), 100.0), optimizer.init(np.zeros((1, 4))))
    assert step.clipped_norm == pytest.approx(200)


@pytest.mark.parametrize(
    ("lengths", "message"),
    [
        (0, "lengths.0 must be greater than 0, got 0"),
        ([5, -1], "lengths.1 must be greater than 0, got -1"),
        (1.5, "lengths.0 must be a valid integer, got a number with a fractional part, got 1.5"),
        ([], "lengths must be at least one length, got []"),
        ((), "lengths must be at least one length, got ()"),
        ([5, 10, 5], "lengths must be different from each other, got [5, 10, 5]"),
        ("5,5", "lengths must be different from each other, got '5,5'"),
        ("ten", "lengths.0 must be a valid integer, unable to parse string as an integer, got 'ten'"),
        ("5,,10", "lengths.1 must be a valid integer, unable to parse string as an integer, got ''"),
        (None, "lengths.0 must be a valid integer, got None"),
    ],
)
def test_lengths_are_checked(lengths, message):
    with pytest.raises(InvalidArgument) as caught:
        Study(lengths=lengths)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "lengths",
    ["5,10,20", ["5", "10", "20"], ["5,10", "20"], (20, 5, 10), [10, 20, 5], np.array([5, 20, 10]), {5, 10, 20}],
)
def test_lengths_can_be_said_in_many_ways_and_are_sorted(lengths):
    assert Study(lengths=lengths).lengths == (5, 10, 20)


def test_a_single_length_and_a_range():
    assert Study(lengths=7).lengths == (7,)
    assert Study(lengths="7").lengths == (7,)
    assert Study(lengths=range(5, 20, 5)).lengths == (5, 10, 15)


COUNTS = ("hidden", "batch", "updates", "repetitions")


@pytest.mark.parametrize(
    ("field", "value", "rule"),
    [
        *((field, value, "greater than 0") for field in COUNTS for value in (0, -1)),
        *((field, 1.5, "a valid integer, got a number with a fractional part") for field in COUNTS),
        *((field, math.nan, "a finite number") for field in ("learning_rate", "clip", "gain", "threshold")),
        *((field, math.inf, "a finite number") for field in ("learning_rate", "clip", "gain", "threshold")),
        ("learning_rate", 0, "greater than 0"),
        ("learning_rate", -1, "greater than 0"),
        ("learning_rate", "fast", "a valid number, unable to parse string as a number"),
        ("gain", 0, "greater than 0"),
        ("clip", -1, "greater than or equal to 0"),
        ("seed", -1, "greater than or equal to 0"),
        ("threshold", 0, "greater than 0"),
        ("threshold", 1.1, "less than or equal to 1"),
        ("dtype", "float16", "'float32' or 'float64'"),
    ],
)
def test_a_bad_value_is_named_with_its_field_and_the_rule(field, value, rule):
    with pytest.raises(InvalidArgument) as caught:
        Study(**{field: value})
    assert str(caught.value) == f"{field} must be {rule}, got {value!r}"
    assert caught.value.name == field


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"tolerance": 0}, "tolerance must be a finite number above 0 and below 1, got 0"),
        ({"tolerance": 1}, "tolerance must be a finite number above 0 and below 1, got 1"),
        ({"element": 0}, "element must be a whole number of at least 1, got 0"),
        ({"speed": 3}, "a parameter of recall must be one of tolerance, element, scale, got 'speed'"),
        ({"variant": 1}, "a parameter of recall must be one of tolerance, element, scale, got 'variant'"),
        (3, "parameters must be a valid dictionary, got 3"),
    ],
)
def test_the_parameters_of_the_task_are_checked(parameters, message):
    with pytest.raises(InvalidArgument) as caught:
        Study(parameters=parameters)
    assert str(caught.value) == message


@pytest.mark.parametrize("value", [math.nan, math.inf, "much", None])
def test_a_parameter_of_the_task_is_a_finite_number(value):
    with pytest.raises(InvalidArgument, match=r"^parameters\.tolerance.* must be a (finite|valid) ") as caught:
        Study(parameters={"tolerance": value})
    assert caught.value.name.startswith("parameters.tolerance")


def test_the_task_is_the_one_named_with_its_parameters():
    assert Study().new_task() == Recall()
    assert Study(parameters={"tolerance": 0.25}).new_task() == Recall(0.25)
    study = Study(task="copying/urnn", parameters={"items": 2, "symbols": 3})
    assert study.new_task() == Copying("urnn", items=2, symbols=3)
    assert type(study.new_task().items) is int
    assert study.task == "copying/urnn"
    with pytest.raises(
        InvalidArgument, match=r"^a parameter of parity must be left out: there is none, got 'items'"
    ):
        study.with_(task="parity")


@pytest.mark.parametrize("name", TASKS)
def test_the_network_fits_the_task_at_every_length(name):
    study = Study(task=name, hidden=3)
    task = study.new_task()
    for length in (study.lengths[0], study.lengths[-1]):
        network, (steps, features, outputs, read_out) = study.new_network(length, 0), task.shape(length)
        assert (network.input_size, network.output_size, network.read_out) == (features, outputs, read_out)
        x, y = task.sample(np.random.default_rng(0), length, 2)
        assert len(x) == steps
        assert network.predict(x.astype(np.float32)).shape == y.shape


def test_lengths_that_the_task_does_not_have_are_left_out_unless_they_were_asked_for():
    assert Study(task="adding/hs97").lengths == (20, 25, 30, 40)
    assert Study(task="parity").lengths == Study().lengths
    assert Study(seed=3).with_(task="adding/hs97").lengths == (20, 25, 30, 40)
    assert Study(task="adding/hs97").with_(task="recall").lengths == Study().lengths
    with pytest.raises(InvalidArgument) as caught:
        Study(task="adding/hs97", lengths=(5, 20))
    assert str(caught.value) == "lengths must be at least 20 for adding/hs97, got 5"
    assert caught.value.name == "lengths"
    with pytest.raises(InvalidArgument, match="lengths must be given for recall/kth, whose shortest is 50"):
        Study(task="recall/kth", parameters={"element": 50})  # nothing would be left


@pytest.mark.parametrize(
    ("field", "names"), [("task", TASKS), ("cell", CELLS), ("start", STARTS), ("optimizer", RULES)]
)
def test_a_choice_is_one_of_the_dictionary(field, names):
    for name in names:
        assert getattr(Study(**{field: name}), field) == name
    with pytest.raises(InvalidArgument) as caught:
        Study(**{field: "nothing"})
    assert str(caught.value).startswith(f"{field} must be ")
    assert str(caught.value).endswith(", got 'nothing'")
    assert all(repr(name) in str(caught.value) for name in names)


def test_an_unknown_field_is_named():
    with pytest.raises(InvalidArgument, match=r"^colour must be .*, got 3$"):
        Study(colour=3)


def test_frozen():
    study = Study()
    with pytest.raises(ValidationError, match="frozen"):
        study.hidden = 3


def test_the_way_to_json_and_back():
    study = Study(lengths="7,3", cell="lstm", start="orthogonal", learning_rate=0.1 + 0.2, seed=2**70)
    again = Study.model_validate_json(study.model_dump_json())
    assert again == study
    assert again.seed == 2**70
    assert again != study.with_(seed=1)
    study = Study(task="copying/urnn", parameters={"items": 2, "symbols": 3}, lengths=(1, 4))
    again = Study.model_validate_json(study.model_dump_json())
    assert again == study
    assert again.new_task() == study.new_task()
    assert again != study.with_(parameters={"items": 2, "symbols": 4})


def test_with_changes_these_fields_alone_and_checks_them():
    study = Study(hidden=7).with_(seed=3, lengths="2,1")
    assert study == Study(hidden=7, seed=3, lengths=(1, 2))
    with pytest.raises(InvalidArgument, match="hidden must be greater than 0, got 0"):
        study.with_(hidden=0)


def test_keys_are_every_pair_the_longest_first():
    assert Study(lengths=(5, 10), repetitions=2).keys == [(10, 0), (10, 1), (5, 0), (5, 1)]


def test_the_network_is_the_one_asked_for():
    study = Study(cell="lstm", hidden=5, start="identity", gain=2.0, dtype="float64")
    network = study.new_network(5, 0)
    assert network.dtype == np.float64
    np.testing.assert_array_equal(network.weights.R, 2 * np.tile(np.eye(5), 4))


def test_describe_says_what_was_varied():
    line = Study(cell="lstm", hidden=7, optimizer="sgd", learning_rate=0.25, clip=0, batch=9).describe()
    assert line == f"lstm, 7 hidden, {CELLS['lstm'].start} start, sgd 0.25, batch 9"
    assert Study(start="orthogonal").describe() == "rnn, 32 hidden, orthogonal start, adam 0.01, clip 1, batch 64"
