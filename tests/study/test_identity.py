import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memspan import Comparison, Study
from memspan.study import identity
from memspan.study.configuration import Configuration
from memspan.study.identity import (
    BASELINE,
    AnotherStudy,
    canonical,
    default_name,
    demand_contained,
    grown_by,
    restored,
    specified,
)

some = st.lists(st.sampled_from(("rnn", "gru", "lstm", "leaky")), min_size=1, unique=True)
few = st.integers(1, 4)
sizes = st.lists(few, min_size=1, unique=True)
studies = st.builds(
    lambda cell, hidden, lengths, repetitions, weights: Study(
        cell=cell, hidden=hidden, lengths=lengths, repetitions=repetitions, keep_weights=weights
    ),
    *(some, sizes, sizes, few, few),
)


@given(studies, studies)
def test_both_are_in_what_has_grown(old, new):
    """The old values come first, in their order."""
    grown = grown_by(old, new)
    for field in ("cell", "hidden", "lengths"):
        was, now, both = ((study.values() | {"lengths": study.lengths})[field] for study in (old, new, grown))
        assert set(both) == {*was, *now}
        assert field == "lengths" or both[: len(was)] == was
    assert (grown.repetitions, grown.keep_weights) == tuple(
        max(getattr(old, name), getattr(new, name)) for name in ("repetitions", "keep_weights")
    )
    for one in (old, new):
        demand_contained(one, grown, "mine")
    assert grown_by(grown, new) == grown_by(grown, old) == grown


@given(studies, studies)
def test_a_study_without_a_value_of_the_old_one_is_another(old, new):
    lost = [f for f in ("cell", "hidden") if not set(old.values()[f]) <= set(new.values()[f])]
    if not lost:
        demand_contained(old, new, "mine")
        return
    with pytest.raises(AnotherStudy) as raised:
        demand_contained(old, new, "mine")
    told = re.search(r"\((.*)\)", str(raised.value))[1].split("; ")
    assert sorted(each.split(":")[0] for each in told) == sorted(lost)


def test_the_usual_name_depends_on_all_but_the_size():
    name = default_name(Study())
    assert name.startswith("recall-rnn-")
    assert default_name(Study(lengths=3, repetitions=99, keep_weights=0)) == name
    assert default_name(Study(seed=1)) != name
    assert default_name(Study(cell="rnn,gru", task="adding/any")).startswith("adding-any-several-")


def test_comparisons_with_other_answers_have_other_names():
    """Otherwise the figures of one would replace those of the other."""
    changes = (
        *({}, {"equal": "parameters"}, {"parameter_count": 500}),
        *({"tune": "learning_rate=0.003,0.01"}, {"tune": "learning_rate=0.003,0.1"}),
        *({"level": 0.8}, {"width": 0.2}, {"budget": "2Msteps"}, {"longest": 50}, {"share": 0.9}, {"seed": 1}),
    )
    names = [default_name(Comparison(cell="rnn,gru", **each)) for each in changes]
    assert len(set(names)) == len(names)
    assert names[0] == default_name(Comparison(cell="rnn,gru", keep_weights=0))


def test_the_baseline_has_every_field_and_its_default():
    """Today's defaults. A new field adds a value here; a changed default changes nothing here."""
    assert set(BASELINE) == set(Configuration.model_fields)
    assert Configuration().model_dump() == BASELINE
    assert canonical(Configuration()) == canonical(Study(lengths=3, repetitions=7, name="x")) == "{}"


@pytest.mark.parametrize("name", sorted(BASELINE))
def test_every_field_is_part_of_the_identity(name):
    other = {"task": "parity", "task_parameters": {"tolerance": 0.3}, "cell": "gru", "init": "lecun"}
    other |= {"optimizer": "sgd", "dtype": "float64", "threshold": 0.5}
    fields = {name: other.get(name, 77)}
    if name == "options":  # only a cell of the user's own has options
        fields = {name: {"layers": 2}, "cell": "mypkg.cells:mine"}
    if name == "device":  # only a model of another library is computed elsewhere
        fields = {name: "cuda:1", "cell": "mypkg.nets:mine"}
    assert json.loads(canonical(Configuration(**fields))) == fields
    assert default_name(Study(**fields, lengths=30)) != default_name(Study(lengths=30))


def test_a_renamed_field_keeps_its_key_and_the_study_its_identity(monkeypatch):
    """Pretend that the field `gain` was called `scale` in an earlier release."""
    study = Study(hidden=7, gain=2)
    monkeypatch.setattr(identity, "BASELINE", {"scale" if k == "gain" else k: v for k, v in BASELINE.items()})
    monkeypatch.setattr(identity, "KEYS", {"gain": "scale"})
    assert json.loads(canonical(study.configuration)) == {"hidden": 7, "scale": 2}
    assert "scale" in json.loads(specified(study)["specification"])
    assert restored(specified(study)["specification"]) == study


def test_another_default_changes_no_identity():
    """Pretend that the default of `hidden` has changed: the values of a study decide, not which it leaves out."""
    assert canonical(Configuration(hidden=32)) == canonical(Configuration()) == "{}"
    assert json.loads(canonical(Configuration(hidden=64))) == {"hidden": 64}


def test_a_study_is_restored_from_what_is_stored_of_it():
    study = Study(cell=("lstm", "gru"), task_parameters={"tolerance": (0.1, 0.2)}, lengths=(3, 9), keep_weights=2)
    assert restored(specified(study)["specification"], "mine") == study.with_(name="mine")
    assert specified(study)["hash"] != specified(study.with_(repetitions=3))["hash"]


def test_a_study_without_a_younger_field_is_stored_as_before_there_was_one():
    """The checksums were recorded from stores that are older than the fields."""
    study = Study(cell=("lstm", "gru"), gain=2, lengths=(3, 9))
    assert not {"recurrent_gain", "truncate", "device"} & set(json.loads(specified(study)["specification"]))
    assert specified(study)["hash"] == "1fe60065551887fa637a4365010d2a2fed512c1023a6482718fb9e686725be89"
    assert default_name(study) == "recall-several-40490e09"


def test_truncation_is_stored_and_restored():
    study = Study(truncate=(5, 20), lengths=3)
    assert restored(specified(study)["specification"]) == study
    assert [json.loads(canonical(one)) for one in study.configurations] == [{"truncate": 5}, {"truncate": 20}]


def test_a_recurrent_gain_is_stored_and_restored():
    study = Study(recurrent_gain=(1, 2), lengths=3)
    assert restored(specified(study)["specification"]) == study
    assert [json.loads(canonical(one)) for one in study.configurations] == [{}, {"recurrent_gain": 2}]
