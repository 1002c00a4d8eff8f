import numpy as np
import pytest

from memspan import InvalidArgument, Study, StudyResult
from memspan.study.flow import BEFORE, MOST_LENGTHS, NOT_SOLVED, SOLVED, flow_record, some_of, trained_record
from memspan.study.group import run_trial
from memspan.study.trial import Flow

SMALL = Study(cell="rnn,lstm", gain=(1, 4), hidden=4, batch=4, lengths=5, dtype="float64", updates=2)


def test_the_networks_are_those_with_which_a_study_begins():
    """The gradients of the first batch equal those that the trial keeps, up to its rounding."""
    record = flow_record(SMALL, 5, seeds=[0])
    (networks,) = record.panels.values()
    assert list(networks) == [("rnn", "1"), ("rnn", "4"), ("lstm", "1"), ("lstm", "4")]
    for values, configuration in zip(networks, SMALL.configurations, strict=True):
        trial = run_trial(configuration, 5, 0)
        (norms,) = networks[values]
        np.testing.assert_allclose(norms, trial.start.d_a, rtol=2e-6)


def test_every_seed_is_a_network():
    (networks,) = flow_record(SMALL, 5, seeds=[0, 1, 2]).panels.values()
    for lines in networks.values():
        assert len({norms.tobytes() for norms in lines}) == 3
    (alone,) = flow_record(SMALL, 5, seeds=[2]).panels.values()
    np.testing.assert_array_equal(alone["rnn", "4"][0], networks["rnn", "4"][2])


def test_a_single_network_is_a_line_without_a_name():
    record = flow_record(Study(hidden=3, batch=2), 4, seeds=[0])
    assert record.fields == ()
    assert [list(networks) for networks in record.panels.values()] == [[()]]
    assert "recall: rnn, 3 hidden" in record.title


def test_more_than_can_be_told_apart_is_refused_before_anything_is_computed():
    many = Study(gain=tuple(range(1, 10)), hidden=10_000)
    with pytest.raises(InvalidArgument, match="gain must be at most 8 values in one figure, got 9"):
        flow_record(many, 5, seeds=[0])


def test_the_configurations_of_a_study_are_overlaid(make_trial):
    study = Study(cell="rnn,gru", lengths=(3, 5), repetitions=3)
    end = Flow(d_a=[7.0, 8.0, 9.0], d_R=[0.0] * 3, d_W=[0.0] * 3)
    trials = [make_trial(3, k, configuration=c, scale=s) for c, k, s in ((0, 0, 1.0), (0, 1, 3.0), (1, 0, 5.0))]
    trials[2] = trials[2].model_copy(update={"end": end})
    record = trained_record(StudyResult.of(study, trials))
    assert record.fields == ("cell",)
    assert list(record.panels) == [(f"T = {T}", moment) for T in (3, 5) for moment in (BEFORE, SOLVED)]
    before, after = record.panels["T = 3", BEFORE], record.panels["T = 3", SOLVED]
    np.testing.assert_allclose(before["rnn",], [[0.02, 0.2, 2]])  # the median of 1 and 3
    np.testing.assert_allclose(before["gru",], [[0.05, 0.5, 5]])
    np.testing.assert_array_equal(after["gru",], [[7, 8, 9]])
    assert record.panels["T = 5", BEFORE] == {}
    assert "median over repetitions)" in record.title


def test_networks_that_solved_and_others_are_apart_after_training(make_trial):
    study = Study(cell="rnn,gru", lengths=(3,), repetitions=3)
    outcomes = (("solved", 1.0), ("unsolved", 5.0), ("diverged", 9.0))
    trials = [make_trial(3, k, outcome, configuration=0, scale=s) for k, (outcome, s) in enumerate(outcomes)]
    record = trained_record(StudyResult.of(study, trials))
    np.testing.assert_allclose(record.panels["T = 3", SOLVED]["rnn",], [[0.01, 0.1, 1]])
    np.testing.assert_allclose(record.panels["T = 3", NOT_SOLVED]["rnn",], [[0.07, 0.7, 7]])
    np.testing.assert_allclose(record.panels["T = 3", BEFORE]["rnn",], [[0.05, 0.5, 5]])


def test_of_many_lengths_some_are_drawn_with_both_ends_and_the_title_says_so(make_trial):
    assert some_of((5,)) == [5]
    assert some_of((3, 5)) == [3, 5]
    assert some_of(tuple(range(1, 11))) == [1, 4, 7, 10]
    assert MOST_LENGTHS == 4
    study = Study(cell="rnn,gru", lengths=tuple(range(1, 11)), repetitions=1)
    record = trained_record(StudyResult.of(study, [make_trial(4)]))
    assert [row for row, _ in record.panels][::2] == ["T = 1", "T = 4", "T = 7", "T = 10"]
    assert "(median over repetitions; 4 of 10 lengths)" in record.title
