import csv
import io
import json

import pytest
from rich.console import Console

from memspan.bench import Benchmark, Case, save
from memspan.bench.record import Timing

CASE, LONG = Case("rnn", 50, 64, 32), Case("lstm", 1000, 20, 32)


def timing(engine, way, *milliseconds, case=CASE, cores=1):
    return Timing(case, cores, engine, way, tuple(t / 1000 for t in milliseconds))


RECORD = Benchmark(
    (
        timing("compiled", "kernel", 1.0, 2.0, 3.0, 4.0, 5.0),
        timing("torch", "kept", 30.0, 30.0, 30.0, 30.0, 30.0),
        timing("torch", "flushed", 10.0, 16.0, 36.0, 20.0, 20.0),
        timing("roofline", "tanh", 0.1, 0.1, 0.1, 0.1, 0.1),
        timing("roofline", "products", 0.4, 0.9, 1.4, 1.9, 2.4),
        timing("compiled", "kernel", 8.0, case=LONG),
        timing("compiled", "2 processes, kernel", 0.5, case=LONG, cores=2),
        timing("torch", "2 threads, kept", 4.0, case=LONG, cores=2),
    ),
    remarks=("jax is skipped: jax is not installed",),
    machine={"processor": "an abacus", "numpy": "2"},
)


def test_an_engine_is_timed_by_its_fastest_way_and_the_roofline_by_the_sum_of_its_parts():
    assert RECORD.seconds(CASE, 1, "torch").tolist() == [0.01, 0.016, 0.036, 0.02, 0.02]
    assert RECORD.seconds(CASE, 1, "roofline") == pytest.approx([0.0005, 0.001, 0.0015, 0.002, 0.0025])
    assert RECORD.seconds(LONG, 1, "torch") is None


def test_ratios_are_taken_round_by_round():
    # 10, 8, 12, 5, 4: not the ratio of the medians, 20 / 3.
    assert RECORD.ratio(CASE, 1, "torch") == pytest.approx((5, 8, 10))
    assert RECORD.ratio(CASE, 1, "roofline") == pytest.approx((2, 2, 2))
    assert RECORD.ratio(LONG, 2, "torch") == pytest.approx((8, 8, 8))
    assert RECORD.ratio(LONG, 1, "torch") is None


def test_the_tables_have_times_on_one_core_and_rates_on_more():
    assert RECORD.cores == [1, 2]
    columns, rows = RECORD.cells(1)
    assert columns == [
        "cell",
        "T",
        "B",
        "H",
        "compiled",
        "torch",
        "roofline",
        "torch / compiled",
        "compiled / roofline",
    ]
    assert rows == [
        ["rnn", "50", "64", "32", "3 (2-4)", "20 (16-20)", "1.5 (1-2)", "8.00 (5.00-10.00)", "2.00 (2.00-2.00)"],
        ["lstm", "1000", "20", "32", "8 (8-8)", "-", "-", "-", "-"],
    ]
    assert RECORD.cells(2)[1] == [
        ["lstm", "1000", "20", "32", "2000 (2000-2000)", "250 (250-250)", "-", "8.00 (8.00-8.00)", "-"]
    ]


def test_the_table_in_a_terminal_has_a_row_for_each_engine_and_cuts_nothing_off():
    console = Console(width=80, file=io.StringIO())
    console.print(RECORD.table(1))
    lines = [[cell.strip() for cell in line.split("│")[1:-1]] for line in console.file.getvalue().splitlines()]
    assert [cells for cells in lines if cells] == [
        ["rnn", "50", "64", "32", "compiled", "3 (2-4)", ""],
        ["", "", "", "", "torch", "20 (16-20)", "8 (5-10) x"],
        ["", "", "", "", "roofline", "1.5 (1-2)", "50 % reached"],
        ["lstm", "1000", "20", "32", "compiled", "8 (8-8)", ""],
    ]
    console.print(RECORD.table(2))
    assert "2000 (2000-2000)" in console.file.getvalue()


def test_it_is_saved_as_tables_numbers_and_a_picture(tmp_path):
    folder = tmp_path / "new"
    assert [path.name for path in save(RECORD, folder)] == ["engine.md", "engine.json", "engine.png"]
    assert sorted(path.name for path in folder.iterdir()) == [
        f"engine.{kind}" for kind in ("csv", "json", "md", "png", "svg")
    ]
    text = (folder / "engine.md").read_text("utf-8")
    assert "| rnn | 50 | 64 | 32 | 3 (2-4) |" in text
    assert "processor an abacus, numpy 2" in text
    assert "- jax is skipped: jax is not installed" in text
    read = json.loads((folder / "engine.json").read_text("utf-8"))
    assert read["timings"][2] == {
        "case": {"cell": "rnn", "time": 50, "batch": 64, "hidden": 32},
        "cores": 1,
        "engine": "torch",
        "way": "flushed",
        "seconds": [0.01, 0.016, 0.036, 0.02, 0.02],
    }
    assert {(r["cell"], r["cores"], r["engine"]): r["median"] for r in read["ratios"]} == pytest.approx(
        {("rnn", 1, "torch"): 8, ("rnn", 1, "roofline"): 2, ("lstm", 2, "torch"): 8}
    )
    with (folder / "engine.csv").open(newline="", encoding="utf-8") as file:
        rows = {tuple(row[:4]): float(row[5]) for row in csv.reader(file) if row[0] != "cores"}
    assert rows == pytest.approx(
        {
            ("1", "rnn", "50, 64, 32", "compiled"): 3,
            ("1", "rnn", "50, 64, 32", "torch"): 20,
            ("1", "rnn", "50, 64, 32", "roofline"): 1.5,
            ("1", "lstm", "1000, 20, 32", "compiled"): 8,
            ("2", "lstm", "1000, 20, 32", "compiled"): 0.5,
            ("2", "lstm", "1000, 20, 32", "torch"): 4,
        }
    )
