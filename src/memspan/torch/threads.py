"""The state of the processor in which PyTorch computes: one thread, and denormal numbers that count as zero."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch

from memspan.runtime.blas import Guard


def _limit_torch() -> Callable[[], object]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    return lambda: torch.set_num_threads(before)


_guard = Guard(_limit_torch)


@contextmanager
def one_torch_thread() -> Iterator[None]:
    """Limit PyTorch to one thread inside the `with` block. The last holder restores what was before."""
    with _guard.held():
        yield


@contextmanager
def flushed_denormals() -> Iterator[None]:
    """Flush denormal numbers to zero inside the `with` block, as memspan's compiled kernels do.

    A vanishing gradient consists of such numbers, and arithmetic with them takes many times as long.
    """
    before = float(np.float32(2e-38) * np.float32(0.25)) == 0
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)
