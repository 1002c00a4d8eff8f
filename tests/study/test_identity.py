import pytest
from hypothesis import given
from hypothesis import strategies as st

from memspan import Study
from memspan.study.identity import AnotherStudy, default_name, demand_contained, grown_by

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
    """What was there keeps its order and stands first."""
    grown = grown_by(old, new)
    for field in ("cell", "hidden", "lengths"):
        was, now, both = (study.values()[field] for study in (old, new, grown))
        assert set(both) == {*was, *now}
        assert field == "lengths" or both[: len(was)] == was
    assert (grown.repetitions, grown.keep_weights) == tuple(
        max(getattr(old, name), getattr(new, name)) for name in ("repetitions", "weights")
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
    told = [line.split(":")[0].strip() for line in str(raised.value).splitlines()[1:]]
    assert sorted(told) == sorted(lost)


def test_the_usual_name_depends_on_all_but_the_size():
    name = default_name(Study())
    assert name.startswith("recall-rnn-")
    assert default_name(Study(lengths=3, repetitions=99, keep_weights=0)) == name
    assert default_name(Study(seed=1)) != name
    assert default_name(Study(cell="rnn,gru", task="adding/any")).startswith("adding-any-several-")
