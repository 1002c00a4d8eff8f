import numpy as np

from memspan import Study, StudyResult, get_task
from memspan.study.facts import demands, facts, value_range


def test_a_study_of_one_configuration_has_two_lines(make_trial):
    study = Study(lengths=(3, 5), repetitions=3)
    trials = [make_trial(3), make_trial(3, 1), make_trial(3, 2, "failed"), make_trial(5)]
    assert facts([StudyResult.of(study, trials)]) == [
        "Solved: accuracy of at least 0.9 on 10,000 sequences drawn after training; "
        "repetitions of each length: 1 to 2",
        "Chance accuracy 0.1 (correct: within 0.1 of the label), trivial risk 0.333 (mean squared error)",
    ]


def test_several_tasks_and_thresholds_are_all_stated():
    study = Study(task="recall,copying/urnn", threshold=(0.5, 1), lengths=(3, 30), repetitions=2)
    solved, recall, copying = facts(StudyResult.of(study, []).parts)
    assert solved == (
        "Solved: accuracy of at least 0.5 on 10,000 sequences drawn after training or accuracy of at least 1 on "
        "10,000 sequences drawn after training; repetitions of each length and configuration: 0"
    )
    assert recall.startswith("recall: chance accuracy 0.1 (correct: within 0.1 of the label), ")
    risks = " to ".join(f"{10 * np.log(8) / (20 + length):.3g}" for length in (30, 3))
    assert copying.endswith(
        f"chance accuracy 0.125 (correct: the right class, in the last 10 steps), "
        f"trivial risk {risks} (cross-entropy)"
    )


def test_each_task_is_judged_at_its_own_lengths():
    """Of the adding problem there are no sequences of one step."""
    adding = get_task("adding/any")
    lines = demands([(get_task("recall"), 1), (adding, adding.least_length)])
    assert [line.partition(":")[0] for line in lines] == ["recall", "adding/any"]


def test_a_network_is_compared_with_what_ignores_the_input_in_the_held_out_part():
    study = Study(task="digits/rows", lengths=9, repetitions=1)
    held_out = get_task("digits/rows").for_evaluation
    line = facts(StudyResult.of(study, []).parts, [9])[1]
    assert line.startswith(f"Chance accuracy {51 / 497:.3g} (correct: the right class)")
    assert demands([(held_out, 9)])[0] == line


def test_a_range_is_one_number_if_both_ends_look_the_same():
    assert value_range([0.12341, 0.12339]) == "0.1234"
    assert value_range([2, 1000, 30], ",") == "2 to 1,000"
