"""The cells, one file each.

A new cell is one file with its two pointwise functions, and one entry in `CELLS`: the command line's choices
and the contract tests read that dictionary.
"""

from memspan.cells.base import Cell
from memspan.cells.lstm import lstm
from memspan.cells.rnn import RNN_LINEAR, RNN_RELU, RNN_TANH

CELLS: dict[str, Cell] = {cell.name: cell for cell in (RNN_TANH, RNN_RELU, RNN_LINEAR, lstm())}
"""Every cell by name."""

__all__ = ["CELLS", "Cell", "lstm"]
