"""The fields of a search, its identity, and the budget as text."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memspan import InvalidArgument, Search, Study
from memspan.span import Answer
from memspan.study.configuration import Configuration
from memspan.study.experiment import LONGEST_NAME
from memspan.study.identity import (
    AnotherStudy,
    canonical,
    default_name,
    demand_contained,
    grown_by,
    restored,
    specified,
)
from memspan.study.search import Budget
from memspan.study.study import MOST_TRIALS

OTHERS = {
    "share": 0.9,
    "groups": 3,
    "repetitions": 2,
    "first_length": 7,
    "longest": 77,
}
"""For each field that decides which lengths are trained, a value that is not the default."""


# --- fields ---------------------------------------------------------------------------------------------


def test_the_defaults_search_with_the_default_network():
    search = Search()
    assert search.configuration == Configuration()
    assert (search.configurations, search.varying, search.only(0)) == ((Configuration(),), (), search)
    path = search.new_search()
    assert path.rounds == ()
    assert (path.trainings, path.steps, path.estimate, bool(path.ended)) == (0, 0, None, False)
    asked = path.ask()
    assert len(asked) == search.groups
    assert {group.count for group in asked} == {search.repetitions}
    assert min(group.length for group in asked) == search.first_length


def test_a_search_is_that_of_its_fields():
    search = Search(**OTHERS, hidden=3, updates=7)
    assert (search.configuration.hidden, search.configuration.updates) == (3, 7)
    asked = search.new_search().ask()
    assert sum(group.count for group in asked) == 3 * 2
    assert min(group.length for group in asked) == 7
    assert max(group.length for group in Search(longest=3).new_search().ask()) == 3


def test_a_task_has_a_shortest_length():
    search = Search(task="adding/hs97")
    assert search.shortest == 20
    assert min(group.length for group in search.new_search().ask()) == 20
    with pytest.raises(InvalidArgument) as caught:
        Search(task="adding/hs97", longest=19)
    assert str(caught.value) == "longest must be at least 20, the shortest length of adding/hs97, got 19"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"width": 0}, "width must be above 0, got 0"),
        ({"width": 11}, "width must be at most 10, got 11"),
        ({"width": "narrow"}, "width takes numbers, got 'narrow'."),
        ({"share": 0}, "share must be above 0, got 0"),
        ({"share": 1}, "share must be below 1, got 1"),
        ({"share": float("nan")}, "share must be a finite number, got nan"),
        ({"level": 1.5}, "level must be below 1, got 1.5"),
        ({"groups": 0}, "groups must be at least 1, got 0"),
        ({"groups": 1001}, "groups must be at most 1,000, got 1001"),
        ({"groups": 1.5}, "groups takes integers, got 1.5."),
        ({"repetitions": 0}, "repetitions must be at least 1, got 0"),
        ({"first_length": 0}, "first_length must be at least 1, got 0"),
        ({"first_length": 50, "longest": 20}, "first_length must be at most 20, the longest length, got 50"),
        ({"budget": 0}, "budget must be at least 1, got 0"),
        ({"width": "0.1,0.2"}, "width must be one value, got '0.1,0.2'"),
        ({"longest": 2**31}, "longest must be at most 2,147,483,647, got 2147483648"),
        ({"longest": [3, 4]}, "longest must be one value, got [3, 4]"),
        ({"keep_weights": -1}, "keep_weights must be at least 0, got -1"),
        ({"name": ""}, "name must be a text of at least 1 character, got ''"),
        ({"name": "é" * LONGEST_NAME}, "name must be a text of at most 1,000 bytes in UTF-8, got 'é"),
        ({"lengths": 3}, "Unknown field 'lengths'."),
        ({"widht": 0.1}, "Unknown field 'widht'. Did you mean 'width'?"),
        *(
            ({field: True}, f"{field} must be a number or a name, not a truth value, got True")
            for field in ("width", "budget", "share", "level", "groups", "repetitions", "first_length", "longest")
        ),
    ],
)
def test_a_wrong_value_is_named_with_its_rule(fields, message):
    with pytest.raises(InvalidArgument) as caught:
        Search(**fields)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("fields", "name", "value"),
    [
        ({"cell": "rnn,gru"}, "cell", "('rnn', 'gru')"),
        ({"seed": [3, 1]}, "seed", "(3, 1)"),
        ({"task_parameters": {"tolerance": [0.1, 0.2]}}, "task_parameters.tolerance", "(0.1, 0.2)"),
    ],
)
def test_a_search_has_one_configuration(fields, name, value):
    with pytest.raises(InvalidArgument) as caught:
        Search(**fields)
    assert str(caught.value) == f"{name} must be one value; `memspan compare` takes several, got {value}"
    assert caught.value.name == name


def test_a_list_of_one_value_is_that_value():
    """As the command line passes them."""
    assert Search(width=["0.2"], hidden=["7"], budget=["8"]) == Search(width=0.2, hidden=7, budget="8")


def test_a_search_is_read_from_a_file(tmp_path):
    path = tmp_path / "search.toml"
    path.write_text('cell = "gru"\nwidth = 0.2\nbudget = 24\nname = "mine"\n', "utf-8")
    assert Search.read(path) == Search(cell="gru", width=0.2, budget="24", name="mine")
    assert Search.read(path, width="0.1", hidden=["5"]).width == 0.1
    path.write_text("cell = ", "utf-8")
    with pytest.raises(InvalidArgument, match=r"^the search file must be TOML in UTF-8, got "):
        Search.read(path)
    with pytest.raises(InvalidArgument, match=r"^the search file must be a readable file, got "):
        Search.read(tmp_path / "nothing.toml")


# --- the budget -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "trainings", "steps"),
    [
        ("160", 160, None),
        (16, 16, None),
        ("1 training", 1, None),
        ("160 trainings", 160, None),
        ("1.5k", 1500, None),
        ("2.3M", 2_300_000, None),
        ("1e3 trainings", 1000, None),
        (" 24 ", 24, None),
        ("20Msteps", None, 20_000_000),
        ("20 M steps", None, 20_000_000),
        ("2e7 steps", None, 20_000_000),
        ("0.5ksteps", None, 500),
        ("1Gstep", None, 10**9),
    ],
)
def test_a_budget_is_trainings_or_time_steps(text, trainings, steps):
    search = Search(budget=text)
    assert Budget.of(search.budget) == (trainings, steps)
    assert Search(**json.loads(search.model_dump_json())) == search


@pytest.mark.parametrize(
    "text",
    [
        *("", "-5", "much", "10 000", "1,000", "20m steps", "20 Mtrainings steps", "0.4", "steps", "0x10"),
        *("1.5", "2.5 trainings", "0.0001k steps", "1.00001e3"),
        *("١٦", "1e30", "1e999999", "1" * 5000, str(MOST_TRIALS + 1), "1e19 steps", "1e999999steps"),
        *(None, {}, b"16", float("inf"), float("nan")),
    ],
)
def test_other_budgets_are_refused(text):
    with pytest.raises(InvalidArgument) as caught:
        Search(budget=text)
    rule = "a whole number of trainings, such as 160, or of time steps, such as 20Msteps"
    assert str(caught.value).startswith(f"budget must be {rule}, got ")
    assert len(str(caught.value)) < 300


@given(st.integers(1, MOST_TRIALS))
def test_any_number_of_trainings_is_a_budget(number):
    assert Budget.of(f"{number}") == Budget.of(f"{number} trainings") == (number, None)
    assert Budget.of(f"{number}k steps") == (None, 1000 * number)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"budget": 15}, "at least 16, the trainings of the first round, got 15"),
        ({"budget": 5, "groups": 3, "repetitions": 2}, "at least 6, the trainings of the first round, got 5"),
        (
            {"budget": "131ksteps", "updates": 1000},  # 4 trainings at 4, 6, 9 and 14
            "at least 132,000 time steps, the most that the first round can take, got 131,000",
        ),
        (
            {"budget": "45 steps", "updates": 2, "task": "square-wave/km2024", "groups": 1, "repetitions": 1},
            "at least 48 time steps, the most that the first round can take, got 45",
        ),
    ],
)
def test_a_budget_too_small_for_the_first_round_is_refused(fields, message):
    with pytest.raises(InvalidArgument) as caught:
        Search(**fields).new_search()
    assert str(caught.value) == f"budget must be {message}"
    assert caught.value.name == "budget"


def test_a_search_counts_the_time_steps_of_its_task():
    """A training at a delay of T takes T + 20 time steps an update."""
    fields = {"task": "square-wave/km2024", "updates": 100, "groups": 1, "repetitions": 1, "first_length": 10}
    for budget, ends in ((100 * (30 + 35), False), (100 * (30 + 35) - 1, True)):
        path = Search(**fields, budget=f"{budget} steps").new_search()
        path.tell([Answer(10, 0, True, 100 * 30)])
        assert bool(path.ended) == ends


def test_a_budget_ends_a_search():
    """Whatever is answered: the search asks for no round that would exceed its budget."""
    for budget, trainings in (("20", 16), ("16", 16)):
        path = Search(budget=budget, groups=2, repetitions=4).new_search()
        while groups := path.ask():
            path.tell(
                [
                    Answer(group.length, group.first + k, bool((group.length + k) % 2), 10)
                    for group in groups
                    for k in range(group.count)
                ]
            )
        assert path.ended
        assert path.trainings <= trainings


# --- identity -------------------------------------------------------------------------------------------


def test_a_search_without_a_name_gets_one_of_its_own():
    name = default_name(Search())
    assert re.fullmatch(r"span-recall-rnn-[0-9a-f]{8}", name)
    assert name != default_name(Study())
    assert default_name(Search(task="adding/any", cell="gru")).startswith("span-adding-any-gru-")
    for field, value in {"seed": 1, "hidden": 5, **OTHERS}.items():
        assert default_name(Search(**{field: value})) != name, field


@pytest.mark.parametrize(
    "fields", [{"width": 0.2}, {"level": 0.5}, {"budget": "8"}, {"keep_weights": 0}, {"budget": "1Msteps"}]
)
def test_what_only_ends_a_search_is_no_part_of_its_name(fields):
    assert default_name(Search(**fields)) == default_name(Search())


def test_a_default_that_is_given_makes_the_same_name():
    every = {name: getattr(Search(), name) for name in (*OTHERS, "width", "level", "budget", "hidden", "seed")}
    assert default_name(Search(**every)) == default_name(Search())


def test_a_search_is_restored_from_what_is_stored_of_it():
    search = Search(**OTHERS, cell="gru", width=0.3, level=0.9, budget="2ksteps", keep_weights=2)
    text = specified(search)["specification"]
    assert json.loads(text)["kind"] == "search"
    assert restored(text, "mine") == search.with_(name="mine")
    assert "kind" not in json.loads(specified(Study())["specification"])  # as of older versions
    named = json.loads(specified(Study())["specification"]) | {"kind": "study"}
    assert restored(json.dumps(named)) == Study()


@pytest.mark.parametrize(
    "fields", [{"width": 0.2}, {"level": 0.5}, {"budget": "8"}, {"keep_weights": 0}, {"longest": 9}]
)
def test_the_checksum_covers_every_field(fields):
    assert specified(Search(**fields))["hash"] != specified(Search())["hash"]


def test_the_configuration_of_a_search_is_that_of_a_study():
    assert canonical(Search(hidden=7, width=0.3).configuration) == canonical(Study(hidden=7).configuration)


@pytest.mark.parametrize(
    "fields", [{"width": 0.01}, {"width": 1}, {"level": 0.5}, {"budget": "8"}, {"budget": "9 steps"}]
)
def test_width_level_and_budget_continue_a_search(fields):
    old, new = Search(keep_weights=2), Search(**fields)
    demand_contained(old, new, "mine")
    grown = grown_by(old, new)
    assert {name: getattr(grown, name) for name in fields} == fields  # those of the last run
    assert grown.keep_weights == 2


@pytest.mark.parametrize("field", OTHERS)
def test_what_decides_the_lengths_makes_another_search(field):
    with pytest.raises(AnotherStudy) as caught:
        demand_contained(Search(), Search(**{field: OTHERS[field]}), "mine")
    was = getattr(Search(), field)
    assert str(caught.value) == (
        f"Search 'mine' exists with other settings ({field}: {was}, now {OTHERS[field]}). Choose another --name."
    )


def test_another_configuration_makes_another_search():
    with pytest.raises(AnotherStudy, match=r"^Search 'mine' exists .* \(cell: rnn, now gru; hidden: 32, now 8\)"):
        demand_contained(Search(), Search(hidden=8, cell="gru"), "mine")


def test_a_search_and_a_study_do_not_share_a_name():
    with pytest.raises(AnotherStudy) as caught:
        demand_contained(Study(), Search(), "mine")
    assert str(caught.value) == "'mine' is the name of a study, not of a search. Choose another --name."
    with pytest.raises(AnotherStudy, match=r"^'mine' is the name of a search, not of a study"):
        demand_contained(Search(), Study(), "mine")


def test_the_covering_study_has_the_trials_of_a_search():
    search = Search(hidden=7, seed=3, keep_weights=2, name="mine")
    study = search.covering({8, 4}, 6)
    assert (study.lengths, study.repetitions, study.keep_weights, study.name) == ((4, 8), 6, 2, "mine")
    assert study.configuration == search.configuration
    assert Search().covering((), 1).lengths == (Search().first_length,)
    assert Search(task="adding/hs97").covering((), 1).lengths == (20,)
