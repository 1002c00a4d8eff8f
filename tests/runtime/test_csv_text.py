import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memspan.runtime.csv_text import csv_text, harmless


@pytest.mark.parametrize("text", ["=cmd()", "+1", "-x", "@a", " =1", "\t=1", "\r1", "\u200b=1", "＝1"])
def test_a_text_that_a_spreadsheet_would_compute_gets_an_apostrophe(text):
    assert harmless(text) == f"'{text}"


@pytest.mark.parametrize("value", ["a=1", "", "1 = 1", -1, -0.5, None, "'=1"])
def test_other_values_stay(value):
    assert harmless(value) is value


@given(st.lists(st.lists(st.text(), min_size=2, max_size=2)))
def test_a_csv_reader_gives_the_cells_back(rows):
    found = list(csv.reader(io.StringIO(csv_text(["a", "b"], rows), newline="")))
    assert found == [["a", "b"], *([harmless(cell) for cell in row] for row in rows)]
