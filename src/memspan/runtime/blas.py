"""Limit BLAS to one thread, because the bits of a matrix product can depend on the number of threads."""

import functools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from threadpoolctl import ThreadpoolController

Result = TypeVar("Result")


class _Guard:
    """The limit, which applies to the whole process, and the number of its holders; the last one lifts it."""

    def __init__(self) -> None:
        self.lock, self.holders = threading.Lock(), 0
        self.before: Any = None

    def enter(self) -> None:
        with self.lock:
            limit = _controller().limit(
                limits=1, user_api="blas"
            )  # even if it holds already: some libraries keep it per thread
            if not self.holders:
                self.before = limit
            self.holders += 1

    def leave(self) -> None:
        with self.lock:
            self.holders -= 1
            if not self.holders:
                self.before.restore_original_limits()


_guard = _Guard()


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Limit BLAS to one thread inside the `with` block. (For small products more threads are also slower.)

    Python threads may enter and leave in any order. The limit holds until all of them have left.
    """
    _guard.enter()
    try:
        yield
    finally:
        _guard.leave()


def with_one_blas_thread(function: Callable[..., Result], /, *arguments: Any) -> Result:
    """Call a function with one BLAS thread."""
    with one_blas_thread():
        return function(*arguments)


@functools.cache
def _controller() -> ThreadpoolController:
    from scipy.linalg import cython_blas  # noqa: F401  (loads the kernels' BLAS, so that it is limited too)

    return ThreadpoolController()
