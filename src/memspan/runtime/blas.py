"""One BLAS thread: the bits of a matrix product can depend on the number of threads."""

import functools
from collections.abc import Iterator
from contextlib import contextmanager

from threadpoolctl import ThreadpoolController


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Let BLAS compute with one thread meanwhile; small products are slower with more, too."""
    with _controller().limit(limits=1, user_api="blas"):
        yield


@functools.cache
def _controller() -> ThreadpoolController:
    from scipy.linalg import cython_blas  # noqa: F401  (the kernels' BLAS: what is not loaded is not limited)

    return ThreadpoolController()
