"""PyTorch models and memspan's networks. It needs PyTorch; nothing else in memspan imports this package."""

from memspan.torch.weights import load_weights, to_torch

__all__ = ["load_weights", "to_torch"]
