"""The classes that a student opens: a network of any cell, and the named ones."""

from memspan.network.network import DTYPES, Network
from memspan.network.rnn import ACTIVATIONS, RNN

__all__ = ["ACTIVATIONS", "DTYPES", "RNN", "Network"]
