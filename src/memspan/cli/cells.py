"""`memspan cells`."""

from typing import Annotated

from rich.table import Table

from memspan.cells import CELLS
from memspan.cli.console import WHOLE, new_console
from memspan.engines.parameters import Layout
from memspan.errors import whole_number


def cells(*, hidden: Annotated[int, WHOLE] = 32) -> int:
    """List the cells: gates, states, number of weights, initializer and source.

    Parameters
    ----------
    hidden
        Units H, for which weights are counted (with one input and one output).
    """
    H = whole_number("hidden", hidden)
    table = Table(caption=f"Weights: with one input, {H} units and one output.", caption_justify="left")
    for heading in ("cell", "gates", "states"):
        table.add_column(heading, overflow="fold")
    table.add_column("weights", justify="right")
    table.add_column("init")
    table.add_column("source", overflow="fold")
    for cell in CELLS.values():
        weights = f"{Layout(cell, 1, H, 1).size:,}"
        table.add_row(cell.name, ", ".join(cell.gates), ", ".join(cell.states), weights, cell.init, cell.source)
    new_console().print(table)
    return 0
