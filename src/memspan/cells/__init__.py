"""The cells, one file each.

A new cell is one file with two pointwise functions and one entry in `CELLS`. The command line, the contract tests
and the reference in `docs/` read that dictionary. A cell of the user's own needs no entry: `get_cell` imports
it by its import path.
"""

from typing import Any

from memspan.cells.base import Cell
from memspan.cells.cornn import cornn
from memspan.cells.gru import GRU
from memspan.cells.gru_before import GRU_BEFORE
from memspan.cells.initializers import INITIALIZERS, Initializer
from memspan.cells.leaky import leaky
from memspan.cells.lru import LRU
from memspan.cells.lstm import lstm
from memspan.cells.lstm_1997 import LSTM_1997
from memspan.cells.lstm_peephole import LSTM_PEEPHOLE
from memspan.cells.mgu import MGU
from memspan.cells.mingru import MINGRU
from memspan.cells.rnn import RNN_LINEAR, RNN_RELU, RNN_TANH
from memspan.cells.slstm import SLSTM
from memspan.cells.ugrnn import UGRNN
from memspan.errors import InvalidArgument, shown
from memspan.runtime.imports import imported, is_factory, is_path, loaded, made, name_of

_ALL = (
    *(RNN_TANH, RNN_RELU, RNN_LINEAR, leaky()),
    *(lstm(), LSTM_1997, LSTM_PEEPHOLE),
    *(GRU, GRU_BEFORE, MGU, UGRNN, MINGRU),
    *(LRU, cornn(), SLSTM),
)
CELLS: dict[str, Cell] = {cell.name: cell for cell in _ALL}
"""Every cell by name."""


def get_cell(name: str, /, **options: Any) -> Cell:
    """Return a cell of memspan's, or import one of the user's own.

    Parameters
    ----------
    name : str
        A name in `CELLS`, the name of an entry point of the group `memspan.cells`, or an import path such as
        `mypkg.cells:Leaky2`. What is imported is a `Cell`, or a function that returns one.
    **options
        The arguments of that function.

    Raises
    ------
    InvalidArgument
        If the name is unknown, what is imported is no cell and returns none, or the cell takes no options.

    Examples
    --------
    >>> get_cell("gru")
    <Cell gru: gates n, r, z, u; states a>
    >>> get_cell("memspan.cells:leaky", alpha=0.5).constants
    {'alpha': 0.5}
    """
    name = name_of("cell", name, CELLS)
    found: Any = imported("cell", name) if is_path(name) else CELLS[name]
    if isinstance(found, Cell):
        if options:
            raise InvalidArgument("options", f"left out for the cell {name}, which takes none", shown(options))
        return found
    if is_factory(found):
        rule = "a Cell here, whose equations are known"
        hint = "; for their gradients use `memspan check`"
        raise InvalidArgument("cell", rule, f"{name}, which makes models of another library", hint)
    return made("cell", name, found, (Cell,), options)


def known_cell(name: str, /, **options: Any) -> Cell | None:
    """Return a cell like `get_cell`, but import nothing.

    None for a cell that is not imported yet or does not take the options, and for models of another library.
    """
    if not is_path(name):
        return get_cell(name, **options)
    try:
        return get_cell(name, **options) if loaded("cell", name) is not None else None
    except InvalidArgument:
        return None


__all__ = ["CELLS", "INITIALIZERS", "Cell", "Initializer", "cornn", "get_cell", "known_cell", "leaky", "lstm"]
