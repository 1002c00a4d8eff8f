"""Limit BLAS to one thread, because the bits of a matrix product can depend on the number of threads."""

import functools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from threadpoolctl import ThreadpoolController

Result = TypeVar("Result")


class Guard:
    """A limit, which applies to the whole process, and the number of its holders; the last one lifts it.

    Parameters
    ----------
    limit : callable
        Sets the limit, and returns the function that restores what was before.
    """

    def __init__(self, limit: Callable[[], Callable[[], object]]) -> None:
        self._limit, self._lock, self._holders = limit, threading.Lock(), 0
        self._restore: Callable[[], object] = lambda: None

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the limit inside the `with` block. Python threads may enter and leave in any order."""
        self._enter()
        try:
            yield
        finally:
            self._leave()

    def _enter(self) -> None:
        with self._lock:
            restore = self._limit()  # even if it holds already: some libraries keep it per thread
            if not self._holders:
                self._restore = restore
            self._holders += 1

    def _leave(self) -> None:
        with self._lock:
            self._holders -= 1
            if not self._holders:
                self._restore()


def _limit_blas() -> Callable[[], object]:
    return _controller().limit(limits=1, user_api="blas").restore_original_limits


_guard = Guard(_limit_blas)


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Limit BLAS to one thread inside the `with` block. (For small products more threads are also slower.)

    Python threads may enter and leave in any order. The limit holds until all of them have left.
    """
    with _guard.held():
        yield


def with_one_blas_thread(function: Callable[..., Result], /, *arguments: Any) -> Result:
    """Call a function with one BLAS thread."""
    with one_blas_thread():
        return function(*arguments)


@functools.cache
def _controller() -> ThreadpoolController:
    from scipy.linalg import cython_blas  # noqa: F401  (loads the kernels' BLAS, so that it is limited too)

    return ThreadpoolController()
