"""The classes that a student opens: a network of any cell, and the named ones."""

from memspan.network.gru import GRU
from memspan.network.lstm import LSTM
from memspan.network.network import DTYPES, Network
from memspan.network.rnn import ACTIVATIONS, RNN

__all__ = ["ACTIVATIONS", "DTYPES", "GRU", "LSTM", "RNN", "Network"]
