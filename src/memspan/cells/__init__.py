"""The cells, one file each.

A new cell is one file with two pointwise functions and one entry in `CELLS`. The command line, the contract tests
and the table in `docs/cells.md` read that dictionary.
"""

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

_ALL = (
    *(RNN_TANH, RNN_RELU, RNN_LINEAR, leaky()),
    *(lstm(), LSTM_1997, LSTM_PEEPHOLE),
    *(GRU, GRU_BEFORE, MGU, UGRNN, MINGRU),
    *(LRU, cornn(), SLSTM),
)
CELLS: dict[str, Cell] = {cell.name: cell for cell in _ALL}
"""Every cell by name."""

__all__ = ["CELLS", "INITIALIZERS", "Cell", "Initializer", "cornn", "leaky", "lstm"]
