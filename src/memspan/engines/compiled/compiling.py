"""Compile the kernel of a cell once, or load it from disk if an earlier process has compiled it."""

import hashlib
import inspect
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

from numba import njit
from numba.core.errors import NumbaError, UnsupportedBytecodeError

from memspan.cells import Cell, activations
from memspan.engines.compiled.kernel import build

OPTIONS: dict[str, Any] = {"error_model": "numpy", "fastmath": {"contract"}, "nogil": True}
"""No branch for a division by zero; a·b + c as one instruction; other Python threads run meanwhile."""
TELLING = ("Cannot", "Invalid", "No impl", "Unknown", "Unsupported", "Untyped", "Use of", "TypingError:")
"""How the lines begin in which Numba says what is wrong."""
PATIENCE = 1.0  # seconds: a kernel from disk takes less, one that is compiled takes more

_kernels: dict[tuple[Any, ...], Any] = {}


def kernel_of(cell: Cell, loss: Callable[..., float]) -> Any:
    """Return the kernel of a cell and a loss. Numba compiles it for a dtype at the first call.

    Numba keeps the compiled kernel on disk: beside this file, in the user's cache folder, or in `NUMBA_CACHE_DIR`.
    If it can write to none of these folders, every process compiles the kernel again.
    """
    functions: list[Callable[..., Any]] = [cell.forward, cell.backward, loss]
    if cell.reset is not None:
        functions += [cell.reset.forward, cell.reset.backward]
    names = (
        cell.gates,
        cell.states,
        cell.residuals,
        cell.input_gates,
        cell.recurrent_gates,
        cell.reads,
        cell.unit_weights,
    )
    fingerprint = _fingerprint(functions)
    key = (fingerprint, *functions, *names, len(cell.constants), cell.reset.gates if cell.reset else ())
    if key not in _kernels:
        kernel = build(cell, loss, fingerprint)
        try:
            _kernels[key] = njit(cache=True, **OPTIONS)(kernel)
        except RuntimeError:  # no folder for the cache can be written
            _kernels[key] = njit(**OPTIONS)(kernel)
    return _kernels[key]


def compiled(kernel: Any, call: Callable[[], None], what: str) -> None:
    """Call a kernel for the first time, and say so if it must be compiled.

    What was kept on disk and cannot be read is thrown away.
    """
    kept = "once" if kernel.stats.cache_path else "every time: no folder that keeps it can be written"
    with announced(f"{what}, {kept}"):
        try:
            call()
        except (NumbaError, UnsupportedBytecodeError):
            raise
        except Exception:  # unpickling something else can raise anything
            kernel.recompile()
            call()


def reason(error: Exception) -> str:
    """The line of Numba's message that states the cause: the last one, from the innermost error."""
    lines = [line.strip() for line in str(error).splitlines()]
    told = [line for line in lines if line.startswith(TELLING)]
    return (told or lines)[-1]


@contextmanager
def announced(what: str) -> Iterator[None]:
    """Say on standard error that something is being compiled, if it takes longer than loading it would."""
    timer = threading.Timer(PATIENCE, lambda: print(f"memspan: compiling {what}", file=sys.stderr))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _fingerprint(functions: list[Callable[..., Any]]) -> str:
    """A hash of all code that a kernel is made of. Numba's own cache would check only one of the files."""
    these = [*Path(__file__).parent.glob("*.py"), Path(activations.__file__)]
    parts: dict[Any, str] = {}
    for function in functions:
        _add_ingredients(function, parts)
    files = sorted({*these, *(Path(part.co_filename) for part in parts if isinstance(part, CodeType))})
    digest = hashlib.sha256(repr([*parts.values()]).encode())
    for path in files:
        digest.update(path.read_bytes() if path.is_file() else b"")
    return digest.hexdigest()[:32]


def _add_ingredients(function: Any, parts: dict[Any, str]) -> None:
    """Add to `parts` a function's code and the constants it refers to, and those of the functions it calls."""
    function = inspect.unwrap(getattr(function, "py_func", function))
    if not isinstance(function, FunctionType) or function.__module__ == activations.__name__:
        return
    code = function.__code__
    if code in parts:
        return
    parts[code] = f"{function.__module__} {function.__qualname__} {_written(code)}"
    around = inspect.getclosurevars(function)
    for name, value in sorted({**around.globals, **around.nonlocals}.items()):
        if isinstance(value, int | float | complex | tuple):
            parts[code, name] = f"{name} = {value!r}"
        else:
            _add_ingredients(value, parts)


def _written(code: CodeType) -> str:
    """The code object as text, without the memory addresses of nested code objects."""
    inside = [_written(part) if isinstance(part, CodeType) else repr(part) for part in code.co_consts]
    return f"{code.co_code!r} {code.co_names} {inside}"
