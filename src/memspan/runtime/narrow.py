"""Tables in narrow terminals: the rows one below the other, where columns would have no room."""

from collections.abc import Iterator
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Column, Table
from rich.text import Text

LONGEST_WORD = 14
"""Longer words of a column may be broken, in characters."""


def fitted(table: Table, width: int) -> RenderableType:
    """Return a table for a terminal of this width: the table itself, or else its rows one below the other."""
    return table if needed_width(table) <= width else stacked(table)


def needed_width(table: Table) -> int:
    """Return the number of characters that a table needs so that words up to `LONGEST_WORD` are not broken."""
    return sum(map(_needed_width, table.columns)) + 3 * len(table.columns) + 1


def _needed_width(column: Column) -> int:
    """The longest word of a column, or its longest cell if it may not be wrapped."""
    cells = [_text(cell).plain for cell in (column.header, *column.cells)]
    if column.no_wrap:
        return max(map(len, cells), default=0)
    words = (len(word) for cell in cells for word in cell.split())
    return min(max(words, default=0), LONGEST_WORD)


def stacked(table: Table) -> Group:
    """Return a table as lines of "heading: cell", with an empty line between rows."""
    columns = table.columns
    rows = zip(*(column.cells for column in columns), strict=True)
    headings = [_text(column.header).plain for column in columns]
    parts: list[RenderableType] = [_text(table.title)] if table.title else []
    for row in rows:
        lines = _pair(row) if not table.show_header and len(columns) == 2 else _lines(headings, row)
        parts += [Padding(line, (0, 0, 0, indent)) for line, indent in lines]
        parts += [""] if table.show_header else []
    return Group(*parts, *([_text(table.caption)] if table.caption else []))


def _lines(headings: list[str], row: tuple[RenderableType, ...]) -> Iterator[tuple[Text, int]]:
    """The lines of a row; those after the first are indented."""
    for place, (heading, cell) in enumerate(zip(headings, row, strict=True)):
        if text := _text(cell):
            yield (Text.assemble(f"{heading}: ", text) if heading else text), 2 * (place > 0)


def _pair(row: tuple[RenderableType, ...]) -> Iterator[tuple[Text, int]]:
    """The lines of a row that has a name and a text."""
    yield Text.assemble(_text(row[0]), ":"), 0
    yield _text(row[1]), 2


def _text(cell: Any) -> Text:
    return cell if isinstance(cell, Text) else Text(str(cell))
