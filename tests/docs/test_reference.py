"""The reference has every cell, task, command, option and public name, and says what the code says."""

import json
import math
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from reference import cells, commands, files, names, tasks, write_pages
from safetensors import safe_open

import memspan
from memspan import CELLS, TASKS, Network, Store, Study, run_study
from memspan.cli.app import new_app
from memspan.cli.mistakes import leaves_of
from memspan.store.export import export
from memspan.testing import check_task

ROOT = Path(__file__).parents[2]
LEAVES = dict(leaves_of(new_app(), []))
COMMANDS, NAMES, CELL_PAGES, TASK_PAGES = (part.pages() for part in (commands, names, cells, tasks))
FILES = files.pages()


def rows_of(page):
    lines = [line.strip("| ").split(" | ") for line in page.splitlines() if line.startswith("| [")]
    return {re.match(r"\[`(.+)`\]", row[0])[1]: row for row in lines}


@pytest.mark.parametrize("name", CELLS)
def test_a_cell_has_its_equations_derivative_shapes_source_and_picture(name):
    page = CELL_PAGES[f"cells/{name}.md"]
    assert CELLS[name].equations in page
    assert f"**Source:** {CELLS[name].source}." in page
    assert page.index("## Derivative") < page.index("dL/d") < page.index("## Weights")
    assert f"]({name}.png)" in page
    shapes = dict(re.findall(r"^\| `(\w+)` \| `\[(.*?)\]`", page, re.MULTILINE))
    sizes = {"F": 1, "H": 32, "O": 1}
    found = {
        matrix: tuple(eval(re.sub(r"(\d)H", r"\1*H", size), sizes.copy()) for size in shape.split(", "))
        for matrix, shape in shapes.items()
    }
    assert found == {matrix: array.shape for matrix, array in Network(name, 1, 32, 1, rng=0).get_weights().items()}


def test_the_table_of_cells_counts_the_weights_and_names_the_source():
    rows = rows_of(CELL_PAGES["cells/_table.md"])
    assert [*rows] == [*CELLS]
    for name, row in rows.items():
        assert int(row[3]) == sum(array.size for array in Network(name, 1, 32, 1, rng=0).get_weights().values())
        assert row[6] == CELLS[name].source


def test_the_program_of_a_cell_runs():
    for name in CELLS:
        (program,) = re.findall(r"```python\n(.*?)```", CELL_PAGES[f"cells/{name}.md"], re.DOTALL)
        made = {}
        exec(program, made)
        assert made["network"].cell is CELLS[name]


def test_the_spans_of_a_cell_are_those_of_the_atlas_and_the_verdicts_are_about_them():
    atlas = json.loads((ROOT / "docs/reproductions/atlas.json").read_text("utf-8"))["measured"]
    spans = {(row["task"], row["cell"]): row for row in atlas}
    for row in spans.values():
        assert f"| {row['task']} | {row['hidden']} | {row['short']} |" in CELL_PAGES[f"cells/{row['cell']}.md"]
    verdicts = json.loads((ROOT / "benchmarks/results/atlas_verdicts.json").read_text("utf-8"))
    ending = {key for key, row in spans.items() if row["span"] or row["low"] is None}
    assert {(row["task"], row["cell"]) for row in verdicts} == ending
    for row in verdicts:
        about = spans[row["task"], row["cell"]]
        assert row["length"] == math.ceil(1.5 * about["span"] if about["span"] else about["shortest"])
        assert row["configuration"]["hidden"] == about["hidden"]
        says = "still solved" if row["verdict"] == "solved" else f"**{row['verdict']}**"
        assert f"{says} at T = {row['length']}" in CELL_PAGES[f"cells/{row['cell']}.md"]


def test_the_picture_of_a_cell_has_a_panel_for_every_gate_and_state(monkeypatch):
    monkeypatch.setattr("reference.cell_picture.UPDATES", 2)
    drawn = cells.pictures()["cells/lstm-peephole.png"]()
    assert isinstance(drawn, Figure)
    labels = [ax.get_ylabel() for ax in drawn.axes if ax.get_ylabel()]
    assert labels == ["x", "gate i", "gate f", "gate g", "gate o", "state a", "state c", "‖dL/da‖"]
    assert {f"cells/{name}.png" for name in CELLS} == {*cells.pictures()}


@pytest.mark.parametrize("name", TASKS)
def test_a_task_has_its_question_risk_source_and_picture(name):
    task, row = TASKS[name], rows_of(TASK_PAGES["tasks/_table.md"])[name]
    assert float(row[4]) == pytest.approx(task.trivial_risk(100), abs=5e-5)
    assert row[7] == task.source
    page = TASK_PAGES[f"tasks/{task.family}.md"]
    section = page.partition(f"### `{name}`")[2].partition("\n##")[0]
    assert task.sentence in section
    assert task.source in section
    assert "tasks/" + re.search(r"!\[.*\]\((.*)\)", section)[1] in tasks.pictures()


def test_the_picture_of_a_task_is_a_figure():
    assert isinstance(tasks.pictures()["tasks/parity.png"](), Figure)


def test_the_example_of_own_sequences_runs(capsys):
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs/reference/tasks.md").read_text("utf-8"), re.DOTALL)
    made = {}
    exec(code, made)
    found = "<ArrayTask gestures, held-out: 300 sequences of 20 steps x 2, 3 classes, 60 held out>"
    assert capsys.readouterr().out == found + "\n"
    check_task(made["gestures"], contracts=["words", "held out"])


@pytest.mark.parametrize("path", LEAVES)
def test_a_command_has_its_options_and_an_example(path):
    page = COMMANDS[f"cli/{path.replace(' ', '-')}.md"]
    assert page.startswith(f"# `memspan {path}`\n")
    assert f"\n    memspan {path}" in page
    terms = {name for line in re.findall(r"^`(.*)`$\n: ", page, re.MULTILINE) for name in re.split(r",? ", line)}
    options = {argument.name for argument in LEAVES[path].assemble_argument_collection() if not argument.children}
    assert terms >= {name for name in options if name != "*" and "." not in name}


def test_the_groups_have_pages_and_the_index_has_all_commands():
    index = COMMANDS["cli/index.md"]
    for page in COMMANDS.keys() - {"cli/index.md"}:
        assert f"]({page.removeprefix('cli/')})" in index
    assert {"cli/study.md", "cli/store.md", "cli/new.md"} <= COMMANDS.keys()


def test_every_public_name_is_documented_once():
    found = re.findall(r":: memspan\.(\w+)\n", "\n".join(NAMES.values()))
    assert sorted(found) == sorted({*memspan.__all__} - {"__version__"})


@pytest.mark.parametrize("part", names.MORE)
def test_every_name_of_the_other_packages_is_documented(part):
    found = re.findall(rf":: memspan\.{part}\.(\w+)\n", NAMES[f"python/{part}.md"])
    assert sorted(found) == sorted(names.own(part))
    if part == "testing":
        assert sorted(found) == sorted(memspan.testing.__all__)


def test_pages_whose_subject_is_gone_are_deleted(tmp_path, monkeypatch):
    monkeypatch.setattr("reference.REFERENCE", tmp_path)
    write_pages({"cells/old.md": "", "cells/kept.md": ""})
    kept = tmp_path / "cells/kept.md"
    written = kept.stat().st_mtime_ns
    write_pages({"cells/kept.md": ""})
    assert [*tmp_path.rglob("*.md")] == [kept]
    assert kept.stat().st_mtime_ns == written


def test_the_page_of_files_has_the_columns_of_a_store_and_of_an_export(tmp_path):
    with Store(tmp_path / "store.sqlite", create=True):
        pass
    with closing(sqlite3.connect(tmp_path / "store.sqlite")) as connection:
        listed = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        told = {name: connection.execute(f"PRAGMA table_info({name})").fetchall() for (name,) in listed}
        (version,) = connection.execute("PRAGMA user_version").fetchone()
    told.pop("sqlite_sequence")  # SQLite's own
    rows = dict(re.findall(r"^\| `(\w+)`.*? \| (.*) \|$", FILES["files/_store.md"], re.MULTILINE))
    columns = {name: re.findall(r"`(\w+)`", row) for name, row in rows.items()}
    assert columns == {name: [row[1] for row in of_it] for name, of_it in told.items()}
    assert f"The schema has version {version}." in FILES["files/_store.md"]


def test_the_page_of_files_has_the_header_of_a_network_and_the_columns_of_an_export(tmp_path):
    Network("rnn", 1, 2, 1, rng=0).save(tmp_path / "rnn.safetensors")
    with safe_open(tmp_path / "rnn.safetensors", framework="numpy") as file:
        header = json.loads(file.metadata()["memspan"])
    assert f"`{header['format']}`" in FILES["files/_network.md"]
    assert re.findall(r"`(\w+)`", FILES["files/_network.md"]) == [*header]
    study = Study(lengths=[2], repetitions=1, hidden=1, updates=1, name="mine", test_lengths=[40])
    run_study(study, tmp_path / "store.sqlite", progress=False)
    with Store(tmp_path / "store.sqlite") as store:
        export(store.find("mine"), tmp_path / "mine.csv")
        export(store.find("mine"), tmp_path / "mine.json", curves=True)
    (trial,) = json.loads((tmp_path / "mine.json").read_text("utf-8"))["trials"]
    columns = {*(tmp_path / "mine.csv").read_text("utf-8").partition("\n")[0].strip().split(","), *trial}
    assert {*re.findall(r"`(\w+)`", FILES["files/_export.md"])} == columns
