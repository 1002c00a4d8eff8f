"""The cell and the task keep memspan's contracts."""

from own_cell.cells import mine
from own_cell.tasks import Mine

from memspan.testing import check_cell, check_task


def test_cell():
    check_cell(mine, compiled=False)  # True also compares the compiled engine, which takes about ten seconds


def test_task():
    check_task(Mine())
