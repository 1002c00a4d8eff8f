import csv

import numpy as np
import pytest

from memspan import InvalidArgument, Study, StudyResult, get_task
from memspan.figures.configurations import MOST_CONFIGURATIONS
from memspan.span import SolvedShare
from memspan.study import StudySummary
from memspan.study import figures as pictures
from memspan.study.facts import facts
from memspan.study.figures import (
    SEQUENCES,
    accuracy_record,
    beyond_record,
    loss_record,
    map_record,
    norms_record,
    relevance,
    save_figures,
    save_span,
    shares_record,
    span_record,
)

STUDY = Study(lengths=(3, 5), repetitions=3)
NAMES = [
    *("span", "accuracy", "losses"),
    *("gradient-by-lag", "gradient-of-weights-by-lag", "gradient-during-training"),
]
FIRST, LAST, REST = "before training", "after training: solved", "after training: not solved"


@pytest.fixture
def result(make_trial):
    """At length 3 one repetition solved, one did not and one failed; at length 5 none of three solved."""
    return StudyResult.of(
        STUDY,
        [
            make_trial(3, 0, accuracy=0.95, scale=1.0),
            make_trial(3, 1, "unsolved", accuracy=0.25, scale=3.0),
            make_trial(3, 2, "failed"),
            *(make_trial(5, k, "unsolved", accuracy=0.1, scale=scale) for k, scale in enumerate((1.0, 7.0, 2.0))),
        ],
    )


def test_accuracies_and_shares_are_those_of_the_trials_that_ran(result):
    record = accuracy_record(result)
    assert record.accuracies == {3: (0.95, 0.25), 5: (0.1, 0.1, 0.1)}
    assert record.shares == {3: SolvedShare.of(1, 2), 5: SolvedShare.of(0, 3)}
    assert (record.threshold, record.chances) == (STUDY.threshold, {3: 0.1, 5: 0.1})
    assert STUDY.describe() in record.title
    assert "recall: After T random numbers in [-1, 1], answer with the first." in record.title


def test_the_map_of_other_lengths_states_what_an_accuracy_means_at_these_lengths(make_trial):
    """The trivial risk of the square wave falls with the length."""
    study = Study(task="square-wave/km2024", lengths=3, repetitions=3, test_lengths=(2, 80))
    task = study.configuration.make_task()
    scores = [[{"length": n, "accuracy": a, "loss": 0.3} for n in (2, 80)] for a in (0.2, 0.4)]
    trials = [make_trial(3, k, tests=tests) for k, tests in enumerate(scores)]
    record = beyond_record(StudyResult.of(study, [*trials, make_trial(3, 2, "failed")]))
    assert record.accuracies == {3: {2: (0.2, 0.4), 80: (0.2, 0.4)}}
    what, *_, ours = record.title.splitlines()
    assert what == "Accuracy at T' after training at T"
    assert task.chance_accuracy(2) == task.chance_accuracy(80)
    assert f"trivial risk {task.trivial_risk(80):.3g} to {task.trivial_risk(2):.3g} (" in ours


def test_a_curve_lies_in_the_middle_of_the_updates_that_it_averages(make_trial):
    trial = make_trial(3, 0, "unsolved", curve=[0.3, 0.2, 0.1], curve_every=4, updates=10)  # 1-4, 5-8, 9-10
    every_update = make_trial(5, 0)
    record = loss_record(StudyResult.of(STUDY, [trial, every_update]))
    assert record.curves[3][0].updates == (2.5, 6.5, 9.5)
    assert record.curves[3][0].loss == (0.3, 0.2, 0.1)
    assert record.curves[5][0].updates == (1, 2, 3, 4)
    assert (record.curves[3][0].outcome, record.curves[5][0].outcome) == ("unsolved", "solved")
    assert record.trivial_risks == pytest.approx({3: 1 / 3, 5: 1 / 3})
    assert record.label == "mean squared error"


def test_curves_are_of_the_trials_that_ran(result):
    assert {length: len(curves) for length, curves in loss_record(result).curves.items()} == {3: 2, 5: 3}


def test_norms_are_the_median_over_repetitions(result, make_trial):
    record = norms_record(result, {"d_a": "a", "d_R": "R"}, "title")
    assert list(record.panels) == [(field, when) for field in ("d_a", "d_R") for when in (FIRST, LAST, REST)]
    np.testing.assert_allclose(record.panels["d_a", FIRST][3], [0.02, 0.2, 2])  # between 1 and 3
    np.testing.assert_allclose(record.panels["d_a", FIRST][5], 2 * 10.0 ** np.arange(-4, 1))  # of 1, 2 and 7
    np.testing.assert_allclose(record.panels["d_R", REST][5], [0, *(4 * 10.0 ** np.arange(-3, 1))])


def test_after_training_networks_that_solved_and_others_are_apart(result, make_trial):
    """A median over solved and unsolved trials would describe neither."""
    panels = norms_record(result, {"d_a": "a"}, "title").panels
    np.testing.assert_allclose(panels["d_a", LAST][3], [0.01, 0.1, 1])
    np.testing.assert_allclose(panels["d_a", REST][3], [0.03, 0.3, 3])
    assert (list(panels["d_a", LAST]), list(panels["d_a", REST])) == ([3], [3, 5])
    every = norms_record(StudyResult.of(STUDY, [make_trial(3)]), {"d_a": "a"}, "title")
    assert list(every.panels) == [("d_a", FIRST), ("d_a", LAST)]


def test_first_and_last_update_are_not_mixed_up(make_trial):
    trial = make_trial(3)
    end = trial.end.model_copy(update={"d_a": [7.0, 8.0, 9.0]})
    record = norms_record(StudyResult.of(STUDY, [trial.model_copy(update={"end": end})]), {"d_a": "a"}, "title")
    np.testing.assert_array_equal(record.panels["d_a", FIRST][3], trial.start.d_a)
    np.testing.assert_array_equal(record.panels["d_a", LAST][3], [7, 8, 9])


def test_a_median_with_a_value_that_is_not_a_number_is_not_a_number(make_trial, diverged_at_once):
    record = norms_record(StudyResult.of(STUDY, [make_trial(3), diverged_at_once(3, 1)]), {"d_a": "a"}, "title")
    assert np.isnan(record.panels["d_a", REST][3]).all()
    np.testing.assert_array_equal(record.panels["d_a", FIRST][3], make_trial(3).start.d_a)


def test_the_map_is_of_the_first_repetition(result):
    record = map_record(result)
    assert record.outcomes == {3: "solved", 5: "unsolved"}
    np.testing.assert_allclose(record.maps[5], np.tile(10.0 ** np.arange(-4, 1), (4, 1)))
    assert record.every == 1


def test_the_map_knows_how_often_it_was_looked_at(make_trial):
    record = map_record(StudyResult.of(STUDY, [make_trial(3, flow_every=7)]))
    assert record.every == 7


def test_the_map_knows_where_the_answer_lies(result):
    relevant = map_record(result).relevant
    assert {length: steps.tolist() for length, steps in relevant.items()} == {3: [1, 0, 0], 5: [1, 0, 0, 0, 0]}


def test_where_an_answer_lies_is_a_share_of_sequences():
    """Each of adding's two marks is on each of T steps equally often."""
    shares = relevance(get_task("adding/any"), 10)
    assert shares.sum() == pytest.approx(2)
    np.testing.assert_allclose(shares, 2 / 10, atol=4 * np.sqrt(0.2 * 0.8 / SEQUENCES))
    np.testing.assert_array_equal(shares, relevance(get_task("adding/any"), 10))
    copied = relevance(get_task("copying/urnn", items=2), 3)
    assert copied.tolist() == [1, 1, 0, 0, 0, 0, 0]


def test_of_another_task_every_record_has_the_risks_and_steps_of_its_lengths(make_trial):
    """Copying: its risk depends on T, its sequences are longer than T, and its loss is a cross-entropy."""
    study = Study(task="copying/urnn", task_parameters={"items": 2, "symbols": 4}, lengths=(3, 5), repetitions=1)
    norms = {length: [[1.0] * (length + 4)] * 4 for length in study.lengths}
    result = StudyResult.of(study, [make_trial(length, flow_map=norms[length]) for length in study.lengths])
    losses, accuracies, flow = loss_record(result), accuracy_record(result), map_record(result)
    assert losses.trivial_risks == pytest.approx({3: 2 * np.log(4) / 7, 5: 2 * np.log(4) / 9})
    assert losses.label == "cross-entropy (nats)"
    assert accuracies.chances == {3: 0.25, 5: 0.25}
    assert {length: len(steps) for length, steps in flow.relevant.items()} == {3: 7, 5: 9}
    assert flow.relevant[5].tolist() == [1, 1, *[0] * 7]
    norms_by_lag = norms_record(result, {"d_a": "a"}, "The gradient")
    for record in (losses, accuracies, flow, norms_by_lag):
        assert "copying/urnn: " in record.title
        assert study.describe() in record.title
        assert (
            "(correct: the right class, in the last 2 steps), trivial risk 0.308 to 0.396 (cross-e" in record.title
        )
    assert "Read 2 symbols of 4 kinds" in accuracies.title.replace("\n", " ")


def test_a_chance_that_depends_on_the_length_is_that_of_each(make_trial):
    study = Study(task="adding/hs97", lengths=(20, 40), repetitions=1)
    result = StudyResult.of(study, [make_trial(length) for length in study.lengths])
    task = get_task("adding/hs97")
    chances = {length: task.chance_accuracy(length) for length in (20, 40)}
    assert accuracy_record(result).chances == chances
    assert len({*chances.values()}) == 2
    assert loss_record(result).trivial_risks == {length: task.trivial_risk(length) for length in (20, 40)}


def rows_of(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


@pytest.mark.slow
def test_every_figure_is_a_png_an_svg_and_its_numbers(tmp_path, result):
    written = save_figures(result, tmp_path / "folder")
    folder = tmp_path / "folder"
    assert written == [folder / f"{name}.png" for name in NAMES]
    for name in NAMES:
        assert (folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert "</svg>" in (folder / f"{name}.svg").read_text()
    records = [
        span_record(result),
        accuracy_record(result),
        loss_record(result),
        norms_record(result, {"d_a": "a"}, ""),
        norms_record(result, {"d_R": "R", "d_W": "W"}, ""),
        map_record(result),
    ]
    for name, record in zip(NAMES, records, strict=True):
        heading, *rows = rows_of(folder / f"{name}.csv")
        assert heading == list(record.columns)
        assert rows == [[str(value) for value in row] for row in record.rows()]
        assert rows


@pytest.fixture
def drawn(monkeypatch):
    """Lay out the figure with all checks of matplotlib, but write no files, which takes most of the time."""
    monkeypatch.setattr(pictures, "save", lambda draw, record, *rest: draw(record).draw_without_rendering())


def one_length(make_trial, diverged_at_once):
    return [make_trial(3, k) for k in range(3)]


def one_repetition_unsolved(make_trial, diverged_at_once):
    return [make_trial(5, 0, "unsolved")]


def one_time_step(make_trial, diverged_at_once):
    return [make_trial(1), make_trial(2)]


def diverged_later(make_trial, diverged_at_once):
    rows = [[1.0, 2.0, 3.0], [np.inf, np.nan, 1.0], [0.0, 0.0, 0.0]]
    return [make_trial(3, 0, "diverged", flow_map=rows, loss=np.inf, curve=[0.3, 1e30, np.inf], updates=3)]


@pytest.mark.parametrize("case", [one_length, one_repetition_unsolved, one_time_step, diverged_later])
def test_small_and_odd_studies_are_drawn_whole(drawn, tmp_path, make_trial, diverged_at_once, case):
    study = STUDY.with_(lengths=(1, 2, 3, 5))
    written = save_figures(StudyResult.of(study, case(make_trial, diverged_at_once)), tmp_path)
    assert [path.stem for path in written] == NAMES


def test_what_diverged_at_once_has_no_curve_and_no_map(drawn, tmp_path, diverged_at_once):
    trials = [diverged_at_once(length, k) for length in (3, 5) for k in range(2)]
    written = save_figures(StudyResult.of(STUDY, trials), tmp_path)
    assert [path.stem for path in written] == ["span", "accuracy", "gradient-by-lag", "gradient-of-weights-by-lag"]


def test_without_the_first_repetition_there_is_no_map(drawn, tmp_path, make_trial):
    written = save_figures(StudyResult.of(STUDY, [make_trial(3, 1)]), tmp_path)
    assert [path.stem for path in written] == NAMES[:-1]


def test_when_every_trial_failed_there_is_nothing_to_draw(tmp_path, make_trial):
    assert save_figures(StudyResult.of(STUDY, [make_trial(3, k, "failed") for k in range(3)]), tmp_path) == []
    assert save_figures(StudyResult.of(STUDY, []), tmp_path) == []
    assert list(tmp_path.iterdir()) == []


# --- several configurations -----------------------------------------------------------------------------

SEVERAL = Study(cell=["rnn", "gru"], lengths=(3, 5), repetitions=2)


def test_shares_are_those_of_each_configuration_and_of_lengths_with_trials(make_trial):
    trials = [
        *(make_trial(3, k, configuration=0) for k in range(2)),
        make_trial(5, 0, "unsolved", configuration=0),
        make_trial(3, 0, "failed", configuration=1),
        *(make_trial(5, k, "unsolved" if k else "solved", configuration=1) for k in range(2)),
    ]
    record = shares_record(StudyResult.of(SEVERAL, trials))
    assert record.title.splitlines()[0] == "recall: 2 configurations of cell"
    assert record.title.splitlines()[1:] == facts(StudyResult.of(SEVERAL, trials).parts)
    assert record.shares == {
        "cell rnn": {3: SolvedShare.of(2, 2), 5: SolvedShare.of(0, 1)},
        "cell gru": {5: SolvedShare.of(1, 2)},
    }


def test_several_configurations_have_a_figure_together_and_their_own_each_in_a_folder(drawn, tmp_path, make_trial):
    trials = [make_trial(length, k, configuration=c) for c, length, k in SEVERAL.keys]
    written = save_figures(StudyResult.of(SEVERAL, trials), tmp_path)
    own = [tmp_path / f"cell-{cell}" / f"{name}.png" for cell in ("rnn", "gru") for name in NAMES]
    assert written == [tmp_path / "solved.png", tmp_path / "gradient-by-lag.png", *own]
    assert save_figures(StudyResult.of(SEVERAL, []), tmp_path) == []


def test_of_a_summary_there_are_accuracies_and_shares(drawn, tmp_path, make_trial):
    one = StudySummary.of(STUDY, [make_trial(length, k) for _, length, k in STUDY.keys])
    assert save_figures(one, tmp_path) == [tmp_path / "span.png", tmp_path / "accuracy.png"]
    several = StudySummary.of(SEVERAL, [make_trial(n, k, configuration=c) for c, n, k in SEVERAL.keys])
    own = [tmp_path / f"cell-{cell}" / f"{name}.png" for cell in ("rnn", "gru") for name in NAMES[:2]]
    assert save_figures(several, tmp_path) == [tmp_path / "solved.png", *own]


def test_figures_of_trials_are_of_few(monkeypatch):
    assert pictures.draws_trials(SEVERAL)
    assert not pictures.draws_trials(SEVERAL.with_(hidden=range(1, MOST_CONFIGURATIONS + 1)))
    monkeypatch.setattr(pictures, "MOST_WITH_CURVES", SEVERAL.size - 1)
    assert not pictures.draws_trials(SEVERAL)


def test_of_many_configurations_only_the_figure_of_all_is_drawn(drawn, tmp_path, make_trial):
    study = SEVERAL.with_(cell="rnn", hidden=range(1, MOST_CONFIGURATIONS + 2))
    trials = [make_trial(3, configuration=c) for c in range(MOST_CONFIGURATIONS + 1)]
    assert save_figures(StudyResult.of(study, trials), tmp_path) == [tmp_path / "solved.png"]


def test_titles_and_folders_name_what_varies(monkeypatch, tmp_path, make_trial):
    """A field that every heading has, one that none has, and a task with a slash in its name."""
    titles = {}

    def keep(draw, record, folder, name):
        figure = draw(record)
        titles[folder.relative_to(tmp_path).as_posix(), name] = figure._suptitle or figure.axes[0].title

    monkeypatch.setattr(pictures, "save", keep)
    study = Study(task="recall,recall/kth", gain=(1, 4), updates=(7, 1500), lengths=(3,), repetitions=1)
    save_figures(StudyResult.of(study, [make_trial(3, 0, configuration=c) for c in range(8)]), tmp_path)
    folders = {folder for folder, _ in titles} - {"."}
    assert folders == {
        f"task-{t}-gain-{g}-updates-{u}" for t in ("recall", "recall-kth") for g in (1, 4) for u in (7, 1500)
    }
    for (folder, _), title in titles.items():
        if folder == "task-recall-kth-gain-4-updates-1500":
            assert title.get_text().splitlines()[0] == "task recall/kth, gain 4, updates 1500"
    assert (".", "gradient-by-lag") in titles


@pytest.mark.parametrize(("result", "folder"), [(3, "x"), (Study(), "x"), (None, None), ("result", 3)])
def test_figures_are_of_a_result_and_in_a_folder(result, folder):
    found = StudyResult.of(Study(lengths=3), []) if result == "result" else result
    for draw in (save_figures, save_span):
        with pytest.raises(
            InvalidArgument, match=r"^(result must be a StudyResult|folder must be a path).*, got "
        ):
            draw(found, folder)


def test_a_span_is_that_of_one_configuration(tmp_path):
    with pytest.raises(InvalidArgument, match=r"^study must be one of a single configuration"):
        save_span(StudyResult.of(SEVERAL, []), tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_the_title_of_every_figure_states_the_facts(make_trial):
    """What is solved, the numbers of repetitions, chance and trivial risk."""
    trials = [make_trial(length, k) for _, length, k in STUDY.keys]
    result = StudyResult.of(STUDY.with_(test_lengths=3), trials)
    records = [record for _, record, _ in pictures.figures_of(result)]
    assert len(records) == len(NAMES) + 1
    for record in records:
        assert "recall: After T random numbers in [-1, 1], answer with the first." in record.title
        assert record.title.splitlines()[-2:] == facts([result])
    together = [record for _, record, _ in pictures._figures_of_all(StudyResult.of(SEVERAL, []))]
    assert len(together) == 2
    for record in together:
        assert "Solved: accuracy of at least 0.9 on 10,000 sequences drawn after training" in record.title
