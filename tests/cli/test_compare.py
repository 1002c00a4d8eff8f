import json

import pytest

from memspan import Comparison, Configuration, InvalidArgument, compare, find_span
from memspan.study.facts import facts

TINY = "compare --hidden 2,4 --updates 5 --budget 8 --repetitions 2 --groups 2 --workers 0"
SAME = {"updates": 5, "budget": 8, "repetitions": 2, "groups": 2}


def test_spans_and_pairs_are_printed_and_drawn(memspan_, tmp_path):
    code, out, err = memspan_(TINY)
    assert code == 0
    result = compare(Comparison(hidden=(2, 4), **SAME), progress=False)
    assert result.sentence in out
    for label, parameters in zip(result.labels, (span.parameters for span in result.spans), strict=True):
        assert any(label in line and f" {parameters} " in line for line in out.splitlines())
    (picture,) = (tmp_path / "runs").glob("compare-*/spans.png")
    assert str(picture.relative_to(tmp_path)) in out
    assert "2 searches, round 1: 8 trainings" in err
    what, *others = result.figure().title.splitlines()
    assert what == "recall: After T random numbers in [-1, 1], answer with the first."
    assert others == facts(result.results)


def test_json_has_configurations_and_pairs(memspan_):
    code, out, err = memspan_(f"{TINY} --json")
    found = json.loads(out)
    assert (code, err) == (0, "")
    assert [one["configuration"] for one in found["configurations"]] == ["hidden 2", "hidden 4"]
    assert list(found["configurations"][0])[:5] == ["configuration", "parameters", "span", "low", "high"]
    (pair,) = found["pairs"]
    assert list(pair) == ["a", "b", "ratio", "low", "high", "p", "told_apart"]
    assert pair["told_apart"] is False


def test_the_searches_are_those_of_span(memspan_):
    """A comparison trains nothing that a search has trained before."""
    memspan_(TINY.replace("compare", "span").replace("2,4", "2"))
    memspan_(TINY.replace("compare", "span").replace("2,4", "4"))
    code, _, err = memspan_(f"{TINY} --no-figures")
    assert code == 0
    assert "nothing to do, all 16 trainings are in the store" in err


def test_tuning_comes_first_and_its_cost_is_said(memspan_):
    code, out, err = memspan_(f"{TINY} --tune learning_rate=0.001,0.1 --no-figures")
    assert code == 0
    assert "4 searches, round 1" in err
    assert "2 searches, round 1" in err
    assert "Tuned on other seeds, by span: learning rate (" in " ".join(out.split())
    assert "learning rate" in out.splitlines()[4] or "learning" in out


def test_the_tuned_value_is_the_one_with_the_longest_span():
    comparison = Comparison(
        cell="rnn,gru", tune="learning_rate=0.01,1e-9", hidden=8, **(SAME | {"updates": 300}), first_length=1
    )
    result = compare(comparison, progress=False)
    assert dict(result.tuning.chosen) == {0: {"learning_rate": "0.01"}, 1: {"learning_rate": "0.01"}}
    assert {found.search.learning_rate for found in result.results} == {0.01}
    assert {found.search.seed for found in result.results} == {0}


def test_configurations_may_be_listed():
    listed = [Configuration(hidden=2, updates=5), Configuration(hidden=4, updates=5, cell="gru")]
    result = compare(listed, width=5.0, progress=False)
    assert list(result.labels) == ["cell rnn, hidden 2", "cell gru, hidden 4"]
    alone = find_span(listed[0], 5.0, progress=False)
    assert result.results[0].estimate == alone.estimate


@pytest.mark.parametrize("wrong", [[], [Configuration()], [Configuration(), Configuration()], [3, 4], "rnn,gru"])
def test_too_few_or_other_things_are_refused(wrong):
    with pytest.raises(InvalidArgument, match="configurations must be"):
        compare(wrong, progress=False)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("compare", "the comparison must be one of several values in a field, such as --cell rnn,gru"),
        ("compare --cell rnn,gru --tune seed=1,2", "--tune must be a field of the training"),
        ("compare --cell rnn,gru --equal size", "--equal must be"),
        ("compare --cell rnn,gru --parameter-count 1", "--parameter-count must be at least"),
    ],
)
def test_wrong_options_are_named(memspan_, tmp_path, line, message):
    code, out, err = memspan_(line)
    assert (code, out) == (2, "")
    assert message in err
    assert not list(tmp_path.iterdir())
