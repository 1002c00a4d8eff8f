"""Consoles that print texts as they are, and a `rich` table that also works with `print`."""

from collections.abc import Sequence
from io import StringIO
from typing import Any

from rich.console import Console
from rich.table import Table

WIDTH = 150
"""The width of a table as text, in characters."""


class PlainConsole(Console):
    """A console that prints texts, also those in tables, as they are.

    By default rich would draw `zoo:two` with an emoji, and take `[bold]` for markup: users may choose such names.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(markup=False, emoji=False, **settings)


class TextTable(Table):
    """A `rich.table.Table` whose `str` and `repr` are the drawn table, without colours. A notebook shows HTML."""

    def __str__(self) -> str:
        text = StringIO()
        console = PlainConsole(file=text, width=WIDTH, no_color=True, force_jupyter=False)  # it shows nothing
        console.print(self)
        return text.getvalue().rstrip("\n")

    def __repr__(self) -> str:
        return str(self)

    def _repr_mimebundle_(
        self, include: Sequence[str] = (), exclude: Sequence[str] = (), **more: Any
    ) -> dict[str, str]:
        """The table for a notebook, as HTML. That of `rich` has the width of a terminal."""
        from memspan.runtime.html import for_notebook, of_table  # it needs `plain`, whose module needs this one

        return {"text/plain": str(self), "text/html": for_notebook(of_table(self))}
