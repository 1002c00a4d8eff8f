import json
import math

import numpy as np
import pytest

import memspan
from memspan import InvalidArgument, Study, StudyResult, UnreadableFile, run_study
from memspan.study.records import new_folder, read_folder
from memspan.study.trial import Trial

STUDY = Study(lengths=(2, 3), repetitions=2, hidden=4, batch=4, updates=5)


def strict(line):
    """Parse as JSON is defined: without NaN and Infinity."""

    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(line, parse_constant=refuse)


@pytest.fixture
def folder(tmp_path, make_trial):
    """Four trials made by hand."""
    with new_folder(tmp_path / "study", STUDY) as keep:
        for length, repetition in STUDY.keys:
            keep(make_trial(length, repetition))
    return tmp_path / "study"


def test_every_line_is_json_with_seed_versions_and_commit(tmp_path):
    result = run_study(STUDY.with_(seed=5), tmp_path / "study", progress=False)
    lines = (tmp_path / "study" / "trials.jsonl").read_text().splitlines()
    for line, (length, repetition) in zip(lines, STUDY.keys, strict=True):
        record = strict(line)
        assert (record["length"], record["repetition"], record["seed"]) == (length, repetition, 5)
        assert record["provenance"]["memspan"] == memspan.__version__
        assert record["provenance"]["numpy"] == np.__version__
        assert record["provenance"]["commit"] == result.trials[0].provenance.commit
    assert strict((tmp_path / "study" / "study.json").read_text())["seed"] == 5


def test_what_is_read_is_what_was_run(tmp_path):
    result = run_study(STUDY, tmp_path / "study", progress=False)
    assert StudyResult.load(tmp_path / "study") == result
    assert StudyResult.load(str(tmp_path / "study")).complete


def test_what_is_not_finite_survives_the_way_to_the_file_and_back(tmp_path, make_trial, diverged_at_once):
    extreme = make_trial(2, 1, loss=math.inf, curve=[1e-300, 5e-324, -math.inf, math.nan])
    with new_folder(tmp_path, STUDY) as keep:
        for trial in (diverged_at_once(3), extreme):
            keep(trial)
    for line in (tmp_path / "trials.jsonl").read_text().splitlines():
        strict(line)
    _, (diverged, again) = read_folder(tmp_path)
    assert math.isnan(diverged.loss)
    np.testing.assert_array_equal(diverged.end.d_a, [math.nan] * 3)
    np.testing.assert_array_equal(diverged.end.d_R, [math.inf] * 3)
    assert again.loss == math.inf
    np.testing.assert_array_equal(again.curve, extreme.curve)


def test_a_trial_is_in_the_file_before_the_next_one_runs(tmp_path, make_trial):
    with new_folder(tmp_path, STUDY) as keep:
        assert read_folder(tmp_path) == (STUDY, [])
        keep(make_trial(3))
        assert read_folder(tmp_path) == (STUDY, [make_trial(3)])


@pytest.mark.parametrize("file", ["study.json", "trials.jsonl"])
def test_a_folder_with_a_study_is_refused_and_left_as_it_was(tmp_path, file):
    (tmp_path / file).write_text("mine")
    with pytest.raises(InvalidArgument, match=r"output must be a folder without a study in it, got '.*'"):
        run_study(STUDY, tmp_path, progress=False)
    assert [path.name for path in tmp_path.iterdir()] == [file]
    assert (tmp_path / file).read_text() == "mine"


def test_a_folder_with_other_things_is_not(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with new_folder(tmp_path, STUDY):
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == ["notes.txt", "study.json", "trials.jsonl"]


def torn(lines):
    return [*lines[:3], lines[3][: len(lines[3]) // 2] + b"\n"]


def unknown_status(lines):
    return [*lines[:3], lines[3].replace(b'"solved"', b'"banana"')]


def not_text(lines):
    return [*lines[:3], b"\xff\xfe\n"]


def another_seed(lines):
    return [*lines[:3], lines[3].replace(b'"seed":0', b'"seed":1')]


def another_length(lines):
    return [*lines[:3], lines[3].replace(b'"length":2', b'"length":7')]


def twice(lines):
    return [*lines[:3], lines[0]]


def empty(lines):
    return [*lines[:3], b"\n"]


def test_a_last_line_without_its_end_is_a_trial_that_is_not_done(folder):
    path, whole = folder / "trials.jsonl", StudyResult.load(folder)
    path.write_bytes(path.read_bytes()[:-200])
    rest = StudyResult.load(folder)
    assert len(rest.trials) == len(whole.trials) - 1
    assert all(trial in whole.trials for trial in rest.trials)
    assert not rest.complete


@pytest.mark.parametrize("damage", [torn, unknown_status, not_text, another_seed, another_length, twice, empty])
def test_a_damaged_line_is_named_in_a_line(folder, damage):
    path = folder / "trials.jsonl"
    damaged = damage(path.read_bytes().splitlines(keepends=True))
    assert b"".join(damaged) != path.read_bytes()
    path.write_bytes(b"".join(damaged))
    with pytest.raises(UnreadableFile) as caught:
        StudyResult.load(folder)
    message = str(caught.value)
    assert message.startswith(f"{path}, line 4 ")
    assert "\n" not in message
    assert len(message) < len(str(path)) + 200, "the line itself can be long, and is not repeated"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "Invalid JSON"),
        ("{", "Invalid JSON"),
        ("[]", "object"),
        ('{"hidden": 0}', "hidden must be greater than 0, got 0"),
        ('{"colour": 3}', "colour must be "),
        ('{"lengths": [2, 2]}', "lengths must be different from each other"),
    ],
)
def test_a_damaged_study_is_named(folder, text, complaint):
    (folder / "study.json").write_text(text)
    with pytest.raises(UnreadableFile) as caught:
        StudyResult.load(folder)
    assert str(caught.value).startswith(f"{folder / 'study.json'} is not a study of this version: ")
    assert complaint in str(caught.value)


def test_a_folder_without_a_study_is_no_study(tmp_path):
    with pytest.raises(UnreadableFile, match=r"is not the folder of a study: there is no study\.json in it"):
        StudyResult.load(tmp_path)


def test_a_trial_takes_no_unknown_field(make_trial):
    record = strict(make_trial(2).model_dump_json()) | {"colour": 3}
    with pytest.raises(ValueError, match="colour"):
        Trial.model_validate(record)
