import math
import sys
from io import StringIO

import numpy as np
import pytest
from rich.console import Console

from memspan import InvalidArgument, NotFound, Study, StudyResult, StudySummary, get_task, run_study
from memspan.span import estimate_span
from memspan.study.study import Key

STUDY = Study(lengths=(5, 10, 20), repetitions=3)


def text(result):
    out = StringIO()
    Console(file=out, width=160).print(result.table())
    return out.getvalue()


def cells(result):
    """The rows of the printed table, by length."""
    lines = [line.strip("│ \n").split("│") for line in text(result).splitlines() if line.startswith("│")]
    return {int(cells[0]): [cell.strip() for cell in cells[1:]] for cells in lines}


@pytest.fixture
def mixed(make_trial):
    """Lengths at which all solved, one of two solved and one failed, and one diverged and none solved."""
    trials = [
        make_trial(20, 1, "diverged", accuracy=0.0, loss=math.inf),
        *(make_trial(20, k, "unsolved", accuracy=0.1 * k, loss=0.25) for k in (0, 2)),
        make_trial(10, 0, "solved", accuracy=0.92, loss=0.02),
        make_trial(10, 1, "failed"),
        make_trial(10, 2, "unsolved", accuracy=0.2, loss=0.3),
        *(make_trial(5, k, "solved", accuracy=0.95 + 0.01 * k, loss=0.01) for k in range(3)),
    ]
    return StudyResult.of(STUDY, trials)


def test_trials_are_put_in_order(mixed):
    assert [trial.key for trial in mixed.trials] == sorted(STUDY.keys)
    assert [trial.repetition for trial in mixed.of_length(20)] == [0, 1, 2]


def test_counts_are_those_of_trials_that_did_not_fail(make_trial):
    trials = [make_trial(4), make_trial(4, 1, "failed"), make_trial(6, 0, "unsolved"), make_trial(9, 0, "failed")]
    study = Study(lengths=(4, 6, 9), repetitions=2)
    assert StudyResult.of(study, trials).counts() == ([4, 6], [1, 0], [1, 1])
    assert StudyResult.of(study, []).counts() == ([], [], [])


def test_a_summary_counts_solved_among_those_that_ran(mixed):
    first, second, third = mixed.summaries()
    assert (first.length, first.share.solved, first.share.trials) == (5, 3, 3)
    assert (second.share.solved, second.share.trials, second.diverged, second.failed) == (1, 2, 0, 1)
    assert (third.share.solved, third.share.trials, third.diverged, third.failed) == (0, 3, 1, 0)
    assert second.accuracies == (0.92, 0.2)
    assert second.losses == (0.02, 0.3)
    assert first.spread == pytest.approx(0.01)
    assert third.losses == (0.25, math.inf, 0.25)


def test_the_answer(mixed):
    found = estimate_span([5, 10, 20], [3, 1, 0], [3, 2, 3])  # one of the nine failed
    assert mixed.longest == 10
    assert mixed.estimate == mixed.span() == found
    assert found.trainings == 8
    assert mixed.sentence == f"{found}."
    assert mixed.sentence.startswith("T50 = ")
    assert mixed.complete
    assert mixed.span(share=0.9, level=0.5) == estimate_span([5, 10, 20], [3, 1, 0], [3, 2, 3], 0.9, 0.5)


@pytest.mark.parametrize("wrong", [{"share": 0}, {"share": "half"}, {"level": 1}, {"level": None}])
def test_share_and_level_are_fractions(mixed, wrong):
    (name,) = wrong
    with pytest.raises(InvalidArgument, match=f"^{name} must be a finite number above 0 and below 1, got "):
        mixed.span(**wrong)


def test_no_answer(make_trial):
    result = StudyResult.of(STUDY, [make_trial(5, 0, "unsolved")])
    assert result.longest is None
    assert result.sentence == f"So far (1 of {len(STUDY.keys)} trials): {estimate_span([5], [0], 1)}."
    assert not result.complete
    assert math.isnan(result.summaries()[0].spread)
    failed = StudyResult.of(STUDY, [make_trial(length, k, "failed") for _, length, k in STUDY.keys])
    for nothing in (StudyResult.of(STUDY, []), failed):
        assert nothing.estimate is None
        assert nothing.sentence == "No trial has run to its end, so there is no answer yet."
    assert failed.failures == ["MemoryError: no room"]


def test_a_loss_at_the_trivial_risk_is_a_hundred_percent_of_it(make_trial):
    rows = cells(StudyResult.of(STUDY, [make_trial(5, 0, "unsolved", loss=1 / 3)]))
    assert rows[5][-2:] == ["0.333", "100 %"]


def test_the_table_holds_the_numbers(mixed):
    rows = cells(mixed)
    assert list(rows) == [5, 10, 20]
    assert rows[5] == ["3/3", "0.44-1.00", "0", "0", "0.960", "0.010", "0.01", "3 %"]
    assert rows[10] == ["1/2", "0.09-0.91", "0", "1", "0.560", "0.509", "0.16", "48 %"]
    assert rows[20] == ["0/3", "0.00-0.56", "1", "0", "0.067", "0.115", "inf", "inf %"]


def test_the_table_says_what_was_run_and_what_no_memory_would_score(mixed):
    words = " ".join(text(mixed).split())
    assert STUDY.describe() in words
    assert "After T random numbers in [-1, 1], answer with the first." in words
    assert "share of correct answers to 10000 sequences drawn after training: within 0.1 of the label" in words
    assert "at most 0.005; chance 0.1" in words
    assert "least mean squared error of an answer that ignores the input is 0.3333" in words


def test_the_table_of_another_task_has_its_rule_its_loss_and_the_trivial_risk_of_each_length(make_trial):
    study = Study(task="copying/urnn", task_parameters={"items": 2, "symbols": 4}, lengths=(3, 5), repetitions=1)
    risk = {3: 2 * np.log(4) / 7, 5: 2 * np.log(4) / 9}
    result = StudyResult.of(study, [make_trial(length, loss=risk[3]) for length in study.lengths])
    words = " ".join(text(result).split())
    assert get_task("copying/urnn", items=2, symbols=4).sentence in words
    assert "10000 sequences drawn after training: the right class, in the last 2 steps (standard" in words
    assert "at most 0.005; chance 0.25)" in words
    least = "The least cross-entropy (nats) of an answer that ignores the input is "
    assert f"{least}{risk[5]:.4g} to {risk[3]:.4g}." in words
    rows = cells(result)
    assert rows[3][-2:] == ["0.396", "100 %"]
    assert rows[5][-2:] == ["0.396", f"{100 * risk[3] / risk[5]:.3g} %"]


def test_a_length_without_a_trial_is_an_empty_row(make_trial):
    rows = cells(StudyResult.of(STUDY, [make_trial(5, 0), make_trial(10, 0, "failed")]))
    assert rows[10] == ["0/0", "–", "1", "–", "–", "–", "–"]  # the one that failed; none diverged
    assert rows[20] == ["0/0", "–", "0", "–", "–", "–", "–"]


@pytest.mark.slow
def test_a_short_length_is_solved_and_a_long_one_is_not():
    study = Study(lengths=(2, 60), repetitions=3, hidden=10, batch=32, updates=120)
    result = run_study(study, progress=False)
    short, long = result.summaries()
    assert [trial.outcome for trial in result.trials] == ["solved"] * 3 + ["unsolved"] * 3
    assert (short.share.solved, long.share.solved) == (3, 0)
    assert result.longest == 2
    assert result.estimate == estimate_span([2, 60], [3, 0], 3)
    assert 2 < result.estimate.span < 60
    assert min(short.accuracies) >= study.threshold
    # An untrained network answers near 0: its accuracy is that of chance, its loss the trivial risk.
    np.testing.assert_allclose(long.accuracies, study.configuration.make_task().chance_accuracy(60), atol=0.02)
    np.testing.assert_allclose(long.losses, 1 / 3, atol=0.02)
    assert all(trial.updates < 120 for trial in result.trials[:3])
    assert all(trial.updates == 120 for trial in result.trials[3:])
    assert cells(result)[2][0] == "3/3"
    assert cells(result)[60][0] == "0/3"
    assert cells(result)[60][2] == f"{np.mean(long.accuracies):.3f}"
    # The gradient vanishes over 60 steps, and hardly over 2.
    assert all(trial.end.d_a[0] < 1e-3 * trial.end.d_a[-1] for trial in result.of_length(60))
    assert all(trial.end.d_a[0] > 1e-3 * trial.end.d_a[-1] for trial in result.of_length(2))


# --- several configurations -----------------------------------------------------------------------------

SEVERAL = Study(cell=["rnn", "gru"], learning_rate=[0.01, 0.001], lengths=(5, 10), repetitions=2)


@pytest.fixture
def several(make_trial):
    """Configuration 0 solves both lengths, 1 only the shorter, 2 none; 3 has no trials at the longer."""
    reach = (10, 5, 0, 5)
    trials = [
        make_trial(length, k, "solved" if length <= reach[c] else "unsolved", configuration=c)
        for c, length, k in SEVERAL.keys
        if (c, length) != (3, 10)
    ]
    return StudyResult.of(SEVERAL, trials)


def test_the_parts_are_the_results_of_the_configurations(several):
    assert [part.study for part in several.parts] == [SEVERAL.only(k) for k in range(4)]
    assert [len(part.trials) for part in several.parts] == [4, 4, 4, 2]
    assert [part.complete for part in several.parts] == [True, True, True, False]
    assert [part.longest for part in several.parts] == [10, 5, None, 5]
    for part in several.parts:
        assert {trial.configuration for trial in part.trials} == {0}
    assert [trial.key for trial in several.parts[3].trials] == [Key(0, 5, 0), Key(0, 5, 1)]
    assert len(several.trials) == 14
    assert not several.complete


def test_a_study_with_one_configuration_is_its_only_part(mixed):
    assert mixed.parts == [mixed]


def test_each_configuration_has_a_sentence(several):
    both, short, none = (estimate_span([5, 10], solved, 2) for solved in ([2, 2], [2, 0], [0, 0]))
    assert several.sentence.splitlines() == [
        f"cell rnn, learning rate 0.01: {both}.",
        f"cell rnn, learning rate 0.001: {short}.",
        f"cell gru, learning rate 0.01: {none}.",
        f"cell gru, learning rate 0.001: So far (2 of 4 trials): {estimate_span([5], [2], 2)}.",
    ]


def test_without_any_trial_several_configurations_have_one_sentence():
    assert StudyResult.of(SEVERAL, []).sentence == "No trial has run to its end, so there is no answer yet."


def test_more_repetitions_tell_more(make_trial):
    def answer(repetitions):
        study = STUDY.with_(repetitions=repetitions)
        trials = [make_trial(n, k, "solved" if n < 20 else "unsolved") for _, n, k in study.keys]
        return StudyResult.of(study, trials)

    few, many = answer(3), answer(40)
    assert (few.longest, many.longest) == (10, 10)
    assert few.estimate.relative_width > many.estimate.relative_width
    assert 10 <= many.estimate.low < many.estimate.span < many.estimate.high <= 20
    study = STUDY.with_(repetitions=40)
    none = StudyResult.of(study, [make_trial(n, k, "unsolved") for _, n, k in study.keys])
    assert none.sentence == "T50 is below 5 steps (95 %), from 120 trainings at 3 lengths."
    every = StudyResult.of(study, [make_trial(n, k) for _, n, k in study.keys])
    assert (every.estimate.span, every.estimate.high) == (None, None)
    assert every.sentence.startswith("T50 is at least ")


def test_what_is_asked_of_one_configuration_is_not_answered_for_several(several):
    for ask in (several.summaries, several.span, lambda: several.longest, lambda: several.estimate):
        with pytest.raises(
            InvalidArgument, match=r"study must be one of a single configuration, .* differ in cell, learning_rate"
        ):
            ask()


def test_the_table_has_a_row_for_each_configuration_and_length(several):
    lines = [line.strip("│ \n").split("│") for line in text(several).splitlines() if line.startswith("│")]
    rows = [[cell.strip() for cell in line] for line in lines]
    assert [row[:4] for row in rows] == [
        ["rnn", "0.01", "5", "2/2"],
        ["rnn", "0.01", "10", "2/2"],
        ["rnn", "0.001", "5", "2/2"],
        ["rnn", "0.001", "10", "0/2"],
        ["gru", "0.01", "5", "0/2"],
        ["gru", "0.01", "10", "0/2"],
        ["gru", "0.001", "5", "2/2"],
        ["gru", "0.001", "10", "0/0"],
    ]
    assert "4 configurations of cell, learning rate" in " ".join(text(several).split())


def test_the_standard_error_is_that_of_the_different_held_out_sequences(make_trial):
    result = StudyResult.of(Study(task="digits/rows", lengths=9, repetitions=1), [make_trial(9)])
    words = " ".join(text(result).split())
    assert (
        "10000 sequences drawn after training: the right class (standard error at most 0.022; chance 0.1026)"
        in words
    )


def test_the_table_of_several_tasks_speaks_of_no_single_rule(make_trial):
    study = Study(task=["recall", "parity"], final_batches=[20, 4], lengths=(5,), repetitions=1)
    result = StudyResult.of(study, [make_trial(5, configuration=c) for c in range(4)])
    words = " ".join(text(result).split())
    assert "recall, parity. 4 configurations of task, final batches" in words
    assert "answers to at least 2000 sequences drawn after training (standard error at most 0.011)" in words
    assert "within 0.1" not in words
    headings = [cell.strip() for cell in next(x for x in text(result).splitlines() if "┃" in x).split("┃")]
    assert headings[-3:-1] == ["accuracy", "loss"]
    assert "mean squared error" not in words


def test_the_caption_has_the_range_of_thresholds(make_trial):
    study = Study(threshold=[0.8, 0.9], lengths=(5,), repetitions=1)
    result = StudyResult.of(study, [make_trial(5, configuration=c) for c in range(2)])
    words = " ".join(text(result).split())
    assert "Solved: accuracy of at least 0.8 to 0.9." in words
    assert "within 0.1 of the label" in words


SIX = Study(cell="rnn,gru", lengths=(3, 5), repetitions=2, name="mine")


@pytest.fixture
def six(make_trial):
    trials = [make_trial(3), make_trial(3, 1, "failed"), make_trial(5, 0, "unsolved")]
    gru = [trial.model_copy(update={"configuration": 1}) for trial in trials]
    return StudyResult.of(SIX, [*trials, *gru])


def test_results_are_short_in_a_prompt(six):
    texts = [repr(part) for part in (six, StudySummary(six.study, six.rows), six.parts[1], six.rows[0][0])]
    texts += [repr(six.trials[0]), str(six.trials[1]), repr(six.trials[0].start), repr(six.study), str(six.study)]
    assert all(len(text) < 250 for text in texts)
    assert texts[0] == "<StudyResult 'mine' of 2 configurations of cell: 6 of 8 trials.>"
    assert texts[2].startswith("<StudyResult 'mine' of gru, 32 hidden, ")
    assert texts[3] == "<LengthSummary T=3: solved 1 of 1>"
    assert texts[4].startswith("<Trial T=3, repetition 0, configuration 0: solved, accuracy 0.950, loss 0.01, 4 ")
    assert texts[5].endswith("failed, 'MemoryError: no room'>")
    assert texts[7] == "Study(cell=('rnn', 'gru'), name='mine', lengths=(3, 5), repetitions=2)"
    assert len(repr(Study(lengths=range(1, 10_000)))) < 100


def test_a_table_can_be_printed(six):
    text = f"{six.table()}"
    assert "│ gru  │" in text
    assert "95 % interval" in text


def test_records_have_a_row_for_each_trial_or_each_length(six):
    rows = six.records()
    assert [(row["configuration"], row["cell"], row["length"], row["outcome"]) for row in rows[3:]] == [
        *((1, "gru", 3, "solved"), (1, "gru", 3, "failed"), (1, "gru", 5, "unsolved")),
    ]
    assert set(rows[0]) >= {"repetition", "accuracy", "loss", "updates", "digest"}
    summary = StudySummary(six.study, six.rows).records()
    assert [(row["cell"], row["length"], row["solved"], row["trials"], row["failed"]) for row in summary] == [
        *(("rnn", 3, 1, 1, 1), ("rnn", 5, 0, 1, 0), ("gru", 3, 1, 1, 1), ("gru", 5, 0, 1, 0)),
    ]
    assert summary[0]["accuracy"] == 0.95
    assert (summary[0]["low"], summary[0]["high"]) == (six.rows[0][0].share.low, six.rows[0][0].share.high)
    # Clopper and Pearson, 1 of 1: low^1 = 0.025.
    assert (summary[0]["exact_low"], summary[0]["exact_high"]) == (pytest.approx(0.025), 1)


def test_records_have_the_scores_at_other_lengths(make_trial):
    study = Study(lengths=3, repetitions=2, test_lengths=(6, 9))
    tests = [{"length": 6, "accuracy": 0.75, "loss": 0.125}, {"length": 9, "accuracy": 0.5, "loss": 0.25}]
    first, second = StudyResult.of(study, [make_trial(3, tests=tests), make_trial(3, 1, "failed")]).records()
    names = ["accuracy_at_6", "loss_at_6", "accuracy_at_9", "loss_at_9"]
    assert [name for name in first if "_at_" in name] == names
    assert [first[name] for name in names] == [0.75, 0.125, 0.5, 0.25]
    assert all(math.isnan(second[name]) for name in names)
    assert first["version"] == 2


def test_a_frame_needs_pandas(six, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)  # as if pandas were not installed
    with pytest.raises(NotFound, match=r"^to_frame\(\) needs pandas\. Run `pip install pandas`"):
        six.to_frame()


def test_a_frame_has_the_records(six):
    pytest.importorskip("pandas")
    frame = six.to_frame().to_dict("records")
    assert [without_nan(row) for row in frame] == [without_nan(row) for row in six.records()]


def without_nan(row):
    """NaN differs from itself."""
    return {name: "NaN" if value != value else value for name, value in row.items()}
