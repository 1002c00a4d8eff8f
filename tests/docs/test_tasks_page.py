"""docs/tasks.md says what the code says, and has a picture of every task."""

import re
import runpy
from pathlib import Path

import pytest
from matplotlib.image import imread

from memspan import TASKS
from memspan.testing import check_task

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "tasks.md").read_text("utf-8")


def test_page_is_up_to_date():
    assert runpy.run_path(str(DOCS / "make_tasks.py"))["page"]() == PAGE, "run: python docs/make_tasks.py"


@pytest.mark.parametrize("name", TASKS)
def test_page_has_the_risk_the_source_and_a_picture(name):
    (row,) = [line for line in PAGE.splitlines() if line.startswith(f"| `{name}` |")]
    columns = [column.strip() for column in row.split("|")]
    assert float(columns[5]) == pytest.approx(TASKS[name].trivial_risk(100), abs=5e-5)
    assert columns[8] == TASKS[name].source
    picture = f"figures/tasks/{name.replace('/', '-')}.png"
    assert f"({picture})" in PAGE
    height, width, _ = imread(DOCS / picture).shape
    assert width > 500
    assert height > 300


def test_there_is_no_picture_of_anything_else():
    pictures = {path.stem for path in (DOCS / "figures" / "tasks").iterdir()}
    assert pictures == {name.replace("/", "-") for name in TASKS}


def test_the_example_of_own_sequences_runs(capsys):
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names = {}
    exec(code, names)
    found = "<ArrayTask gestures, held-out: 300 sequences of 20 steps x 2, 3 classes, 60 held out>"
    assert capsys.readouterr().out == found + "\n"
    check_task(names["gestures"], contracts=["words", "held out"])
