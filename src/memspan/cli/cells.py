"""`memspan cells`."""

from collections.abc import Iterator
from typing import Annotated, Any

from cyclopts import Parameter
from rich.table import Table

from memspan.cells import CELLS, INITIALIZERS, Cell, get_cell
from memspan.cli.completers import among
from memspan.cli.console import JSON, WHOLE, installed_parts, list_of_installed, new_console, print_json
from memspan.engines.parameters import Layout
from memspan.errors import whole_number


def cells(
    name: Annotated[str | None, Parameter(completer=among(CELLS))] = None,
    /,
    *,
    hidden: Annotated[int, WHOLE] = 32,
    json: Annotated[bool, JSON] = False,
) -> int:
    """List the cells, or show the equations, initial weights and source of one cell.

    **All cells:**

        memspan cells

    **One cell:**

        memspan cells lstm

    Parameters
    ----------
    name
        Cell to show, such as `lstm`, or the import path of a cell of your own, such as `mypkg.cells:mine`. Without
        a name all cells are listed, those of installed distributions with where they come from.
    hidden
        Number of hidden units H for which the weights are counted, with one input and one output.
    json
        Print the list `cells`, with `name`, `gates`, `states`, `weights`, `init` and `source`, and the list
        `installed` as JSON on standard output; of one cell also `shapes`, `biases`, `constants` and `equations`.
    """
    H = whole_number("hidden", hidden)
    if json:
        listed = {"cells": [_numbers(cell, H) for cell in CELLS.values()], "installed": installed_parts("cell")}
        print_json({"hidden": H, **listed} if name is None else _all_numbers(get_cell(name), H))
        return 0
    if name is None:
        console = new_console()
        console.print(_list_of_cells(H))
        if installed := list_of_installed("cell"):
            console.print(installed)
        print("`memspan cells NAME` shows the equations of a cell.")
        return 0
    cell = get_cell(name)
    table = Table(title=cell.name, show_header=False, title_justify="left")
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for row in _description(cell, H):
        table.add_row(*row)
    new_console().print(table)
    print(f"\n{cell.equations}")
    return 0


def _numbers(cell: Cell, hidden: int) -> dict[str, Any]:
    """Return what JSON has of a cell in the list."""
    facts = {"name": cell.name, "gates": cell.gates, "states": cell.states}
    return facts | {"weights": Layout(cell, 1, hidden, 1).size, "init": cell.init, "source": cell.source}


def _all_numbers(cell: Cell, hidden: int) -> dict[str, Any]:
    """Return what JSON has of one cell."""
    more = {"hidden": hidden, "shapes": Layout(cell, 1, hidden, 1).shapes, "biases": cell.bias}
    return _numbers(cell, hidden) | more | {"constants": cell.constants, "equations": cell.equations}


def _list_of_cells(hidden: int) -> Table:
    table = Table(
        caption=f"Weights: with one input, {hidden} hidden units and one output.",
        caption_justify="left",
    )
    for heading in ("cell", "gates", "states"):
        table.add_column(heading, overflow="fold")
    table.add_column("weights", justify="right")
    table.add_column("init")
    table.add_column("source", overflow="fold")
    for cell in CELLS.values():
        weights = f"{Layout(cell, 1, hidden, 1).size:,}"
        table.add_row(cell.name, ", ".join(cell.gates), ", ".join(cell.states), weights, cell.init, cell.source)
    return table


def _description(cell: Cell, hidden: int) -> Iterator[tuple[str, str]]:
    """Yield the label and text of each row above the equations."""
    layout, rule = Layout(cell, 1, hidden, 1), INITIALIZERS[cell.init]
    yield "source", cell.source
    yield "gates", cell.wiring
    yield "states", ", ".join(cell.states)
    shapes = ", ".join(f"{name} {list(shape)}" for name, shape in layout.shapes.items())
    yield f"weights at F = 1, H = {hidden}, O = 1", f"{layout.size:,}: {shapes}"
    if cell.recurrent_gates:
        yield "initial R", f"{cell.init}: {_first_line(rule.recurrent)}"
    yield "initial W and V", _first_line(rule.other)
    yield "initial biases", ", ".join([*(f"{value:g} for {gate}" for gate, value in cell.bias.items()), "0"])
    if cell.unit_weights:
        how = f": {_first_line(cell.unit_init)}" if cell.unit_init else ", initially 0"
        yield "per-unit weights", ", ".join(cell.unit_weights) + how
    if cell.constants:
        yield "constants", ", ".join(f"{name} = {value:g}" for name, value in cell.constants.items())


def _first_line(function: object) -> str:
    return str(function.__doc__).strip().partition("\n")[0].removesuffix(".")
