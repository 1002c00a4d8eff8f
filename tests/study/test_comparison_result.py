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
    assert [last[name] for name in ("span", "low", "high", "fits")] == [None] * 4
    assert last["trainings"] == 8  # failed ones count, as in the table
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
    assert result.power_law.endswith("(95 %). The power may be 0.")


def test_without_three_closed_spans_there_is_no_power_law(compared):
    result = compared(Comparison(hidden="8,16,32", **FIELDS), 10, 20, 1000)
    assert result.power_law == "No power of hidden is fitted, because fewer than 3 spans are closed on both sides."
    assert compared(Comparison(hidden="8,16", **FIELDS), 10, 20).power_law == ""
    assert compared(Comparison(cell="rnn,gru,lstm", **FIELDS), 10, 20, 30).power_law == ""
    assert isinstance(compared(Comparison(hidden="8,16,32", **FIELDS), 10, None, 20).figure(), Forest)


def test_parameters_of_the_task_may_vary(compared):
    result = compared(Comparison(task_parameters={"tolerance": (0.1, 0.05)}, **FIELDS), 10, 8)
    lengths = [row.length for one in result.results for row in one.summaries()]
    chance = f"an accuracy of at most 0.05 to 0.1 and a loss of at least 0.3333 (T=4 to {max(lengths)})"
    assert chance in words(result.table())
    of_items = compared(Comparison(task="copying/urnn", task_parameters={"items": (2, 3)}, **FIELDS), 20, 20)
    first, second = (task.sentence for task in of_items.comparison.tasks())
    assert f"copying/urnn: {first} Or: {second} Answers that ignore" in words(of_items.table())


def test_json_says_what_was_compared_and_how_each_search_ended(compared):
    comparison = Comparison(cell="rnn,gru", parameter_count=300, level=0.9, **FIELDS)
    result = compared(comparison, 10, 1000)
    numbers = json.loads(json.dumps(result.numbers(), allow_nan=False))
    assert (numbers["tasks"], numbers["share"], numbers["level"]) == (["recall"], 0.5, 0.9)
    assert numbers["power_law"] is None
    gru, rnn = numbers["configurations"]
    assert (gru["configuration"], gru["right_censored"], gru["left_censored"]) == ("gru", True, False)
    assert (rnn["hidden"], gru["hidden"]) == tuple(search.hidden for search in comparison.searches())
    assert rnn["tuned"] == {}
    assert rnn["ended"] == result.results[0].ended
    assert rnn["steps_trained"] == result.results[0].steps_trained


def test_json_has_the_power_law_of_a_sweep(compared):
    result = compared(Comparison(hidden="8,16,32", **FIELDS), 5, 10, 20)
    law = {"quantity": "hidden", "power": result.slope.slope, "low": result.slope.low, "high": result.slope.high}
    assert result.numbers()["power_law"] == law


def test_tuned_values_and_chosen_sizes_are_in_json_the_csv_and_the_figure(found):
    comparison = Comparison(cell="rnn,gru", tune="learning_rate=0.1,0.2", parameter_count=300, **FIELDS)
    searches = comparison.searches({0: {"learning_rate": "0.1"}, 1: {"learning_rate": "0.2"}})
    result = Compared(comparison.labels, [found(search, 10) for search in searches], None, comparison)
    rnn, gru = result.numbers()["configurations"]
    assert (rnn["tuned"], gru["tuned"]) == ({"learning_rate": 0.1}, {"learning_rate": 0.2})
    record = result.figure()
    rows = [dict(zip(record.columns, row, strict=True)) for row in record.rows()]
    assert [row["learning_rate"] for row in rows] == [0.1, 0.2]
    assert [row["hidden"] for row in rows] == [search.hidden for search in searches]
    assert [span.chosen for span in record.spans] == [
        {"hidden": search.hidden, "learning_rate": search.learning_rate} for search in searches
    ]


@pytest.mark.parametrize(
    ("fields", "beginning"),
    [
        ({"task": "recall,parity"}, "The span on parity is "),
        ({"task_parameters": {"tolerance": (0.1, 0.05)}}, "The span with tolerance 0.05 is "),
        ({"cell": "rnn,gru"}, "gru remembers "),
    ],
)
def test_networks_remember_and_tasks_do_not(compared, fields, beginning):
    assert compared(Comparison(**fields, **FIELDS), 5, 40).sentence.startswith(beginning)


def test_the_caption_says_that_intervals_are_not_corrected(compared):
    several = words(compared(Comparison(cell="rnn,gru,lstm", **FIELDS), 10, 12, 14).pair_table())
    assert "corrected for the number of pairs (Holm), the intervals are not." in several
    assert "corrected" not in words(compared(Comparison(cell="rnn,gru", **FIELDS), 10, 12).pair_table())


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
