import pytest

from memspan import Comparison, Configuration
from memspan.study.labels import differing, labels_of


@pytest.mark.parametrize(
    ("fields", "labels"),
    [
        ([{}, {"task_parameters": {"tolerance": 0.05}}], ["tolerance 0.1", "tolerance 0.05"]),
        ([{"init": "orthogonal"}, {}], ["init orthogonal", "init default"]),
        ([{"cell": "gru"}, {}], ["gru", "rnn"]),
        ([{"task": "parity"}, {}], ["parity", "recall"]),
        ([{"cell": "gru"}, {"hidden": 8}], ["cell gru, hidden 32", "cell rnn, hidden 8"]),
        (
            [{"task_parameters": {"tolerance": 0.05}}, {"task": "parity"}],
            ["task recall, tolerance 0.05", "task parity"],
        ),
    ],
)
def test_labels_say_in_what_configurations_differ(fields, labels):
    assert labels_of([Configuration(**each) for each in fields]) == labels


def test_a_parameter_of_the_task_differs_only_if_it_was_given():
    assert differing([Configuration(), Configuration(task="parity")]) == ["task"]
    assert differing([Configuration(), Configuration(task_parameters={"tolerance": 0.1})]) == []
    assert differing([Configuration(), Configuration(task_parameters={"tolerance": 0.2})]) == [
        "task_parameters.tolerance"
    ]


def test_a_list_has_the_labels_of_a_comparison():
    for fields in ({"cell": "rnn,gru"}, {"task": "recall,parity"}, {"cell": "rnn,gru", "gain": "1,2"}):
        comparison = Comparison(**fields)
        assert labels_of(comparison.configurations) == comparison.labels
