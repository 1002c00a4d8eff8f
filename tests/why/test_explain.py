import json
from dataclasses import replace

import numpy as np
import pytest
from networks_explained import STAYS

from memspan import Configuration, InvalidArgument, Study, compare, explain, find_span, run_study
from memspan.span import SolvedShare
from memspan.why.explanation import Explanation, table_of

SMALL = {"hidden": 8, "updates": 150, "evaluation_samples": 100, "final_batches": 4}
MOMENTUM = SMALL | {"optimizer": "momentum", "learning_rate": 0.03}


def explained(length=6, repetitions=4, **fields):
    result = run_study(Study(**(MOMENTUM | fields), lengths=length, repetitions=repetitions), progress=False)
    return explain(result, progress=False)


@pytest.mark.parametrize(
    ("verdict", "fields"),
    [
        ("solved", {"recurrent_gain": 2.5, "length": 3, "updates": 400}),
        ("budget", {"updates": 60, "length": 5, "batch": 256}),
        ("vanishing", {"recurrent_gain": 0.2}),
        ("noise", {"batch": 2, "length": 5, "updates": 900}),
        ("no signal", {"task": "parity"}),
        ("saturation", {"gain": 60}),
        ("exploding", {"cell": "rnn-linear", "recurrent_gain": 6, "clip": 0, "length": 20}),
        ("unstable", {"learning_rate": 3, "recurrent_gain": 2.5}),
        ("noise jump", {"optimizer": "adam", "learning_rate": 0.01, "hidden": 32, "length": 30, "updates": 1500}),
    ],
)
def test_networks_with_a_known_cause(verdict, fields):
    (found,) = explained(**fields)
    assert found.verdict == verdict
    assert found.reproduced
    assert (found.evidence == ()) == (verdict == "solved")
    assert bool(found.remedies) == (verdict not in ("solved", "no signal"))
    assert verdict in str(found)
    assert verdict in repr(found)


def test_every_configuration_and_length_has_a_row_and_json():
    study = Study(**MOMENTUM, recurrent_gain=[0.2, 2.5], lengths=[2, 6], repetitions=2)
    found = explain(run_study(study, progress=False), progress=False)
    keys = [(one.configuration.recurrent_gain, one.length) for one in found]
    assert keys == [(0.2, 2), (0.2, 6), (2.5, 2), (2.5, 6)]
    numbers = json.loads(json.dumps([one.numbers() for one in found], allow_nan=False))
    assert {*numbers[0]} == {"configuration", "length", "verdict", "evidence", "remedies"}
    limited = numbers[1]
    assert limited["configuration"]["recurrent_gain"] == 0.2
    assert limited["evidence"]["needed"] is None  # infinite
    assert limited["evidence"]["verdicts"] == {"vanishing": 2}
    assert {*limited["remedies"][0]} == {"change", "from", "to", "expected"}
    assert table_of(found[:2]).row_count == 2


def test_chosen_lengths_and_fewer_networks():
    study = Study(**MOMENTUM, recurrent_gain=0.2, lengths=[5, 6, 7], repetitions=3)
    (found,) = explain(run_study(study, progress=False), lengths=[6], networks=2, progress=False)
    assert found.length == 6
    assert [one.repetition for one in found.evidence] == [0, 1]


def test_a_search_and_a_comparison():
    few = {"budget": "16", "repetitions": 2, "groups": 2, "first_length": 3, "longest": 12, "progress": False}
    weak = Configuration(**MOMENTUM, recurrent_gain=0.3)
    search = find_span(weak, **few)
    found = explain(search, progress=False)
    assert [one.length for one in found] == [row.length for row in search.summaries()]
    assert {one.verdict for one in found} <= {"solved", "budget", "vanishing", "noise"}
    both = compare([weak, weak.with_(recurrent_gain=0.2)], **few)
    assert {one.configuration.recurrent_gain for one in explain(both, progress=False)} == {0.3, 0.2}


def test_a_study_of_another_version_is_explained_and_that_is_said():
    result = run_study(Study(**MOMENTUM, recurrent_gain=0.2, lengths=6, repetitions=2), progress=False)
    old = type(result).of(result.study, [trial.model_copy(update={"digest": "0" * 64}) for trial in result.trials])
    (found,) = explain(old, progress=False)
    assert found.verdict == "vanishing"
    assert not found.reproduced
    assert "other weights" in str(found)


def test_numbers_that_are_not_known_are_left_out():
    (found,) = explained(optimizer="adam", learning_rate=0.01, cell="gru", length=12, updates=60)
    assert not {"needed", "noise_jump"} & {*found.numbers_of_evidence}
    assert np.isfinite(found.numbers_of_evidence["theta"])


def test_what_cannot_be_explained():
    result = run_study(Study(**MOMENTUM, lengths=3, repetitions=1), progress=False)
    with pytest.raises(InvalidArgument, match="result must be the result of a study"):
        explain(result.study)
    with pytest.raises(InvalidArgument, match="lengths must be lengths of the study with a finished trial, got 4"):
        explain(result, lengths=[4])
    with pytest.raises(InvalidArgument, match="networks"):
        explain(result, networks=0)


def test_the_numbers_that_decided_stand_beside_the_verdict():
    evidence = [replace(STAYS, held=held) for held in (3.0, 4.0, 5.0)]
    found = Explanation(Configuration(), 4, SolvedShare.of(0, 3), evidence)
    assert "(the answers need more numbers of the past than there are units; medians: held 4, units 2)" in str(
        found
    )
    slow = replace(STAYS, needed=3004.0, without_noise=2000.0)
    found = Explanation(Configuration(), 4, SolvedShare.of(0, 1), [slow])
    assert str(found).endswith("are needed; medians: needed 3,000).")


def test_a_truncated_gradient_is_refused():
    study = Study(**(MOMENTUM | {"truncate": 2, "updates": 5}), lengths=5, repetitions=1)
    with pytest.raises(InvalidArgument, match=r"truncate must be left out: .* explanations .*, got 2"):
        explain(run_study(study, progress=False), progress=False)
