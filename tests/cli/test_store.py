"""`memspan store`: ls, show, export, rm, doctor."""

import csv
import io
import json
import shutil
from pathlib import Path

import pytest

from memspan import Store, Study

RUN = (
    "study run --hidden 4 --batch 4 --updates 3 --final-batches 1 --evaluation-samples 10 --lengths 2,3 "
    "--repetitions 2 --workers 0 --progress none --no-figures --name mine"
)


@pytest.fixture
def run(memspan_):
    assert memspan_(RUN)[0] == 0
    return memspan_


def test_what_there_is_is_listed_and_shown(run):
    code, out, _ = run("store ls")
    assert code == 0
    assert "mine" in out
    assert "4/4" in out
    code, out, _ = run("store show mine")
    assert code == 0
    for text in (
        "4 of 4: 4 unsolved",
        "the cell's own",
        "learning_rate",
        "keep weights",
        "lengths",
        "0.01",
        "size of the store",
        "numpy",
    ):
        assert text in out


@pytest.mark.parametrize("form", ["csv", "json", "parquet"])
def test_trials_can_be_taken_elsewhere(run, tmp_path, form):
    if form == "parquet":
        pytest.importorskip("pyarrow")
    code, out, _ = run(f"store export mine -o trials.{form}")
    assert (code, out) == (0, f"trials.{form}: 4 trials\n")
    code, _, err = run(f"store export mine -o trials.{form}")
    assert (code, err) == (
        2,
        f"memspan: trials.{form} exists. Choose another --output, or pass --force to replace it.\n",
    )
    (tmp_path / f"trials.{form}").write_text("an old one")
    assert run(f"store export mine -o trials.{form} --force")[0] == 0
    (tmp_path / "folder.json").mkdir()
    assert run("store export mine -o folder.json --force")[0] == 2
    if form == "csv":
        with (tmp_path / "trials.csv").open() as file:
            assert [(row["length"], row["repetition"]) for row in csv.DictReader(file)] == [
                *(("2", "0"), ("2", "1"), ("3", "0"), ("3", "1"))
            ]
    if form == "json":
        assert len(json.loads((tmp_path / "trials.json").read_text())["trials"]) == 4


def test_old_columns_are_named_where_somebody_may_read_them(run, tmp_path):
    """Of a study that memspan 0.1 began, those that it has; of others nothing."""
    assert run("store export mine -o new.csv")[2] == ""
    old = Path(__file__).parents[1] / "store" / "data" / "version-1.sqlite"
    shutil.copy(old, tmp_path / "old.sqlite")
    code, out, err = run("store export diverging -o old.csv --store old.sqlite")
    assert (code, out) == (0, "old.csv: 2 trials\n")
    columns = "start is now init, evaluation_batches is now final_batches"
    assert err == f"memspan: renamed columns: {columns}. memspan 0.3 will write only the new ones.\n"
    with (tmp_path / "old.csv").open() as file:
        assert {"start", "init", "evaluation_batches", "final_batches"} <= set(csv.DictReader(file).fieldnames)


def test_nothing_is_taken_out_unasked(run, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    code, _, err = run("store rm mine")
    assert (code, err) == (2, "memspan: Standard input is not a terminal; pass --yes to delete.\n")
    terminal = io.StringIO("no\n")
    terminal.isatty = lambda: True
    monkeypatch.setattr("sys.stdin", terminal)
    assert run("store rm mine")[0] == 1
    with Store("memspan.sqlite") as store:
        assert len(store.find("mine").done()) == 4
    terminal = io.StringIO("yes\n")
    terminal.isatty = lambda: True
    monkeypatch.setattr("sys.stdin", terminal)
    assert run("store rm mine")[0] == 0
    with Store("memspan.sqlite") as store:
        assert store.overviews() == []


def test_several_studies_are_deleted_at_once_or_none(run):
    assert run(RUN.replace("mine", "other"))[0] == 0
    code, out, err = run("store rm mine nothing other --yes")
    assert (code, out, "'nothing'" in err) == (2, "", True)
    with Store("memspan.sqlite") as store:
        assert store.names() == ["mine", "other"]
    assert run("store rm mine other --yes") == (0, "Deleted mine (4 trials), other (4 trials).\n", "")
    assert run("store rm --yes")[0] == 2


def test_the_doctor_finds_nothing_wrong_with_a_sound_store(run):
    code, out, err = run("store doctor")
    assert (code, err) == (0, "")
    counts = "studies 1, configurations 1, trials 4, curves 4, weights 2, tests 0"
    assert out.splitlines() == [f"memspan.sqlite: readable rows: {counts}", "The store is sound."]


def test_the_doctor_saves_what_can_be_read_and_leaves_the_rest(run, tmp_path):
    path = tmp_path / "memspan.sqlite"
    damaged = bytes(100) + path.read_bytes()[100:]
    path.write_bytes(damaged)
    code, _, err = run("study status")
    assert (code, err) == (3, "memspan: memspan.sqlite is not a memspan store: it is not a SQLite database.\n")
    code, out, err = run("store doctor --rescue saved.sqlite")
    assert code == 3
    assert (
        "memspan.sqlite: readable rows: studies 1, configurations 1, trials 4, curves 4, weights 2, tests 0\n"
        in out
    )
    assert "saved.sqlite: saved rows: studies 1, configurations 1, trials 4, curves 4, weights 2, tests 0\n" in out
    assert err.startswith("memspan: memspan.sqlite is damaged:\n")
    assert path.read_bytes() == damaged
    with Store("saved.sqlite") as store:
        assert store.find("mine").study == Study(
            hidden=4,
            batch=4,
            updates=3,
            final_batches=1,
            evaluation_samples=10,
            lengths=(2, 3),
            repetitions=2,
            name="mine",
        )
    assert "nothing to do" in run(f"{RUN} --store saved.sqlite --dry-run")[1]


@pytest.mark.parametrize(
    ("line", "code", "message"),
    [
        (
            "store ls --store nothing.sqlite",
            2,
            "No store at nothing.sqlite. Run `memspan study run` first, or pass --store.",
        ),
        ("store show your", 2, "No study 'your' in memspan.sqlite. `memspan store ls` lists its studies."),
        (
            "store doctor --store nothing.sqlite",
            2,
            "No store at nothing.sqlite. Run `memspan study run` first, or pass --store.",
        ),
        (
            "store doctor --store postgresql://x@y/z",
            2,
            "`memspan store doctor` checks SQLite files only. Pass a file to --store.",
        ),
        ("store export mine -o x.xls", 2, "-o must be a file that ends with .csv, .json or .parquet, got 'x.xls'"),
        (
            "store ls --store mysql://x",
            2,
            "store must be a path, or a URL such as postgresql://user@host/database",
        ),
        (
            "store ls --store postgresql://127.0.0.1:1/x",
            4,
            "postgresql://127.0.0.1:1/x cannot be used as a store: ",
        ),
    ],
)
def test_bad_input_is_refused(run, line, code, message):
    found, out, err = run(line)
    assert (found, out) == (code, "")
    assert err.startswith("memspan: ")
    assert message in err
    assert "Traceback" not in err
