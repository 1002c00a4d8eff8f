import csv
import json
import math

import pytest

from memspan import Conflict, InvalidArgument, Search, Store, Study
from memspan.store.export import export
from memspan.study.trial import VERSION

STUDY = Study(
    cell=("rnn", "lstm"),
    task_parameters={"tolerance": (0.1, 0.2)},
    lengths=(3, 5),
    repetitions=2,
    test_lengths=(7, 40),
    name="=cmd()",
)
TESTS = [{"length": 7, "accuracy": 0.75, "loss": math.inf}, {"length": 40, "accuracy": 0.5, "loss": 0.25}]


@pytest.fixture
def entry(tmp_path, make_trial, diverged_at_once):
    with Store(tmp_path / "store.sqlite", create=True) as store:
        found = store.enter(STUDY)
        odd = diverged_at_once(5, 1).model_copy(update={"configuration": 3, "accuracy": math.nan})
        solved = make_trial(3, 0, accuracies=[0.9, 1.0], losses=[0.25, math.inf], loss=math.inf, tests=TESTS)
        found.keep([solved, make_trial(3, 1, "failed"), odd])
        yield found


def read(entry, tmp_path, form, **options):
    path = tmp_path / f"trials.{form}"
    assert export(entry, path, **options) == 3
    return path


def test_csv_has_a_row_for_each_trial(entry, tmp_path):
    with read(entry, tmp_path, "csv").open(newline="") as file:
        first, second, third = csv.DictReader(file)
    assert (first["study"], first["configuration"], first["cell"], first["task_parameters_tolerance"]) == (
        "'=cmd()",
        "1",
        "rnn",
        "0.1",
    )
    assert (first["length"], first["repetition"], first["outcome"], first["accuracy"]) == (
        "3",
        "0",
        "solved",
        "0.95",
    )
    assert (first["loss"], first["accuracies"], first["losses"]) == ("", "[0.9, 1.0]", "[0.25, null]")
    assert (second["outcome"], second["reason"], second["accuracy"]) == ("failed", "MemoryError: no room", "")
    assert (third["configuration"], third["cell"], third["task_parameters_tolerance"]) == ("4", "lstm", "0.2")
    assert [row["version"] for row in (first, second, third)] == [str(VERSION)] * 3
    at_others = ("accuracy_at_7", "loss_at_7", "accuracy_at_40", "loss_at_40")
    assert [name for name in first if "_at_" in name] == [*at_others]
    assert [first[name] for name in at_others] == ["0.75", "", "0.5", "0.25"]
    assert [second[name] for name in at_others] == [third[name] for name in at_others] == [""] * 4


def test_json_has_the_specification_too(entry, tmp_path):
    found = json.loads(read(entry, tmp_path, "json", curves=True).read_text())
    assert (found["study"], found["kind"]) == ("=cmd()", "study")
    assert Study(**found["specification"], name="=cmd()") == STUDY
    first, _, third = found["trials"]
    assert (first["loss"], first["losses"], first["curve"]) == (None, [0.25, None], [0.3, 0.2, 0.1, 0.05])
    assert len(first["start_d_a"]) == 3
    assert third["end_d_a"] == [None] * 5
    assert (first["accuracy_at_7"], first["loss_at_7"], first["version"]) == (0.75, None, VERSION)
    assert third["accuracy_at_40"] is None


def test_of_a_search_its_own_specification_is_written(tmp_path, make_trial):
    search = Search(hidden=4, width=0.3, name="found")
    group = search.new_search().ask()[0]
    with Store(tmp_path / "store.sqlite", create=True) as store:
        entry = store.enter(search)
        entry.keep([make_trial(group.length, group.first)])
        assert export(store.find("found"), tmp_path / "out.json") == 1
    found = json.loads((tmp_path / "out.json").read_text())
    assert (found["study"], found["kind"]) == ("found", "search")
    assert Search(**found["specification"], name="found") == search
    assert [(row["length"], row["repetition"]) for row in found["trials"]] == [(group.length, group.first)]


def test_parquet_has_columns_of_numbers(entry, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    for curves in (False, True):
        table = parquet.read_table(read(entry, tmp_path / ("b" if curves else "."), "parquet", curves=curves))
        kinds = {field.name: str(field.type) for field in table.schema}
        assert (kinds["accuracy"], kinds["length"], kinds["cell"], kinds["start"]) == (
            *("double", "int64", "string"),
            "string",
        )
        assert str(kinds["losses"]).startswith("list<")
        rows = table.to_pylist()
        assert [row["outcome"] for row in rows] == ["solved", "failed", "diverged"]
        assert (rows[0]["losses"], rows[1]["accuracy"], rows[0]["loss"]) == ([0.25, None], None, None)
        assert (kinds["loss_at_7"], kinds["accuracy_at_40"], kinds["version"]) == ("double", "double", "int64")
        assert (rows[0]["loss_at_7"], rows[0]["loss_at_40"], rows[2]["loss_at_40"]) == (None, 0.25, None)
        assert ("curve" in kinds) == curves
        (tmp_path / "b").mkdir(exist_ok=True)


def test_a_study_without_trials_is_an_empty_table(tmp_path):
    with Store(tmp_path / "empty.sqlite", create=True) as store:
        entry = store.enter(Study(name="a"))
        for form in ("csv", "json", "parquet"):
            assert export(entry, tmp_path / f"empty.{form}") == 0
    assert json.loads((tmp_path / "empty.json").read_text())["trials"] == []


def test_nothing_is_written_over_and_nothing_is_left_behind(entry, tmp_path, monkeypatch):
    path = read(entry, tmp_path, "csv")
    before = path.read_bytes()
    with pytest.raises(Conflict, match=r"trials\.csv exists\. Choose another --output, or pass --force"):
        export(entry, path)
    assert path.read_bytes() == before

    def broken(*arguments, **options):
        raise OSError("no room")
        yield

    monkeypatch.setattr("memspan.store.export.rows", broken)
    with pytest.raises(OSError, match="no room"):
        export(entry, tmp_path / "other.csv")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["store.sqlite", "trials.csv"]


@pytest.mark.parametrize("sign", ["=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20", "\ufe66", "\ufe62"])
@pytest.mark.parametrize(
    "before", ["", " ", "\n", "\t", "\r\n", "\u3000 ", "\u00a0", "\ufeff", "\u200b\u0001", "\u2028"]
)
def test_what_a_spreadsheet_may_compute_is_marked(tmp_path, make_trial, before, sign):
    reason = f"{before}{sign}cmd|' /C calc'!A1"
    assert cell_of(tmp_path, make_trial, reason) == f"'{reason}"


@pytest.mark.parametrize("reason", ["MemoryError: -1", " no room", "a=b", "5", "\u2014 no"])
def test_other_texts_are_as_they_were(tmp_path, make_trial, reason):
    assert cell_of(tmp_path, make_trial, reason) == reason


def cell_of(tmp_path, make_trial, reason):
    with Store(tmp_path / "cells.sqlite", create=True) as store:
        entry = store.enter(Study(lengths=3, repetitions=1, name="a"))
        entry.keep([make_trial(3, 0, "failed", reason=reason)])
        export(entry, tmp_path / "cells.csv")
    with (tmp_path / "cells.csv").open(newline="", encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    return row["reason"]


@pytest.mark.parametrize(
    ("path", "options", "message"),
    [
        ("trials", {}, "output must be a file that ends with .csv, .json or .parquet"),
        ("trials.xlsx", {}, "output must be a file that ends with .csv, .json or .parquet, got "),
        ("trials.csv", {"form": "jsn"}, "did you mean 'json'"),
        ("trials.csv", {"curves": True}, "curves must be left out for CSV"),
        ("no/where.csv", {}, "output must be in an existing folder"),
    ],
)
def test_bad_input_is_refused(entry, tmp_path, path, options, message):
    with pytest.raises(InvalidArgument, match=message):
        export(entry, tmp_path / path, **options)
