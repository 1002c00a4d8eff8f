"""The network classes: `Network` for any cell, and `RNN`, `LSTM` and `GRU`."""

from memspan.network.gru import GRU
from memspan.network.lstm import LSTM
from memspan.network.network import DTYPES, Network
from memspan.network.rnn import ACTIVATIONS, RNN

__all__ = ["ACTIVATIONS", "DTYPES", "GRU", "LSTM", "RNN", "Network"]
