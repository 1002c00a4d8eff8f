"""PyTorch models of your own: adapters for cells and layers, and the network and engine that train them.

It needs PyTorch: `pip install memspan[torch]`. Nothing else in memspan imports this package until it is used.
"""

from memspan.foreign import FaultyModel, choose_form, time_forms
from memspan.torch.adapters import Sequence, Steps
from memspan.torch.engine import Form, TorchEngine
from memspan.torch.factory import make_network, weight_count
from memspan.torch.network import TorchNetwork
from memspan.torch.weights import load_weights, to_torch

__all__ = [
    "FaultyModel",
    "Form",
    "Sequence",
    "Steps",
    "TorchEngine",
    "TorchNetwork",
    "choose_form",
    "load_weights",
    "make_network",
    "time_forms",
    "to_torch",
    "weight_count",
]
