"""A table of `rich` that `print` shows too."""

from io import StringIO

from rich.console import Console
from rich.table import Table

WIDTH = 150
"""Columns of a table that is printed as text."""


class TextTable(Table):
    """As `rich.table.Table`; as a text it is the table itself, without colours."""

    def __str__(self) -> str:
        text = StringIO()
        Console(file=text, width=WIDTH, no_color=True).print(self)
        return text.getvalue().rstrip("\n")

    def __repr__(self) -> str:
        return str(self)
