"""Comparisons of searches whose trials are made by hand."""

import json

import pytest

from memspan import Comparison, SearchResult
from memspan.figures.forest import Forest, SpanByQuantity
from memspan.study.comparison_result import Compared, Tuning
from memspan.study.search_result import Paths

FIELDS = {"updates": 50, "budget": 48, "groups": 2, "longest": 64}


@pytest.fixture
def found(make_trial):
    """The result of a search whose networks solve every length up to `span`; None: the machine fails."""

    def search_to(search, span):
        paths, trials = Paths([search]), []
        while keys := paths.missing():
            for key in keys:
                outcome = "failed" if span is None else "solved" if key.length <= span else "unsolved"
                trials.append(make_trial(key.length, key.repetition, outcome))
            paths.add(trials)
        return SearchResult.found(search, trials)

    return search_to


@pytest.fixture
def compared(found):
    """A comparison of networks with these spans."""

    def make(comparison, *spans):
        results = [found(search, span) for search, span in zip(comparison.searches(), spans, strict=True)]
        return Compared(comparison.labels, results, None, comparison)

    return make


def words(table):
    return " ".join(str(table).replace("│", " ").split())


def test_the_longest_span_comes_first(compared):
    result = compared(Comparison(cell="rnn,gru,lstm,mgu", **FIELDS), 10, 1000, 0, 20)
    order = [one["configuration"] for one in result.numbers()["configurations"]]
    assert order == ["gru", "mgu", "rnn", "lstm"]
    text = str(result.table())
    assert sorted(order, key=lambda label: text.index(f"│ {label} ")) == order


def test_a_configuration_of_which_no_training_counts_is_listed_without_a_span(compared):
    result = compared(Comparison(cell="rnn,gru,lstm", **FIELDS), 10, None, 30)
    assert [(pair.a, pair.b) for pair in result.pairs] == [("rnn", "lstm")]
    numbers = json.loads(json.dumps(result.numbers(), allow_nan=False))
    last = numbers["configurations"][-1]
    assert (last["configuration"], last["parameters"]) == ("gru", 3329)
    assert [last[name] for name in ("span", "low", "high", "trainings", "fits")] == [None] * 5
    assert "gru 32 3,329 – 8 0" in words(result.table())
    assert "± 10 % not reached by gru: the machine failed in every training" in words(result.table())
    assert result.sentence.endswith("No training counts, because the machine failed: gru.")
    assert "the machine failed: gru" in result.figure().title
    assert "gru –" in repr(result)


def test_if_no_training_counts_at_all_there_is_nothing_to_compare(compared):
    result = compared(Comparison(cell="rnn,gru", **FIELDS), None, None)
    assert (result.pairs, result.spans, result.slope) == ([], [], None)
    assert result.sentence == "No training counts, because the machine failed: rnn; gru."
    assert "rnn 32 1,121 – 8 0" in words(result.table())


def test_a_bound_beside_a_span_is_in_the_table(compared):
    """It stands in brackets, as markup does."""
    result = compared(Comparison(cell="rnn,gru", **FIELDS | {"longest": 8, "width": 1.0}), 7, 7)
    (short,) = {span.estimate.short for span in result.spans}
    assert short in words(result.table())


def test_an_equal_number_of_parameters_is_stated_with_the_difference(compared):
    first = words(compared(Comparison(cell="rnn,gru", equal="parameters", **FIELDS), 10, 10).table())
    assert "Hidden sizes chosen for as many weights as the first has, 1,121" in first
    assert " 1,121 +0.0 % " in first
    number = words(compared(Comparison(cell="rnn,gru", parameter_count=300, **FIELDS), 10, 10).table())
    assert "Hidden sizes chosen for this number of weights, 300" in number
    assert " 305 +1.7 % " in number
    assert "difference" not in words(compared(Comparison(cell="rnn,gru", **FIELDS), 10, 10).table())


def test_the_power_law_says_what_was_left_out(compared):
    result = compared(Comparison(hidden="8,16,32,64", **FIELDS), 5, 10, 20, 1000)
    law = f"T50 ~ hidden^{result.slope} (95 %), from the 3 spans that are closed on both sides; 1 left out."
    assert result.power_law == law
    assert law in result.figure().title
    assert isinstance(result.figure(), SpanByQuantity)


def test_a_power_that_may_be_0_is_said_so(compared):
    result = compared(Comparison(gain="1,2,4", **FIELDS), 10, 10, 10)
    assert result.slope.low < 0 < result.slope.high
    assert result.power_law.endswith("(95 %). These data cannot tell whether the span depends on gain.")


def test_without_three_closed_spans_there_is_no_power_law(compared):
    result = compared(Comparison(hidden="8,16,32", **FIELDS), 10, 20, 1000)
    assert result.power_law == "No power of hidden is fitted, because fewer than 3 spans are closed on both sides."
    assert compared(Comparison(hidden="8,16", **FIELDS), 10, 20).power_law == ""
    assert compared(Comparison(cell="rnn,gru,lstm", **FIELDS), 10, 20, 30).power_law == ""
    assert isinstance(compared(Comparison(hidden="8,16,32", **FIELDS), 10, None, 20).figure(), Forest)


def test_parameters_of_the_task_may_vary(compared):
    result = compared(Comparison(task_parameters={"tolerance": (0.1, 0.05)}, **FIELDS), 10, 8)
    assert "an accuracy of at most 0.05 to 0.1 and a loss of at least 0.3333 (T=1)" in words(result.table())
    of_items = compared(Comparison(task="copying/urnn", task_parameters={"items": (2, 3)}, **FIELDS), 20, 20)
    assert str(of_items.table()).strip().startswith("copying/urnn. Answers that ignore")


def test_tuning_takes_the_longest_span_and_the_first_of_equal_ones(found):
    comparison = Comparison(cell="rnn,gru", tune="learning_rate=0.1,0.2,0.3", **FIELDS)
    trials = comparison.tuning()
    for spans, best in (
        ((10, 30, 20), "0.2"),
        ((30, 10, 30), "0.1"),
        ((None, 0, 5), "0.3"),
        ((40, 1000, 30), "0.2"),
    ):
        results = [found(trial.search, spans[place % 3]) for place, trial in enumerate(trials)]
        chosen = Tuning(trials, results).chosen
        assert chosen == {0: {"learning_rate": best}, 1: {"learning_rate": best}}
