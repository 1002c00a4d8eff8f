"""The programs of docs/weights.md run, one after the other."""

import re
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "weights.md").read_text("utf-8")
PROGRAMS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
NEEDED = [(), ("torch",), ("torch",), ("jax", "flax")]
BEFORE = [(), (0,), (0, 1), (0,)]
"""The programs on which each program builds."""


@pytest.mark.parametrize("last", range(len(NEEDED)))
def test_programs(last, tmp_path, monkeypatch):
    for library in NEEDED[last]:
        pytest.importorskip(library, reason=f"{library} is not installed")
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "weights"}
    for number in (*BEFORE[last], last):
        exec(compile(PROGRAMS[number], f"weights.md, program {number}", "exec"), names)
    assert (tmp_path / "lstm.safetensors").exists()


def test_there_are_programs():
    assert len(PROGRAMS) == len(NEEDED)
