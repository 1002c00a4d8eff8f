import json
import re
import sys

import pytest
from processes import without_compiling

from memspan import MemspanError
from memspan.cli import main


def run(line, monkeypatch, capsys):
    """Exit code, standard output and standard error."""
    monkeypatch.setattr(sys, "argv", ["memspan", "bench", *line.split()])
    with pytest.raises(SystemExit) as end:
        main()
    out, err = capsys.readouterr()
    return end.value.code, out, without_compiling(err)


@pytest.mark.slow
def test_a_quick_run_prints_its_table_and_keeps_its_record(monkeypatch, capsys, tmp_path):
    line = f"--quick --engine readable compiled --cell rnn --size 5 4 3 --rounds 2 --progress none -o {tmp_path}"
    code, out, err = run(line, monkeypatch, capsys)
    assert (code, err) == (0, "")
    assert "against compiled" in out
    assert f"{tmp_path / 'engine.png'}\n" in out
    record = json.loads((tmp_path / "engine.json").read_text("utf-8"))
    assert {(t["engine"], t["way"], t["cores"], len(t["seconds"])) for t in record["timings"]} == {
        ("readable", "NumPy", 1, 2),
        ("compiled", "kernel", 1, 2),
        ("roofline", "tanh", 1, 2),
        ("roofline", "products", 1, 2),
    }
    assert record["timings"][0]["case"] == {"cell": "rnn", "time": 5, "batch": 4, "hidden": 3}
    medians = {ratio["engine"]: ratio["median"] for ratio in record["ratios"]}
    assert re.search(rf"readable .*│ +{medians['readable']:.3g} \(.* x │", out)
    assert f"{100 / medians['roofline']:.0f} % reached" in out


def test_the_old_name_of_the_compiled_engine_is_taken_with_a_warning(monkeypatch, capsys):
    chosen = []

    def stop(cases, engines, **options):
        chosen.extend(engines)
        raise MemspanError("enough")

    monkeypatch.setattr("memspan.cli.bench.measure", stop)
    code, _, err = run("--engine readable fused --quick --progress none", monkeypatch, capsys)
    renamed, failed = err.splitlines()
    assert renamed.startswith("memspan: the engine 'fused' is now 'compiled'; ")
    assert (code, failed) == (2, "memspan: enough")
    assert chosen == ["readable", "compiled"]


def test_an_unknown_engine_is_refused(monkeypatch, capsys):
    code, _, err = run("--engine mine", monkeypatch, capsys)
    assert code == 2
    assert "mine" in err
    assert "compiled" in err


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("--cores 0", "cores must be a whole number of at least 1, got 0"),
        ("--cores 99999", "cores must be at most"),
        ("--size 5 0 3", "--size must be a whole number of at least 1, got 0"),
        ("--rounds 0", "rounds must be a whole number of at least 1, got 0"),
    ],
)
def test_bad_input_is_refused_before_anything_is_timed(line, complaint, monkeypatch, capsys):
    code, out, err = run(line, monkeypatch, capsys)
    assert (code, out) == (2, "")
    assert complaint in err


def test_a_folder_that_cannot_be_had_is_refused_before_anything_is_timed(monkeypatch, capsys, tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "engine.json").write_text("")
    complaints = {
        "file": "-o must be a folder, got",
        "full": "already contains engine.json. Choose another --output.",
    }
    for name, complaint in complaints.items():
        code, out, err = run(f"-o {tmp_path / name}", monkeypatch, capsys)
        assert (code, out) == (2, "")
        assert complaint in err


def test_the_help_lists_every_option(monkeypatch, capsys):
    code, out, _ = run("--help", monkeypatch, capsys)
    assert code == 0
    for option in ("--cell", "--size", "--engine", "--rounds", "--cores", "--quick", "--output", "-o"):
        assert option in out


def test_cells_and_engines_may_be_separated_by_commas_or_spaces(monkeypatch, capsys):
    chosen = []

    def stop(cases, engines, **options):
        chosen.append(([case.cell for case in cases], list(engines)))
        raise MemspanError("enough")

    monkeypatch.setattr("memspan.cli.bench.measure", stop)
    for line in ("--cell rnn,gru --engine readable,compiled", "--cell rnn gru --engine readable compiled"):
        assert run(f"{line} --quick --progress none", monkeypatch, capsys)[0] == 2
    assert chosen == [(["rnn", "gru"], ["readable", "compiled"])] * 2
