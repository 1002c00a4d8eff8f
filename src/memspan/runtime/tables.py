"""A `rich` table that also works with `print`."""

from io import StringIO

from rich.console import Console
from rich.table import Table

WIDTH = 150
"""The width of a table as text, in characters."""


class TextTable(Table):
    """A `rich.table.Table` whose `str` and `repr` are the drawn table, without colours."""

    def __str__(self) -> str:
        text = StringIO()
        Console(file=text, width=WIDTH, no_color=True).print(self)
        return text.getvalue().rstrip("\n")

    def __repr__(self) -> str:
        return str(self)
