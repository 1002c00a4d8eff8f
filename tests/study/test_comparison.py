import pytest

from memspan import CELLS, Comparison, Configuration, InvalidArgument, Network, get_task
from memspan.study.choices import Choices
from memspan.study.comparison import TUNABLE, hidden_for, parameters_of


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("task", ["recall", "order/pascanu-2"])
def test_the_number_of_parameters_is_that_of_a_network(cell, task):
    one = Configuration(cell=cell, task=task, hidden=6)
    shape = get_task(task).shape(20)
    network = Network(cell, shape.features, 6, shape.outputs, rng=0)
    assert parameters_of(one) == network.parameters.size


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("wanted", [60, 1100, 1101, 4321])
def test_the_hidden_size_is_the_nearest_of_all(cell, wanted):
    one = Configuration(cell=cell)
    found = hidden_for(one, wanted)
    near = range(max(1, found - 20), found + 21)
    distances = {hidden: abs(parameters_of(one.with_(hidden=hidden)) - wanted) for hidden in near}
    assert distances[found] == min(distances.values())


def test_too_few_parameters_are_refused():
    with pytest.raises(InvalidArgument, match="parameter_count must be at least"):
        hidden_for(Configuration(cell="lstm"), 3)
    with pytest.raises(InvalidArgument, match="parameter_count"):
        Comparison(cell="rnn,lstm", parameter_count=2)


def test_equal_parameters_are_those_of_the_first():
    comparison = Comparison(cell="rnn,gru,lstm", hidden=32, equal="parameters")
    first, *others = comparison.searches()
    assert first.hidden == 32
    wanted = parameters_of(first.configuration)
    for search in others:
        assert search.hidden == hidden_for(search.configuration, wanted)
        assert abs(parameters_of(search.configuration) / wanted - 1) < 0.05
    counted = Comparison(cell="rnn,gru", parameter_count=500).searches()
    assert [search.hidden for search in counted] == [
        hidden_for(Configuration(cell=cell), 500) for cell in ("rnn", "gru")
    ]


def test_the_searches_have_the_settings_of_the_comparison():
    comparison = Comparison(hidden="8,16", width=0.3, budget="32", longest=200, share=0.9, seed=5)
    small, large = comparison.searches()
    assert (small.hidden, large.hidden) == (8, 16)
    for search in (small, large):
        assert (search.width, search.budget, search.longest, search.share, search.seed) == (0.3, "32", 200, 0.9, 5)
    assert comparison.labels == ["hidden 8", "hidden 16"]
    assert Comparison(cell="rnn,gru").labels == ["rnn", "gru"]
    assert Comparison(cell="rnn,gru", gain="1,2").labels[1] == "cell rnn, gain 2"


@pytest.mark.parametrize(
    "tune",
    [
        "learning_rate=0.001,0.01",
        ["learning_rate=0.001", "0.01"],
        ("learning-rate=0.001,0.01",),
        {"learning_rate": (0.001, 0.01)},
        {"learning_rate": "0.001,0.01"},
    ],
)
def test_tuned_values_are_written_in_several_ways(tune):
    trials = Comparison(cell="rnn,gru", tune=tune).tuning()
    assert [(t.configuration, t.search.cell, t.search.learning_rate) for t in trials] == [
        *((0, "rnn", rate) for rate in (0.001, 0.01)),
        *((1, "gru", rate) for rate in (0.001, 0.01)),
    ]


def test_tuning_uses_no_seed_that_is_reported():
    comparison = Comparison(cell="rnn,gru", tune="learning_rate=0.001,0.01", seed=7)
    reported = {search.seed for search in comparison.searches()}
    assert reported == {7}
    assert not reported & {trial.search.seed for trial in comparison.tuning()}


def test_several_fields_are_tuned_in_all_combinations():
    trials = Comparison(cell="rnn,gru", tune=["learning_rate=0.001,0.01", "clip=0,1,2"]).tuning()
    assert len(trials) == 2 * 2 * 3
    assert len({tuple(t.values.items()) for t in trials}) == 6


@pytest.mark.parametrize(
    ("fields", "budget"),
    [
        ({}, "64"),
        ({"budget": 1000}, "64"),
        ({"budget": "20 trainings"}, "20"),
        ({"budget": "2Msteps"}, "2Msteps"),
        ({"budget": 1000, "groups": 10, "repetitions": 10}, "100"),  # one round
        ({"budget": 80, "groups": 10, "repetitions": 10}, "80"),
    ],
)
def test_tuning_never_spends_more_on_a_value_than_the_budget(fields, budget):
    trials = Comparison(cell="rnn,gru", tune="learning_rate=0.001,0.01", **fields).tuning()
    assert {trial.search.budget for trial in trials} == {budget}
    assert {trial.search.width for trial in trials} == {0.25}


def test_every_field_that_does_not_change_what_is_judged_may_be_tuned():
    judged = {"task", "task_parameters", "threshold", "evaluate_every", "final_batches", "evaluation_samples"}
    assert set(TUNABLE) == {*Choices.model_fields} - judged - {"seed", "cell", "options", "device"}
    assert Comparison(cell="rnn,gru", tune="hidden=8,64").tuning()


def test_what_was_chosen_is_searched_for():
    comparison = Comparison(cell="rnn,gru", tune="learning_rate=0.001,0.01")
    found = comparison.searches({0: {"learning_rate": "0.001"}, 1: {"learning_rate": "0.01"}})
    assert [search.learning_rate for search in found] == [0.001, 0.01]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"tune": "learning_rate"}, "tune"),
        ({"tune": "seed=1,2"}, "tune"),
        ({"tune": "nonsense=1"}, "tune"),
        ({"tune": "cell=gru,lstm"}, "tune"),
        ({"tune": "learning_rate=0"}, "tune"),
        ({"tune": "task=recall,adding/any"}, "tune"),
        ({"tune": "task_parameters.tolerance=0.1,0.9"}, "tune"),
        ({"tune": "threshold=0.5,0.9"}, "tune"),
        ({"tune": "evaluate_every=10,50"}, "tune"),
        ({"tune": "final_batches=1,20"}, "tune"),
        ({"tune": "evaluation_samples=10,500"}, "tune"),
        ({"tune": "hidden=8,64", "equal": "parameters"}, "tune"),
        ({"tune": "hidden=8,64", "parameter_count": 100}, "tune"),
        ({"tune": ["learning_rate=0.1", "learning-rate=0.2"]}, "tune"),
        ({"tune": "learning_rate=0.1,0.10"}, "tune"),
        ({"tune": {"learning_rate": (0.1, "0.1")}}, "tune"),
        ({"cell": "rnn"}, "the comparison"),
        ({"gain": "1,2", "tune": "gain=1,2"}, "tune"),
        ({"hidden": "8,16", "equal": "parameters"}, "hidden"),
        ({"equal": "weights"}, "equal"),
        ({"equal": "parameters", "parameter_count": 100}, "parameter_count"),
        ({"budget": "much"}, "budget"),
        ({"longest": 3, "task": "adding/any,order/pascanu-2"}, "longest"),
    ],
)
def test_what_cannot_be_compared_is_refused(fields, message):
    with pytest.raises(InvalidArgument, match=f"^{message} must be"):
        Comparison(**{"cell": "rnn,gru", **fields})
