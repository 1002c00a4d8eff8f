"""The programs of the README run, as they stand there."""

import re
from pathlib import Path

import pytest

README = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
PROGRAMS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(PROGRAMS)))
def test_program(number, tmp_path, monkeypatch, capsys):
    plt = pytest.importorskip("matplotlib.pyplot")
    plt.switch_backend("agg")
    monkeypatch.chdir(tmp_path)
    exec(compile(PROGRAMS[number], f"README, program {number}", "exec"), {"__name__": "readme"})
    assert capsys.readouterr().out
    plt.close("all")


def test_there_are_programs():
    assert len(PROGRAMS) == 4


@pytest.mark.parametrize("path", sorted(set(re.findall(r"\]\(((?:docs|benchmarks|examples)/[^)]*)\)", README))))
def test_what_is_linked_is_there(path):
    assert (Path(__file__).parents[2] / path).exists()
