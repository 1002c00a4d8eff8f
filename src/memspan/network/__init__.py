"""The network classes: `Network` for any cell, and `RNN`, `LSTM` and `GRU`; `Model`, what every network has."""

from memspan.network.gru import GRU
from memspan.network.lstm import LSTM
from memspan.network.model import Model
from memspan.network.network import DTYPES, Network
from memspan.network.rnn import ACTIVATIONS, RNN

__all__ = ["ACTIVATIONS", "DTYPES", "GRU", "LSTM", "RNN", "Model", "Network"]
