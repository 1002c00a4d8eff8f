"""From a cell to its compiled kernel: once in a process, and from disk where an earlier process has been."""

import hashlib
import inspect
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from numba import njit

from memspan import activations
from memspan.cells import Cell
from memspan.kernels.kernel import build

OPTIONS: dict[str, Any] = {"error_model": "numpy", "fastmath": {"contract"}, "nogil": True}
"""No branch for a division by zero; a·b + c as one instruction; other Python threads go on."""
PATIENCE = 1.0  # seconds: a kernel from disk takes less, one that is compiled takes more

_kernels: dict[tuple[Any, ...], Any] = {}


def kernel_of(cell: Cell, loss: Callable[..., float]) -> Any:
    """The kernel of a cell and a loss; Numba compiles it for a dtype when it is first called.

    What it compiles it keeps on disk, beside this file, in the user's cache folder, or in `NUMBA_CACHE_DIR`; where
    none of these can be written every process compiles for itself.
    """
    functions: list[Callable[..., Any]] = [cell.forward, cell.backward, loss]
    if cell.reset is not None:
        functions += [cell.reset.forward, cell.reset.backward]
    names = (cell.gates, cell.states, cell.saved, cell.driven, cell.recurrent, cell.reads, cell.own)
    key = (*functions, *names, len(cell.constants), cell.reset.gates if cell.reset else ())
    if key not in _kernels:
        kernel = build(cell, loss, _fingerprint(functions))
        try:
            _kernels[key] = njit(cache=True, **OPTIONS)(kernel)
        except RuntimeError:  # no folder for the cache can be written
            _kernels[key] = njit(**OPTIONS)(kernel)
    return _kernels[key]


@contextmanager
def announced(what: str) -> Iterator[None]:
    """Say on standard error that something is being compiled, if it takes longer than loading it would."""
    timer = threading.Timer(PATIENCE, lambda: print(f"memspan: compiling {what}, once", file=sys.stderr))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _fingerprint(functions: list[Callable[..., Any]]) -> str:
    """Changes whenever anything does that a kernel is made of; Numba itself would look at one file of these."""
    digest = hashlib.sha256()
    own = [*Path(__file__).parent.glob("*.py"), Path(activations.__file__)]
    for path in sorted({*own, *(Path(inspect.getfile(function)) for function in functions)}):
        digest.update(path.read_bytes() if path.exists() else b"")
    for function in functions:
        digest.update(repr((function.__code__.co_code, function.__code__.co_consts)).encode())
    return digest.hexdigest()[:32]
