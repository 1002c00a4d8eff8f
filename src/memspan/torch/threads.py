"""One thread for PyTorch, because the bits of a result can depend on the number of threads."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

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
