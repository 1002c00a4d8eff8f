import json
import math
import pickle
import re
import tomllib

import numpy as np
import pytest
from pydantic import ValidationError

from memspan import TASKS, Copying, InvalidArgument, MemspanError, Recall, Study, get_task
from memspan.cells import CELLS
from memspan.cells.initializers import INITIALIZERS
from memspan.errors import MOST
from memspan.runtime.imports import EXAMPLES
from memspan.study.configuration import Configuration
from memspan.study.experiment import LONGEST_NAME
from memspan.study.identity import restored, specified
from memspan.study.study import Key
from memspan.training.optimizers import RULES


def test_the_defaults_are_valid_and_make_a_network_and_an_optimizer():
    study = Study()
    configuration = study.configuration
    network = configuration.make_network(5, 0)
    assert network.weights.R.shape == (study.hidden, study.hidden)
    assert network.dtype == np.float32
    gradient = np.full((1, 4), 100.0)
    step = configuration.make_optimizer().step(gradient, configuration.make_optimizer().init(np.zeros((1, 4))))
    assert step.norm == pytest.approx(200)
    assert step.clipped_norm == pytest.approx(1)


def test_no_clip_clips_nothing():
    optimizer = Configuration(clip=0).make_optimizer()
    step = optimizer.step(np.full((1, 4), 100.0), optimizer.init(np.zeros((1, 4))))
    assert step.clipped_norm == pytest.approx(200)


@pytest.mark.parametrize(
    ("lengths", "message"),
    [
        (0, "lengths[0] must be at least 1, got 0"),
        ([5, -1], "lengths[1] must be at least 1, got -1"),
        (1.5, "lengths takes integers, got 1.5."),
        ([], "lengths must be at least one value, got []"),
        ((), "lengths must be at least one value, got ()"),
        ([5, 10, 5], "lengths must be different from each other, got [5, 10, 5]"),
        ("5,5", "lengths must be different from each other, got '5,5'"),
        ("ten", "lengths takes integers, got 'ten'."),
        ("5,,10", "lengths takes integers, got ''."),
        (None, "lengths takes integers, got None."),
        (True, "lengths must be a number or a name, not a truth value, got True"),
        ([5, True], "lengths must be a number or a name, not a truth value, got [5, True]"),
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


def test_test_lengths_are_none_one_or_several():
    assert Study().test_lengths == Study(test_lengths=[]).test_lengths == Study(test_lengths=()).test_lengths == ()
    assert Study(test_lengths=9).test_lengths == (9,)
    assert Study(test_lengths="40,9").test_lengths == Study(test_lengths=(9, 40)).test_lengths == (9, 40)
    assert Study(test_lengths=9).with_(lengths=4) == Study(lengths=4, test_lengths=9)


@pytest.mark.parametrize(
    ("lengths", "message"),
    [
        (0, "test_lengths[0] must be at least 1, got 0"),
        ([9, 9], "test_lengths must be different from each other, got [9, 9]"),
        ("", "test_lengths takes integers, got ''."),
        (None, "test_lengths takes integers, got None."),
        (True, "test_lengths must be a number or a name, not a truth value, got True"),
        (2**31, "test_lengths[0] must be at most 2,147,483,647, got 2147483648"),
    ],
)
def test_test_lengths_are_checked(lengths, message):
    with pytest.raises(InvalidArgument) as caught:
        Study(test_lengths=lengths)
    assert str(caught.value) == message


@pytest.mark.parametrize("name", sorted(TASKS.keys() - {"memory-capacity"}))
def test_every_task_but_one_may_be_tested_at_other_lengths(name):
    """Some want more answers at a longer length, from a network with the same weights."""
    least = get_task(name).least_length
    tested = (least, least + 60)
    assert Study(task=name, lengths=least + 20, test_lengths=tested).test_lengths == tested
    if least > 1:
        rule = f"at least {least} for {name}, got {least - 1}"
        with pytest.raises(InvalidArgument, match=f"^test_lengths must be {rule}$"):
            Study(task=name, lengths=least + 20, test_lengths=least - 1)


@pytest.mark.parametrize("task", ["memory-capacity", ["recall", "memory-capacity"]], ids=str)
def test_test_lengths_are_refused_where_networks_have_more_outputs_at_longer_lengths(task):
    rule = "left out for memory-capacity, whose networks have another size at another length"
    for short, long in ((20, 60), ((20, 60), 60)):
        with pytest.raises(InvalidArgument, match=f"^test_lengths must be {rule}, got 60$"):
            Study(task=task, lengths=short, test_lengths=long)
    assert Study(task=task, lengths=20, test_lengths=20).test_lengths == (20,)


def test_a_single_length_and_a_range():
    assert Study(lengths=7).lengths == (7,)
    assert Study(lengths="7").lengths == (7,)
    assert Study(lengths=range(5, 20, 5)).lengths == (5, 10, 15)


COUNTS = (
    "hidden",
    "batch",
    "updates",
    "repetitions",
    "evaluate_every",
    "final_batches",
    "evaluation_samples",
)


@pytest.mark.parametrize(
    ("field", "value", "rule"),
    [
        *((field, value, "must be at least 1") for field in COUNTS for value in (0, -1)),
        *((field, 1.5, "takes integers") for field in COUNTS),
        *(
            (field, math.nan, "must be a finite number")
            for field in ("learning_rate", "clip", "gain", "threshold")
        ),
        *(
            (field, math.inf, "must be a finite number")
            for field in ("learning_rate", "clip", "gain", "threshold")
        ),
        ("learning_rate", 0, "must be above 0"),
        ("learning_rate", -1, "must be above 0"),
        ("learning_rate", "fast", "takes numbers"),
        ("gain", 0, "must be above 0"),
        ("clip", -1, "must be at least 0"),
        ("seed", -1, "must be at least 0"),
        ("threshold", 0, "must be above 0"),
        ("threshold", 1.1, "must be at most 1"),
        *(
            (field, True, "must be a number or a name, not a truth value")
            for field in (*COUNTS, "seed", "keep_weights", "clip")
        ),
        ("keep_weights", -1, "must be at least 0"),
        ("repetitions", [3, 4], "must be one value"),
        ("task_parameters", 3, "takes a table of names and values"),
    ],
)
def test_a_bad_value_is_named_with_its_field_and_the_rule(field, value, rule):
    with pytest.raises(InvalidArgument) as caught:
        Study(**{field: value})
    assert str(caught.value).removesuffix(".") == f"{field} {rule}, got {value!r}"
    assert caught.value.name == field


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"hidden": 10**400}, "hidden must be at most 2,147,483,647, got an integer of about 401 digits"),
        ({"hidden": [8, 2**31]}, "hidden[1] must be at most 2,147,483,647, got 2147483648"),
        ({"hidden": "1" * 5000}, "hidden takes integers with fewer digits, got '1111"),
        ({"lengths": 10**12}, "lengths[0] must be at most 2,147,483,647, got 1000000000000"),
        ({"keep_weights": 10**30}, "keep_weights must be at most 2,147,483,647, got 1" + "0" * 30),
        ({"repetitions": 10**30}, "repetitions must be at most 2,147,483,647, got 1" + "0" * 30),
        ({"seed": 2**128}, f"seed must be at most 2**128 - 1, got {2**128}"),
        ({"seed": 10**5000}, "seed must be at most 2**128 - 1, got an integer of about 5,001 digits"),
        (
            {"learning_rate": 10**5000},
            "learning_rate must be a finite number, got an integer of about 5,001 digits",
        ),
        (
            {"learning_rate": [k + 1 for k in range(100_001)]},
            "the study must be one of at most 100,000 config",
        ),
        ({"name": "x" * 10**6}, "name must be a text of at most 1,000 characters, got 'xxx"),
        ({"x" * 10**6: 3}, "Unknown field 'xxx"),
    ],
    ids=range(12),
)
def test_what_is_too_large_is_refused_in_a_short_line(values, message):
    with pytest.raises(MemspanError) as caught:
        Study(**values)
    assert str(caught.value).startswith(message)
    assert len(str(caught.value)) < 300


def test_the_largest_numbers_are_taken():
    study = Study(seed=2**128 - 1, hidden=MOST, keep_weights=MOST)
    assert restored(specified(study)["specification"]) == study


@pytest.mark.parametrize("place", [3, None, b"x"])
def test_a_study_file_must_be_a_path(place):
    with pytest.raises(InvalidArgument, match=r"the study file must be a path, got "):
        Study.read(place)


@pytest.mark.parametrize("place", [-1, 2, True, "x", 10**30])
def test_a_configuration_that_there_is_not_is_named(place):
    study = Study(cell="rnn,gru")
    for method in (study.only, study.label):
        with pytest.raises(InvalidArgument, match=r"(place|configuration) must be "):
            method(place)


@pytest.mark.parametrize(("field", "value"), [("name", ""), ("name", "x" * (LONGEST_NAME + 1)), ("name", 3)])
def test_a_name_is_a_text_of_some_letters(field, value):
    with pytest.raises(InvalidArgument) as caught:
        Study(**{field: value})
    assert caught.value.name == field
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    ("task_parameters", "message"),
    [
        ({"tolerance": 0}, "tolerance must be a finite number above 0 and below 1, got 0"),
        ({"tolerance": 1}, "tolerance must be a finite number above 0 and below 1, got 1"),
        ({"element": 0}, "element must be a whole number of at least 1, got 0"),
        ({"speed": 3}, "a parameter of recall must be one of tolerance, element, scale, got 'speed'"),
        ({"variant": 1}, "a parameter of recall must be one of tolerance, element, scale, got 'variant'"),
        (3, "task_parameters takes a table of names and values, got 3."),
    ],
)
def test_the_parameters_of_the_task_are_checked(task_parameters, message):
    with pytest.raises(InvalidArgument) as caught:
        Study(task_parameters=task_parameters)
    assert str(caught.value) == message


@pytest.mark.parametrize("value", [math.nan, math.inf, "much", None, [0.1, "much"]])
def test_a_parameter_of_the_task_is_a_finite_number(value):
    with pytest.raises(
        InvalidArgument, match=r"^task_parameters\.tolerance.* (must be a finite number|takes numbers), got "
    ) as caught:
        Study(task_parameters={"tolerance": value})
    assert caught.value.name.startswith("task_parameters.tolerance")


def test_the_task_is_the_one_named_with_its_parameters():
    assert Configuration().make_task() == Recall()
    assert Configuration(task_parameters={"tolerance": 0.25}).make_task() == Recall(0.25)
    study = Study(task="copying/urnn", task_parameters={"items": 2, "symbols": 3})
    assert study.configuration.make_task() == Copying("urnn", items=2, symbols=3)
    assert type(study.configuration.make_task().items) is int
    assert study.task == "copying/urnn"
    with pytest.raises(
        InvalidArgument, match=r"^a parameter of parity must be left out, because the task has none, got 'items'"
    ):
        study.with_(task="parity")


@pytest.mark.parametrize("name", TASKS)
def test_the_network_fits_the_task_at_every_length(name):
    study = Study(task=name, hidden=3)
    task = study.configuration.make_task()
    for length in (study.lengths[0], study.lengths[-1]):
        network, (steps, features, outputs, output_steps) = (
            study.configuration.make_network(length, 0),
            task.shape(length),
        )
        assert (network.input_size, network.output_size, network.output_steps) == (features, outputs, output_steps)
        x, y = task.sample(length, 2, np.random.default_rng(0))
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
    with pytest.raises(InvalidArgument, match="lengths must be at least 50 for recall/kth, got none, "):
        Study(task="recall/kth", task_parameters={"element": 50})  # nothing would be left


@pytest.mark.parametrize(
    ("field", "names"),
    [("task", TASKS), ("cell", CELLS), ("init", [*INITIALIZERS, "critical"]), ("optimizer", RULES)],
)
def test_a_choice_is_one_of_the_dictionary(field, names):
    for name in names:
        assert getattr(Study(**{field: name}), field) == name
    with pytest.raises(InvalidArgument) as caught:
        Study(**{field: "nothing"})
    own = f", or an import path such as {EXAMPLES[field]}" if field in ("cell", "task") else ""
    assert str(caught.value).startswith(f"{field} must be one of {', '.join(names)}{own}, got 'nothing'")


@pytest.mark.parametrize(
    ("field", "typed", "meant"),
    [
        ("cell", "lst", "lstm"),
        ("cell", "LSTM", "lstm"),
        ("cell", ["rnn", "gruu"], "gru"),
        ("task", "adding/hs79", "adding/hs97"),
        ("init", "ortogonal", "orthogonal"),
        ("dtype", "float16", "float64"),
    ],
)
def test_a_wrong_name_has_those_that_there_are_and_the_one_that_was_meant(field, typed, meant):
    with pytest.raises(InvalidArgument) as caught:
        Study(**{field: typed})
    wrong, place = (typed, field) if isinstance(typed, str) else (typed[1], f"{field}[1]")
    names = r"[a-z0-9, /-]*(or an import path such as mypkg.\w+:[mM]ine)?"
    expected = rf"{re.escape(place)} must be one of {names}, got '{wrong}'; did you mean '{meant}'\?"
    assert re.fullmatch(expected, str(caught.value))
    assert caught.value.name == place


def test_an_unknown_field_is_named_and_one_like_it_suggested():
    with pytest.raises(InvalidArgument, match=r"^Unknown field 'colour'\.$"):
        Study(colour=3)
    for typed, meant in (("lenghts", "lengths"), ("learning_rates", "learning_rate"), ("Hidden", "hidden")):
        with pytest.raises(InvalidArgument, match=rf"^Unknown field .{typed}.\. Did you mean .{meant}.\?$"):
            Study(**{typed: 3})


def test_frozen():
    study = Study()
    with pytest.raises(ValidationError, match="frozen"):
        study.hidden = 3


def test_the_way_to_json_and_back():
    study = Study(lengths="7,3", cell="lstm", init="orthogonal", learning_rate=0.1 + 0.2, seed=2**70)
    again = Study.model_validate_json(study.model_dump_json())
    assert again == study
    assert again.seed == 2**70
    assert again != study.with_(seed=1)
    study = Study(task="copying/urnn", task_parameters={"items": 2, "symbols": 3}, lengths=(1, 4))
    again = Study.model_validate_json(study.model_dump_json())
    assert again == study
    assert again.configuration.make_task() == study.configuration.make_task()
    assert again != study.with_(task_parameters={"items": 2, "symbols": 4})


@pytest.mark.parametrize("place", [2, -1, True, None, "0"])
def test_a_place_is_one_of_a_configuration(place):
    for study, last in ((Study(), 0), (Study(hidden=(3, 4)), 1)):
        for call, name in ((study.only, "place"), (study.label, "configuration")):
            with pytest.raises(InvalidArgument, match=rf"^{name} must be (a whole number|at most {last})"):
                call(place)


def test_a_copy_is_checked_like_a_study():
    study = Study(hidden=7)
    assert study.model_copy(update={"seed": 3}) == Study(hidden=7, seed=3)
    assert study.model_copy() == study.model_copy(deep=True) == study
    with pytest.raises(InvalidArgument, match="Unknown field 'hiden'"):
        study.model_copy(update={"hiden": 3})
    with pytest.raises(InvalidArgument, match="hidden must be at least 1, got 0"):
        study.model_copy(update={"hidden": 0})


def test_with_changes_these_fields_alone_and_checks_them():
    study = Study(hidden=7).with_(seed=3, lengths="2,1")
    assert study == Study(hidden=7, seed=3, lengths=(1, 2))
    with pytest.raises(InvalidArgument, match="hidden must be at least 1, got 0"):
        study.with_(hidden=0)


def test_keys_are_every_pair_the_longest_first():
    keys = [Key(0, 10, 0), Key(0, 10, 1), Key(0, 5, 0), Key(0, 5, 1)]
    assert Study(lengths=(5, 10), repetitions=2).keys == keys
    assert (keys[1].configuration, keys[1].length, keys[1].repetition) == (0, 10, 1)


def test_the_network_is_the_one_asked_for():
    study = Study(cell="lstm", hidden=5, init="identity", gain=2.0, recurrent_gain=1.5, dtype="float64")
    network = study.configuration.make_network(5, 0)
    assert network.dtype == np.float64
    np.testing.assert_array_equal(network.weights.R, 3 * np.tile(np.eye(5), 4))


def test_describe_says_what_was_varied():
    line = Study(cell="lstm", hidden=7, optimizer="sgd", learning_rate=0.25, clip=0, batch=9).describe()
    assert line == f"lstm, 7 hidden, {CELLS['lstm'].init} init, sgd 0.25, batch 9"
    gains = Study(gain=4, recurrent_gain=0.5).describe()
    assert gains == "rnn, 32 hidden, uniform init, gain 4, recurrent gain 0.5, adam 0.01, clip 1, batch 64"
    assert Study(init="orthogonal").describe() == "rnn, 32 hidden, orthogonal init, adam 0.01, clip 1, batch 64"


def test_truncate_is_a_number_of_steps_and_said_in_titles(tmp_path):
    (tmp_path / "study.toml").write_text('cell = "lstm"\ntruncate = [1, 20]\n')
    study = Study.read(tmp_path / "study.toml")
    assert [one.truncate for one in study.configurations] == [1, 20]
    assert Configuration().truncate is None
    line = Configuration(truncate=5).describe()
    assert line == "rnn, 32 hidden, uniform init, adam 0.01, clip 1, gradient truncated to 5 steps, batch 64"
    for wrong in (0, -1, 1.5, "all"):
        with pytest.raises(InvalidArgument, match=r"truncate (must be|takes)"):
            Study(truncate=wrong)


# --- several configurations -----------------------------------------------------------------------------

SEVERAL = Study(cell=["lstm", "gru"], hidden="8,16", task_parameters={"tolerance": [0.1, 0.2]}, repetitions=2)


def test_each_combination_of_the_values_is_a_configuration():
    found = [(one.cell, one.hidden, one.task_parameters["tolerance"]) for one in SEVERAL.configurations]
    assert found == [(cell, H, by) for cell in ("lstm", "gru") for H in (8, 16) for by in (0.1, 0.2)]
    assert SEVERAL.varying == ("cell", "hidden", "task_parameters.tolerance")
    for one in SEVERAL.configurations:
        assert isinstance(one, Configuration)
        assert one.make_task() == Recall(one.task_parameters["tolerance"])
        assert one.make_network(5, 0).hidden_size == one.hidden
    assert SEVERAL.describe() == "8 configurations of cell, hidden, tolerance"


def test_labels_have_as_many_digits_as_tell_the_values_apart():
    study = Study(gain=(4, 0.12345678), learning_rate=(1e-3, 1e-5))
    assert study.label(0) == "gain 4, learning rate 0.001"
    assert study.label(3) == "gain 0.12345678, learning rate 1e-05"


def test_a_recurrent_gain_is_refused_for_a_cell_without_r():
    message = "recurrent_gain must be 1 for the cell lru, which has no R, got 2.0"
    for kind in (Study, Configuration):
        with pytest.raises(InvalidArgument, match=message):
            kind(cell="lru", recurrent_gain=2)
    with pytest.raises(InvalidArgument, match=message):
        Study(cell="rnn,lru", recurrent_gain=(1, 2))


def test_a_study_without_lists_is_its_only_configuration():
    study = Study(hidden=7)
    assert study.configurations == (Configuration(hidden=7),)
    assert study.only(0) is study
    assert (study.varying, study.label(0)) == ((), "")


def test_every_field_of_a_configuration_may_be_a_list():
    several = {
        "task": ["recall", "parity"],
        "cell": ["rnn", "gru"],
        "init": ["orthogonal", "identity"],
        "gain": [1, 2],
        "recurrent_gain": [1, 2],
        "hidden": [3, 4],
        "optimizer": ["sgd", "adam"],
        "learning_rate": [0.1, 0.2],
        "clip": [0, 1],
        "truncate": [3, 4],
        "batch": [5, 6],
        "updates": [7, 8],
        "threshold": [0.5, 0.6],
        "evaluate_every": [10, 20],
        "final_batches": [1, 2],
        "evaluation_samples": [30, 40],
        "dtype": ["float32", "float64"],
        "seed": [0, 1],
    }
    assert set(several) == set(Study.model_fields) - {
        "task_parameters",
        "options",  # of a cell of the user's own: see tests/study/test_own_parts.py
        "device",  # of a PyTorch model: see tests/study/test_own_models.py
        "lengths",
        "repetitions",
        "test_lengths",
        "keep_weights",
        "name",
    }
    for field, values in several.items():
        study = Study(**{field: values})
        assert [getattr(one, field) for one in study.configurations] == values
        assert study.varying == (field,)
        words = field.replace("_", " ")
        assert [study.label(k) for k in (0, 1)] == [f"{words} {value}" for value in values]


@pytest.mark.parametrize(
    "cells", ["lstm,gru", ["lstm", "gru"], ("lstm", "gru"), ["lstm,gru"], np.array(["lstm", "gru"])]
)
def test_a_list_can_be_said_in_many_ways_and_keeps_its_order(cells):
    assert Study(cell=cells).cell == ("lstm", "gru")
    assert Study(cell="gru,lstm").cell == ("gru", "lstm")
    assert Study(hidden=range(8, 17, 8)).hidden == (8, 16)


def test_a_list_of_one_value_is_that_value():
    study = Study(cell=["lstm"], hidden=(7,), task_parameters={"tolerance": ["0.2"]}, repetitions=["3"])
    assert study == Study(cell="lstm", hidden=7, task_parameters={"tolerance": 0.2}, repetitions=3)
    assert hash(study) == hash(Study(cell="lstm", hidden=7, task_parameters={"tolerance": 0.2}, repetitions=3))
    assert (study.cell, study.hidden, study.repetitions) == ("lstm", 7, 3)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"hidden": [8, 0]}, "hidden[1] must be at least 1, got 0"),
        ({"hidden": "8,0"}, "hidden[1] must be at least 1, got '0'"),
        ({"hidden": [8, 8]}, "hidden must be different from each other, got [8, 8]"),
        ({"hidden": "8,8"}, "hidden must be different from each other, got '8,8'"),
        ({"learning_rate": [1, 1.0]}, "learning_rate must be different from each other, got [1, 1.0]"),
        ({"hidden": []}, "hidden must be at least one value, got []"),
        ({"init": ()}, "init must be at least one value, got ()"),
        ({"learning_rate": [0.1, math.inf]}, "learning_rate[1] must be a finite number, got inf"),
        (
            {"task_parameters": {"tolerance": [0.1, 2]}},
            "tolerance must be a finite number above 0 and below 1, got 2",
        ),
        ({"task_parameters": {"tolerance": []}}, "task_parameters.tolerance must be at least one value, got []"),
        ({"task": ["recall", "adding/hs97"], "lengths": 5}, "lengths must be at least 20 for adding/hs97, got 5"),
    ],
)
def test_every_value_of_a_list_is_checked(values, message):
    with pytest.raises(InvalidArgument) as caught:
        Study(**values)
    assert str(caught.value) == message


def test_a_parameter_must_be_one_of_every_task_there_is():
    with pytest.raises(
        InvalidArgument, match="a parameter of parity must be left out, because the task has none, got 'tolerance'"
    ):
        Study(task=["recall", "parity"], task_parameters={"tolerance": 0.2})
    assert Study(task=["adding/hs97", "parity"]).lengths == (20, 25, 30, 40)
    study = Study(task=["adding/hs97", "parity"])
    assert [study.only(k).lengths for k in (0, 1)] == [(20, 25, 30, 40)] * 2


def test_whole_numbers_of_a_task_stay_whole_in_lists():
    study = Study(task="copying/urnn", task_parameters={"items": [2, 3.0]})
    assert [type(one.make_task().items) for one in study.configurations] == [int, int]
    assert [one.make_task().items for one in study.configurations] == [2, 3]


def test_keys_of_several_configurations_are_the_longest_lengths_first():
    study = Study(seed=[3, 4], lengths=(5, 10), repetitions=2)
    pairs = [(length, c, k) for length in (10, 5) for c in (0, 1) for k in (0, 1)]
    assert study.keys == [Key(c, length, k) for length, c, k in pairs]


def test_a_label_is_what_sets_a_configuration_apart():
    assert SEVERAL.label(0) == "cell lstm, hidden 8, tolerance 0.1"
    assert SEVERAL.label(7) == "cell gru, hidden 16, tolerance 0.2"
    assert len({SEVERAL.label(k) for k in range(8)}) == 8


def test_values_are_those_of_every_field_that_takes_several():
    values = SEVERAL.values()
    assert (values["cell"], values["hidden"], values["task_parameters.tolerance"]) == (
        ("lstm", "gru"),
        (8, 16),
        (0.1, 0.2),
    )
    assert (values["task"], values["init"]) == (("recall",), (None,))
    names = set(Configuration.model_fields) - {"task_parameters", "options"}
    assert set(values) == names | {"task_parameters.tolerance"}


def test_several_configurations_are_not_the_only_one():
    refusal = r"^study must be one of a single configuration, such as study.only\(0\), got 8 configurations, which"
    with pytest.raises(InvalidArgument, match=refusal):
        SEVERAL.configuration  # noqa: B018
    for k, configuration in enumerate(SEVERAL.configurations):
        assert SEVERAL.only(k).configuration == configuration
        assert (SEVERAL.only(k).lengths, SEVERAL.only(k).repetitions) == (SEVERAL.lengths, 2)


@pytest.mark.parametrize("field", ["cell", "hidden", "task_parameters"])
def test_a_configuration_has_one_value_in_each_field(field):
    value = getattr(SEVERAL, field)
    name = "task_parameters.tolerance" if field == "task_parameters" else field
    with pytest.raises(InvalidArgument, match=f"^{name} must be one value; a Study takes several, got "):
        Configuration(**{field: value})


def test_lists_survive_the_way_to_json_and_back():
    again = Study.model_validate_json(SEVERAL.model_dump_json())
    assert again == SEVERAL == Study(**json.loads(SEVERAL.model_dump_json()))
    assert again.configurations == SEVERAL.configurations
    assert again != SEVERAL.with_(hidden=[16, 8])


def test_what_has_been_looked_up_makes_no_difference():
    untouched = Study(cell=["lstm", "gru"])
    looked_up = Study(cell=["lstm", "gru"])
    assert len(looked_up.keys) == 2 * len(looked_up.lengths) * 10
    assert untouched == looked_up
    assert untouched != "a study"


def test_a_study_has_an_end():
    with pytest.raises(InvalidArgument, match=r"the study must be one of at most 10,000,000 trials, got 70,070,0"):
        Study(hidden=range(1, 1002), repetitions=10_000)
    with pytest.raises(
        InvalidArgument, match=r"the study must be one of at most 100,000 configurations, got 1,00"
    ):
        Study(hidden=range(1, 1001), seed=range(1001))


# --- files ----------------------------------------------------------------------------------------------

TOML = """
name = "gates"
cell = ["lstm", "gru"]
hidden = 16
lengths = [10, 20]
learning_rate = 0.003

[task_parameters]
tolerance = [0.1, 0.2]
element = 1
"""


@pytest.fixture
def file(tmp_path):
    (tmp_path / "study.toml").write_text(TOML, "utf-8")
    return tmp_path / "study.toml"


def test_a_study_is_read_from_a_file(file):
    assert Study.read(file) == Study.read(str(file)) == Study(**tomllib.loads(TOML))
    study = Study.read(file)
    assert (study.name, study.cell, study.lengths) == ("gates", ("lstm", "gru"), (10, 20))
    assert study.task_parameters == {"tolerance": (0.1, 0.2), "element": 1}


def test_what_is_given_besides_the_file_comes_first(file):
    study = Study.read(file, cell="rnn", seed="1,2", task_parameters={"tolerance": "0.3"})
    assert (study.cell, study.seed, study.hidden) == ("rnn", (1, 2), 16)
    assert study.task_parameters == {"tolerance": 0.3, "element": 1}
    with pytest.raises(InvalidArgument, match="hidden must be at least 1, got 0"):
        Study.read(file, hidden=0)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"cell = ", "the study file must be TOML in UTF-8, got "),
        (b"name = '\xff'", "the study file must be TOML in UTF-8, got "),
        (
            b"lenghts = [5]",
            "Unknown field 'lenghts'. Did you mean 'lengths'?",
        ),
        (b"cell = 'lst'", "cell must be one of rnn, "),
        (b"task_parameters = 3", "task_parameters takes a table of names and values, got 3."),
        (b"hidden = true", "hidden must be a number or a name, not a truth value, got True"),
    ],
)
def test_a_bad_file_is_named_in_a_line(tmp_path, content, message):
    path = tmp_path / "study.toml"
    path.write_bytes(content)
    with pytest.raises(InvalidArgument) as caught:
        Study.read(path, seed=1)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)
    if message.startswith("the study file"):
        assert str(path) in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InvalidArgument, match=r"the study file must be a readable file, got .*nothing.toml: No"):
        Study.read(tmp_path / "nothing.toml")


# --- the schema -----------------------------------------------------------------------------------------


def test_the_schema_has_every_field_with_its_text_and_takes_no_other():
    schema = Study.model_json_schema()
    assert set(schema["properties"]) == set(Study.model_fields)
    assert schema["additionalProperties"] is False
    assert all(found["description"] for found in schema["properties"].values())


def test_the_schema_takes_one_value_or_several_different_ones():
    properties = Study.model_json_schema()["properties"]
    one, several = properties["cell"]["anyOf"]
    name, path = one["anyOf"]
    assert name == {"enum": list(CELLS)}
    assert re.search(path["pattern"], "mypkg.cells:mine")
    assert not re.search(path["pattern"], "lstn")
    assert several == {"type": "array", "items": one, "minItems": 1, "uniqueItems": True}
    one, several = properties["hidden"]["anyOf"]
    assert one == several["items"] == {"type": "integer", "minimum": 1, "maximum": MOST}
    one, several = properties["task_parameters"]["additionalProperties"]["anyOf"]
    assert one == several["items"] == {"type": "number"}
    assert {"type": "null"} in properties["init"]["anyOf"]
    for name in ("repetitions", "keep_weights"):
        assert properties[name]["type"] == "integer"
    assert properties["lengths"]["type"] == "array"


def test_what_is_sent_to_a_worker_is_no_longer_for_many_trials():
    small, large = (Study(lengths=range(1, 51), repetitions=repetitions) for repetitions in (1, 1000))
    assert len(large.keys) == 50_000
    assert len(pickle.dumps(large)) < len(pickle.dumps(small)) + 10
    assert pickle.loads(pickle.dumps(large)) == large
