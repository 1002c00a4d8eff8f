import json

import pytest

from memspan import Batches, Comparison, Configuration, InvalidArgument, compare, find_span
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


def test_the_numbers_of_weights_are_made_equal_as_far_as_they_can_be(memspan_):
    code, out, _ = memspan_(f"{TINY.replace('--hidden 2,4', '--cell rnn,gru')} --parameter-count 100 --no-figures")
    assert code == 0
    (head,) = (line for line in out.splitlines() if "configuration" in line)
    assert "difference" in head
    (row,) = (line for line in out.splitlines() if line.startswith("│ gru "))
    assert " 116 " in row
    assert " +16.0 % " in row
    assert "Hidden sizes chosen for this number of weights, 100" in " ".join(out.split())


def test_a_parameter_of_the_task_may_vary(memspan_):
    line = TINY.replace("--hidden 2,4", "--task-parameters.tolerance 0.1,0.05 --hidden 2")
    code, out, _ = memspan_(f"{line} --no-figures")
    assert code == 0
    assert "have an accuracy of at most 0.05 to 0.1 and" in " ".join(out.split())
    assert "│ tolerance 0.05 " in out


def test_a_configuration_whose_trainings_all_fail_is_listed(memspan_, monkeypatch, tmp_path):
    def no_room(task, *arguments):
        if task.tolerance == 0.05:
            raise MemoryError("no room")
        return Batches(task, *arguments)

    monkeypatch.setattr("memspan.study.group.Batches", no_room)
    line = TINY.replace("--hidden 2,4", "--task-parameters.tolerance 0.1,0.05 --hidden 2")
    code, out, _ = memspan_(line)
    assert code == 1
    assert "A trial failed: MemoryError: no room" in out
    assert "No training counts, because the machine failed: tolerance 0.05." in out
    assert list((tmp_path / "runs").glob("compare-*/spans.png"))
    code, out, _ = memspan_(f"{line} --json")
    found = json.loads(out)
    assert code == 1
    assert [one["span"] for one in found["configurations"] if one["configuration"] == "tolerance 0.05"] == [None]
    assert found["pairs"] == []


def test_why_a_search_ended_before_the_width_is_said(memspan_):
    _, out, _ = memspan_(f"{TINY} --no-figures")
    assert "± 10 % not reached by any: the next round could exceed the budget" in " ".join(out.split())


def test_a_power_law_is_said_where_there_are_three_spans(memspan_):
    _, two, _ = memspan_(f"{TINY} --no-figures")
    _, three, _ = memspan_(f"{TINY.replace('2,4', '2,3,4')} --no-figures")
    assert "power" not in two
    assert "No power of hidden is fitted, because fewer than 3 spans are closed on both sides." in three


def test_the_help_says_what_tuning_costs_and_what_the_name_is_for(memspan_):
    _, out, _ = memspan_("compare --help")
    text = " ".join(out.replace("│", " ").split())
    assert "a search to ± 25 %, of at most 64 trainings" in text
    assert "Name of the folder for the figures" in text


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
        ("compare", "the comparison must be of at least two configurations, such as two values of cell"),
        ("compare --cell rnn,gru --tune learning_rate=0.1 --tune learning_rate=0.2", "--tune must be values of"),
        ("compare --cell rnn,gru --tune seed=1,2", "--tune must be a field of the training"),
        ("compare --cell rnn,gru --equal size", "--equal must be"),
        ("compare --cell rnn,gru --parameter-count 1", "--parameter-count must be at least"),
        (
            "compare --cell rnn,gru --tune clip=0,1 --budget 9ksteps",
            "--budget must be at least 198,000 time steps",
        ),
    ],
)
def test_wrong_options_are_named(memspan_, tmp_path, line, message):
    code, out, err = memspan_(line)
    assert (code, out) == (2, "")
    assert message in err
    assert not list(tmp_path.iterdir())
