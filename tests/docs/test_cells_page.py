"""docs/cells.md says what the code says."""

import runpy
from pathlib import Path

import pytest

from memspan import CELLS, Network

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "cells.md").read_text("utf-8")


def test_page_is_up_to_date():
    assert runpy.run_path(str(DOCS / "make_cells.py"))["page"]() == PAGE, "run: python docs/make_cells.py"


@pytest.mark.parametrize("cell", CELLS)
def test_page_counts_the_weights_and_names_the_source(cell):
    (row,) = [line for line in PAGE.splitlines() if line.startswith(f"| `{cell}` |")]
    columns = [column.strip() for column in row.split("|")]
    assert int(columns[4]) == sum(w.size for w in Network(cell, 1, 32, 1, rng=0).get_weights().values())
    assert columns[8] == CELLS[cell].source


def test_equations_stop_before_their_derivation():
    assert "c[t] = f c[t-1] + i g" in PAGE
    assert "dL/d" not in PAGE
