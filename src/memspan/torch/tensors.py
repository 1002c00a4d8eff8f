"""Tensors and arrays, and gradients of tensors."""

from typing import Any

import torch

from memspan.shapes import Array

Tensor = Any
"""A tensor of PyTorch, which mypy does not know."""


def as_array(tensor: Tensor) -> Array:
    """Return a tensor as an array; on the CPU it shares the memory."""
    return tensor.detach().cpu().numpy()


def gradients_of(output: Tensor, tensors: list[Tensor], upstream: Tensor) -> list[Tensor]:
    """Return dL/d(each tensor) from dL/d(output); zeros where no path leads to it. The graph is kept."""
    reached = [tensor for tensor in tensors if tensor.requires_grad]
    if not output.requires_grad or not reached:
        return [torch.zeros_like(tensor) for tensor in tensors]
    how = {"retain_graph": True, "allow_unused": True, "materialize_grads": True}
    found = iter(torch.autograd.grad(output, reached, upstream, **how))
    return [next(found) if tensor.requires_grad else torch.zeros_like(tensor) for tensor in tensors]


def is_real(leaf: Any) -> bool:
    """Whether a part of a state is a tensor that can have a gradient."""
    return isinstance(leaf, torch.Tensor) and (leaf.is_floating_point() or leaf.is_complex())
