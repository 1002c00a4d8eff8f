"""One BLAS thread: the bits of a matrix product can depend on the number of threads."""

import functools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from threadpoolctl import ThreadpoolController

Result = TypeVar("Result")


class _Guard:
    """The limit, which is one for the whole process, and how many hold it: the last to leave lifts it."""

    def __init__(self) -> None:
        self.lock, self.holders = threading.Lock(), 0
        self.before: Any = None

    def enter(self) -> None:
        with self.lock:
            limit = _controller().limit(limits=1, user_api="blas")  # always: some libraries count by thread
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
    """Let BLAS compute with one thread meanwhile; small products are slower with more, too.

    Python threads may enter and leave in any order: the limit holds until all of them have left.
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
    from scipy.linalg import cython_blas  # noqa: F401  (the kernels' BLAS: what is not loaded is not limited)

    return ThreadpoolController()
