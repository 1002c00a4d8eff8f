"""Tables in narrow terminals."""

import io

import pytest
from rich.text import Text

from memspan.runtime.narrow import LONGEST_WORD, fitted, needed_width
from memspan.runtime.tables import PlainConsole, TextTable


def drawn(table, width):
    text = io.StringIO()
    PlainConsole(file=text, width=width).print(fitted(table, width))
    return [line.rstrip() for line in text.getvalue().splitlines()]


@pytest.fixture
def table():
    table = TextTable(title="A title", caption="A caption.")
    table.add_column("name", overflow="fold")
    table.add_column("number", justify="right")
    table.add_column("")
    table.add_row("first one", "3", "kept")
    table.add_row("second", "", Text("[bold]broken"))
    return table


def test_a_table_that_fits_stays_a_table(table):
    assert needed_width(table) == len("second") + len("number") + len("[bold]broken") + 10
    assert fitted(table, needed_width(table)) is table


def test_otherwise_each_row_is_a_few_lines(table):
    assert drawn(table, needed_width(table) - 1) == [
        "A title",
        "name: first one",
        "  number: 3",
        "  kept",
        "",
        "name: second",
        "  [bold]broken",
        "",
        "A caption.",
    ]


def test_a_table_of_names_and_texts_has_the_name_before_the_text():
    table = TextTable(show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("the longest name", "a text of several words")
    assert drawn(table, 26) == ["the longest name:", "  a text of several words"]
    assert len(drawn(table, 40)) > 2


def test_a_word_that_is_longer_than_others_may_be_broken_and_a_column_that_may_not_wrap_is_whole(table):
    table.add_row("x" * 100, "", "")
    assert needed_width(table) == LONGEST_WORD + len("number") + len("[bold]broken") + 10
    table.columns[0].no_wrap = True
    assert needed_width(table) == 100 + len("number") + len("[bold]broken") + 10
