"""One BLAS thread: the bits of a matrix product can depend on the number of threads."""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from threadpoolctl import ThreadpoolController

Result = TypeVar("Result")


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Let BLAS compute with one thread meanwhile; small products are slower with more, too."""
    with _controller().limit(limits=1, user_api="blas"):
        yield


def with_one_blas_thread(function: Callable[..., Result], /, *arguments: Any) -> Result:
    """Call a function with one BLAS thread."""
    with one_blas_thread():
        return function(*arguments)


@functools.cache
def _controller() -> ThreadpoolController:
    from scipy.linalg import cython_blas  # noqa: F401  (the kernels' BLAS: what is not loaded is not limited)

    return ThreadpoolController()
