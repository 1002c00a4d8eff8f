"""What PyTorch keeps for the whole process or thread: its threads, denormal numbers and random generators."""

import threading
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
_generators = threading.RLock()


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


@contextmanager
def own_generators(device: torch.device) -> Iterator[None]:
    """Restore PyTorch's random generators, those of the CPU and of a device, at the end of the `with` block.

    All Python threads share them, so only one thread is inside at a time. Otherwise models that several threads of
    a Dask worker build would draw their weights from one stream.
    """
    with _generators, torch.random.fork_rng([device] if device.type == "cuda" else []):
        yield
