"""`memspan tasks`, `cells` and `reproduce`, and studies of other tasks, from the command line."""

import csv
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from processes import gone, wait_for

from memspan import CELLS, TASKS
from memspan.reproduce import REPRODUCTIONS, Page, capacity


def row_of(out, name):
    (row,) = [line for line in out.splitlines() if line.startswith(f"│ {name} ")]
    return [cell.strip() for cell in row.strip("│").split("│")]


def test_all_tasks_are_listed_with_their_risks_and_sources(memspan_):
    code, out, err = memspan_("tasks")
    assert (code, err) == (0, "")
    for name, task in TASKS.items():
        row = row_of(out, name)
        _, features, outputs, _ = task.shape(100)
        assert row[:3] == [name, str(features), str(outputs)]
        assert float(row[3]) == pytest.approx(task.trivial_risk(100), abs=5e-5)
        assert float(row[4]) == pytest.approx(task.chance_accuracy(100), abs=6e-4)
        assert row[5].split()[0] == task.source.split()[0]


def test_a_length_may_be_given(memspan_):
    _, out, _ = memspan_("tasks copying --length 1000")
    assert row_of(out, "copying/tcn")[3] == "0.0204"
    assert "at T = 1000" in out
    assert "adding" not in out


def test_a_family_is_a_table_and_a_task_is_told_in_full(memspan_):
    _, out, _ = memspan_("tasks order")
    assert sum(f"order/{variant}" in out for variant in ("hs97-2", "hs97-3", "pascanu-2", "pascanu-3")) == 4
    code, out, _ = memspan_("tasks recall")
    assert code == 0
    for words in ("After T random numbers", "within 0.1", "tolerance=0.1, element=1", "recall/kth", "0.3333"):
        assert words in out
    assert memspan_("tasks delayed_xor")[1] == memspan_("tasks delayed-xor")[1]


def test_a_plot_is_a_picture_and_its_numbers(memspan_, tmp_path):
    code, out, _ = memspan_("tasks adding/hs97 --plot --samples 2 --length 30 -o new")
    assert code == 0
    assert out.endswith("new/adding-hs97.png\n")
    folder = tmp_path / "new"
    assert sorted(path.suffix for path in folder.iterdir()) == [".csv", ".png", ".svg"]
    with (folder / "adding-hs97.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["sequence"] for row in rows} == {"1", "2"}
    assert (
        sum(
            row["relevant"] == "True" and row["number"] == "2" for row in rows if row["input or output"] == "input"
        )
        == 4
    )


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("tasks chess", "memspan: task must be one of recall, recall/kth, "),
        (
            "tasks adding/mine",
            "memspan: task must be one of adding/any, adding/halves, adding/hs97, got 'adding/mine'",
        ),
        ("tasks --plot", "memspan: Which task? Give a name with --plot"),
        ("tasks recall --length 0", "memspan: --length must be a whole number of at least 1, got 0"),
        ("tasks adding/hs97 --plot --length 5", "memspan: --length must be at least 20 for adding/hs97, got 5"),
        ("tasks recall --plot --samples 0", "memspan: --samples must be a whole number of at least 1, got 0"),
        ("cells --hidden 0", "memspan: --hidden must be a whole number of at least 1, got 0"),
        ("reproduce chess", "assignment"),
        ("reproduce memory-capacity --seed -1", "memspan: --seed must be a whole number of at least 0, got -1"),
        (
            "reproduce memory-capacity --workers 0",
            "memspan: --workers must be a whole number of at least 1, got 0",
        ),
        ("study run --task adding", "adding/any"),
        (
            "study run --task adding/hs97 --lengths 5,30",
            "memspan: --lengths must be at least 20 for adding/hs97, got 5",
        ),
        ("study run --task parity --task-parameters.items 3", "memspan: a parameter of parity must be left out"),
        (
            "study run --task-parameters.tolerance 2",
            "memspan: --task-parameters.tolerance must be a finite number above 0 and below 1, got 2",
        ),
        (
            "gradcheck --task order/hs97-2 --length 4",
            "memspan: --length must be at least 20 for order/hs97-2, got 4",
        ),
    ],
)
def test_bad_input_is_named_and_nothing_is_written(memspan_, tmp_path, line, complaint):
    code, out, err = memspan_(line)
    assert (code, out) == (2, "")
    assert complaint in err
    assert err.startswith("memspan: ")
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_all_cells_are_listed(memspan_):
    code, out, err = memspan_("cells --hidden 10")
    assert (code, err) == (0, "")
    for name, cell in CELLS.items():
        row = row_of(out, name)
        assert row[1] == ", ".join(cell.gates)
        assert row[5] == cell.source
    assert row_of(out, "rnn")[3] == "131"  # 10 + 100 + 10, and 10 + 1 to read it out


def test_reproductions_are_listed(memspan_):
    code, out, _ = memspan_("reproduce")
    assert code == 0
    assert all(name in out for name in REPRODUCTIONS)


def test_a_reproduction_prints_its_page_and_keeps_it(memspan_, monkeypatch, tmp_path):
    monkeypatch.setattr(capacity, "SEQUENCES", 2000)
    monkeypatch.setattr(capacity, "networks", lambda seed: [capacity.LinearNetwork("a delay", 3, *delays(3), 9)])
    code, out, _ = memspan_("reproduce memory-capacity -o page --progress none --workers 1")
    assert code == 0
    assert "Compared with theory: all 2 findings agree." in out
    assert "2.00 (rank 3 minus the capacity of lag 0)" in (tmp_path / "page" / "memory-capacity.md").read_text(
        "utf-8"
    )
    with (tmp_path / "page" / "memory-capacity.csv").open(encoding="utf-8") as file:
        assert [row["verdict"] for row in csv.DictReader(file)] == ["agrees", "agrees"]
    page = Page.read(capacity.REPRODUCTION, (tmp_path / "page" / "memory-capacity.json").read_text("utf-8"))
    assert page.markdown() == (tmp_path / "page" / "memory-capacity.md").read_text("utf-8")
    code, _, err = memspan_("reproduce memory-capacity -o page --progress none --workers 1")
    assert code == 2
    assert "already contains memory-capacity.md" in err


def test_a_reproduction_that_differs_ends_with_1(memspan_, monkeypatch):
    monkeypatch.setattr(capacity, "SEQUENCES", 2000)
    monkeypatch.setattr(capacity, "networks", lambda seed: [capacity.LinearNetwork("a delay", 2, *delays(3), 9)])
    code, out, _ = memspan_("reproduce memory-capacity --progress none --workers 1")
    assert code == 1
    assert "Compared with theory: 0 of 1 findings agree, 1 differs." in out


def delays(count):

    return np.eye(count, k=1), np.eye(1, count)


OF_EACH_KIND = {
    (type(task.make_loss()), task.make_loss().masked, task.shape(task.least_length + 1).output_steps is None): name
    for name, task in reversed(TASKS.items())
}
"""A task for each loss, masked or not, and each way to read the answer out; all others differ in their numbers."""


@pytest.mark.slow
@pytest.mark.parametrize("task", OF_EACH_KIND.values())
def test_a_study_of_any_kind_of_task_ends_with_its_table(memspan_, tmp_path, task):
    """And one of them with its figures, which do not depend on the kind."""
    least = TASKS[task].least_length
    size = f"--lengths {least + 1},{least + 4} --repetitions 2 --hidden 4 --batch 4 --updates 3"
    drawn = task.startswith("order")
    figures = "-o out" if drawn else "--no-figures"
    code, out, err = memspan_(f"study run --task {task} --cell rnn {size} --workers 0 --progress none {figures}")
    assert (code, err) == (0, "")
    assert TASKS[task].make_loss().label.split()[0] in out
    assert len(list((tmp_path / "out").glob("*.png"))) == (6 if drawn else 0)
    table = "".join(line for line in out.splitlines(keepends=True) if not line.startswith("out/"))
    assert memspan_("study show") == (0, table, "")


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_ctrl_c_ends_a_reproduction_at_once_and_leaves_nobody_behind(tmp_path, workers):
    command = [sys.executable, "-m", "memspan", "reproduce", "order-1997", "-o", "page", "--workers", str(workers)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=tmp_path, start_new_session=True, **pipes) as process:
        try:
            wait_for((tmp_path / "page").exists)  # the work begins when the folder is made
            time.sleep(1)  # into the middle of it
            os.killpg(process.pid, signal.SIGINT)
            out, err = process.communicate(timeout=120)
            assert (process.returncode, out) == (130, "")
            assert err.splitlines()[-1] == "memspan: interrupted"
            assert "Traceback" not in err
            wait_for(lambda: gone(process.pid))
        finally:
            if not gone(process.pid):
                os.killpg(process.pid, signal.SIGKILL)
    assert not (tmp_path / "page").exists()


@pytest.mark.parametrize("name", CELLS)
def test_one_cell_is_shown_with_its_equations_initial_weights_and_source(memspan_, name):
    cell = CELLS[name]
    code, out, err = memspan_(f"cells {name} --hidden 3")
    assert (code, err) == (0, "")
    assert row_of(out, "source")[1] == cell.source
    assert row_of(out, "gates")[1].startswith(", ".join(cell.gates))
    assert out.endswith(f"\n\n{cell.equations}\n")
    assert cell.equations
    assert "Backward." not in cell.equations
    assert ("│ initial R" in out) == bool(cell.recurrent_gates)
    for gate, value in cell.bias.items():
        assert f"{value:g} for {gate}" in out
    for constant, value in cell.constants.items():
        assert f"{constant} = {value:g}" in out


def test_the_lstm_is_shown_as_it_is(memspan_):
    _, out, _ = memspan_("cells lstm --hidden 3")
    assert row_of(out, "weights at F = 1, H = 3, O = 1")[1].startswith("64: W [1, 12], R [3, 12], bs [12, 1], ")
    assert row_of(out, "initial R")[1] == "uniform: U(-0.2, 0.2): the initial weights of the assignment"
    assert row_of(out, "initial biases")[1] == "1 for f, 0"
    assert "c[t] = f c[t-1] + i g" in out


def sequence_of(out):
    """The rows of the sequence: step, input and label."""
    rows = [line.strip("│").split("│") for line in out.partition("A sequence")[2].splitlines() if line[:1] == "│"]
    return [[cell.strip() for cell in row] for row in rows]


def test_a_task_is_shown_with_a_sequence_and_its_label(memspan_):
    _, out, _ = memspan_("tasks adding/any --length 6 --seed 3")
    rows = sequence_of(out)
    x, y = TASKS["adding/any"].sample(6, 1, 3)
    assert [row[1] for row in rows] == [f"{value:.3g}, {mark:.3g}" for value, mark in x[:, 0]]
    assert [row[2] for row in rows] == [""] * 5 + [f"{y[0, 0]:.3g}"]
    marked = [row[0] for row in rows if row[0].endswith("*")]
    assert marked == [f"{t + 1} *" for t in range(6) if x[t, 0, 1]]


def test_symbols_and_classes_are_shown_by_name_and_a_long_wait_is_left_out(memspan_):
    _, out, _ = memspan_("tasks copying/urnn --length 100")
    rows = sequence_of(out)
    steps = [row[0] for row in rows]
    assert steps[9:12] == ["10 *", "...", "111"]
    task = TASKS["copying/urnn"]
    x, _ = task.sample(100, 1, 0)
    names = [task.class_names[int(k)] for k in x[:10, 0].argmax(axis=-1)] if task.input_names else None
    assert [row[2] for row in rows[-10:]] == (names or [row[1] for row in rows[:10]])
    _, out, _ = memspan_("tasks order/hs97-2")
    assert {row[1] for row in sequence_of(out)} <= {*TASKS["order/hs97-2"].input_names, ""}


@pytest.mark.parametrize("name", TASKS)
def test_every_task_can_be_shown(memspan_, name):
    code, out, err = memspan_(f"tasks {name}")
    assert (code, err) == (0, "")
    assert sequence_of(out)
