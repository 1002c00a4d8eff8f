import json
from dataclasses import replace

import numpy as np
import pytest

from memspan import Configuration, InvalidArgument, predict
from memspan.diagnostics import Twins, label_gradient
from memspan.span import Group
from memspan.study.group import prepared, untrained
from memspan.why.noise_jump import noise_jump_of
from memspan.why.predict import TWINS, descent_of, largest_exponent, needed_by, updates_needed
from memspan.why.thrown import JumpPrediction

SMALL = {"hidden": 8, "optimizer": "momentum", "learning_rate": 0.03, "updates": 300}
QUICK = {"budget": 16, "longest": 12, "progress": False}


def small(**fields):
    return Configuration(**(SMALL | fields))


def test_the_networks_are_those_that_are_trained():
    configuration = small()
    needed = updates_needed(configuration, Group(5, 2, 3))
    twins = Twins.of(configuration.make_task(), 5, 64, np.random.SeedSequence(0, spawn_key=(5, 0, TWINS)))
    trained = [member.model for member in prepared(configuration, 5, [2, 3, 4]).members]
    assert needed.theta.tolist() == [label_gradient(network, twins).theta for network in trained]
    assert needed.length == 5
    assert np.isfinite(needed.updates).any()


def test_a_prediction_is_the_same_every_time_and_as_json():
    first, second = (predict(small(), **QUICK) for _ in range(2))
    assert first.numbers() == second.numbers()
    numbers = json.loads(json.dumps(first.numbers(), allow_nan=False))
    names = ["configuration", "length_predicted", "low", "high", "limit", "lambda_1", "needed_by_length"]
    assert list(numbers) == names
    assert numbers["configuration"]["hidden"] == 8
    assert list(numbers["needed_by_length"]) == [str(length) for length in sorted(first.needed)]
    assert all(len(quartiles) == 3 for quartiles in numbers["needed_by_length"].values())
    assert numbers["low"] < numbers["length_predicted"] < numbers["high"]
    assert numbers["lambda_1"] == largest_exponent(small())
    assert numbers["limit"] == first.limit


def test_another_seed_has_other_networks():
    assert predict(small(seed=1), **QUICK).numbers() != predict(small(), **QUICK).numbers()


@pytest.mark.parametrize(
    ("limit", "fields"),
    [
        ("budget", {"updates": 60, "batch": 256}),
        ("noise", {"batch": 1, "learning_rate": 0.05}),
        ("vanishing", {"updates": 25, "batch": 4096, "recurrent_gain": 0.3}),
        ("no signal", {"task": "parity"}),
        ("none", {"task": "recall", "updates": 400}),
    ],
)
def test_each_limit_is_found(limit, fields):
    longest = 3 if limit == "none" else 6
    found = predict(small(**fields), budget=16, longest=longest, progress=False)
    assert found.limit == limit
    open_end = found.estimate.high if limit == "none" else found.estimate.low
    assert open_end is None
    json.dumps(found.numbers(), allow_nan=False)
    assert "None" not in f"{found} {found.table()}"


def test_more_updates_and_less_noise_give_longer_lengths():
    def spans(**fields):
        return predict(small(**fields), budget=48, longest=40, progress=False).estimate.span

    assert spans(updates=100) < spans(updates=600)
    assert spans(batch=8) < spans(batch=512)


def test_without_noise_is_measured_only_for_those_that_are_late():
    networks, task = [member.model for member in prepared(small(), 6, range(4)).members], small().make_task()
    descent = descent_of(small())
    needed = needed_by(networks, task, 6, descent, 100)
    late = needed.updates > 100
    assert late.sum() > 0
    assert (needed.without_noise[late] < needed.updates[late]).all()
    np.testing.assert_array_equal(needed.without_noise[~late], needed.updates[~late])
    quiet = needed_by(networks, task, 6, replace(descent, batch=np.inf), 100)
    np.testing.assert_allclose(needed.without_noise[late], quiet.updates[late])
    assert (quiet.decay == 0).all()


def test_the_optimiser_gives_rate_clip_and_delay():
    momentum = descent_of(small(learning_rate=0.02, batch=16, clip=2.0))
    assert (momentum.rate, momentum.batch, momentum.clip, momentum.delay) == pytest.approx((0.2, 16, 2, 9))
    sgd = descent_of(small(optimizer="sgd", learning_rate=0.5, clip=0))
    assert (sgd.rate, sgd.clip, sgd.delay) == (0.5, np.inf, 0)


def test_where_nothing_is_known_it_says_what_to_do_instead():
    with pytest.raises(
        InvalidArgument, match=r"optimizer must be sgd or momentum, .* or adam, got rmsprop"
    ) as info:
        predict(small(optimizer="rmsprop"))
    assert "memspan span" in str(info.value)


def test_the_equation_of_the_plateau_is_not_applied_to_adam():
    with pytest.raises(InvalidArgument, match="optimizer must be sgd or momentum"):
        updates_needed(small(optimizer="adam"), Group(5, 0, 2))


def test_with_adam_it_is_when_noise_throws_networks():
    one = small(optimizer="adam", learning_rate=0.02, hidden=32, updates=300)
    found = predict(one, longest=12, progress=False)
    assert isinstance(found, JumpPrediction)
    assert sorted(found.needed) == [5, 7, 10]
    for length, thrown in found.needed.items():
        assert thrown.jump == noise_jump_of(one, length)
        networks = [untrained(one, length, k)[0] for k in range(12)]
        twins = Twins.of(one.make_task(), length, 64, np.random.SeedSequence(0, spawn_key=(length, 0, TWINS)))
        assert thrown.theta.tolist() == [label_gradient(network, twins).theta for network in networks]
    assert found.lambda_1 == largest_exponent(one)
    assert found.numbers() == predict(one, longest=12, progress=False).numbers()


def test_thrown_from_is_the_first_length_at_which_more_than_half_are_thrown():
    def begin(longest=300, **fields):
        one = Configuration(**fields)
        return one, predict(one, longest=longest, progress=False).thrown_from

    one, length = begin()
    assert noise_jump_of(one, length).probability(1500) > 0.5 >= noise_jump_of(one, length - 1).probability(1500)
    assert begin(longest=length)[1] == length
    assert begin(longest=length - 1)[1] is None
    assert begin(learning_rate=0.003)[1] is None
    assert begin(updates=6000)[1] < length


@pytest.mark.parametrize(
    ("fields", "arguments", "message"),
    [
        ({"cell": "gru"}, {}, "cell must be rnn, for which the jump by noise was measured"),
        ({"task": "adding/any"}, {}, "task must be recall"),
        ({"init": "critical"}, {}, "init must be uniform"),
        ({"learning_rate": 0.1}, {}, "learning_rate must be from 0.003 to 0.03"),
        ({}, {"longest": 4}, "longest must be at least 5 with adam, got 4"),
        ({}, {"width": 0}, "width"),
    ],
)
def test_with_adam_it_is_refused_by_name_where_the_jump_was_not_measured(fields, arguments, message):
    with pytest.raises(InvalidArgument, match=message):
        predict(Configuration(**fields), **arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"width": 0}, "width must be .* above 0"),
        ({"width": "wide"}, "width"),
        ({"budget": 15}, "budget must be a whole number of at least 16, got 15"),
        ({"longest": 0}, "longest must be a whole number of at least 1, got 0"),
        ({"longest": 2.5}, "longest"),
        ({"progress": "loud"}, "progress"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(InvalidArgument, match=message):
        predict(small(), **arguments)


def test_only_a_configuration_is_predicted():
    with pytest.raises(InvalidArgument, match="configuration must be a Configuration, got"):
        predict("rnn")


def test_progress_is_in_networks(capsys, monkeypatch):
    monkeypatch.setattr("memspan.runtime.progress.SECONDS_BETWEEN_LINES", 0.0)
    predict(small(), budget=16, longest=12, progress="lines")
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("predicting: ")]
    assert "networks/s, T = 4" in lines[0]
    assert "at most/s" not in "".join(lines)
    assert ", 0 networks/s" not in "".join(lines)


def test_a_truncated_gradient_is_refused():
    for optimizer in ("sgd", "adam"):
        with pytest.raises(InvalidArgument, match=r"truncate must be left out: predictions .*, got 5"):
            predict(Configuration(optimizer=optimizer, truncate=5), progress=False)
