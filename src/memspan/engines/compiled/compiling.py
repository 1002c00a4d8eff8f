"""Compile the kernel of a cell once, or load it from disk if an earlier process has compiled it."""

import hashlib
import inspect
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

from numba import njit
from numba.core.errors import NumbaError, UnsupportedBytecodeError
from numba.core.event import Listener, install_listener

from memspan.cells import Cell, activations
from memspan.engines.compiled.kernel import build
from memspan.runtime.notices import say_once

OPTIONS: dict[str, Any] = {
    "error_model": "numpy",  # do not check for division by zero
    "fastmath": {"contract"},  # fuse a·b + c into one instruction
    "nogil": True,
    "no_cfunc_wrapper": True,  # only Python calls a kernel
}
"""The options of Numba for kernels."""
UNCOMPILABLE = (NumbaError, UnsupportedBytecodeError)
"""The errors of Numba for code that it cannot compile."""
CAUSES = ("Cannot", "Invalid", "No impl", "Unknown", "Unsupported", "Untyped", "Use of", "TypingError:")
"""The beginnings of the lines in Numba's messages that state the cause of an error."""
LOADING_SECONDS = 2.0  # loading a kernel takes less unless the machine is busy; after that a message is printed

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
        except RuntimeError:  # Numba can write to no cache folder
            _kernels[key] = njit(**OPTIONS)(kernel)
    return _kernels[key]


def first_call(kernel: Any, call: Callable[[], None], what: str) -> None:
    """Make the first call of a kernel. Numba loads the kernel from its cache, or compiles it and caches it.

    An unreadable cache entry is discarded. If the disk fails, the kernel works without the cache.
    """
    with announcement(kernel, what):
        for recover in (_discard, _do_without_disk):  # the second is for errors that remain after the first
            try:
                call()
                return
            except UNCOMPILABLE:
                raise
            except Exception as error:  # unpickling a foreign file can raise any exception
                recover(kernel, error)
        call()


def _discard(kernel: Any, error: Exception) -> None:
    """Discard the cache entry of a kernel and compile the kernel again."""
    try:
        if isinstance(error, OSError):
            raise error
        kernel.recompile()
    except OSError as failure:
        _do_without_disk(kernel, failure)


def _do_without_disk(kernel: Any, error: Exception) -> None:
    """Disable the cache of a kernel. Versions that are already compiled stay in use."""
    if isinstance(error, OSError):
        why = error.strerror or error
        say_once(f"memspan: cannot write compiled cells to disk ({why}); every process will compile them again")
    kernel._cache.disable()


def reason(error: Exception) -> str:
    """Return the line of Numba's message that states the cause: the last one, from the innermost error."""
    lines = [line.strip() for line in str(error).splitlines()]
    causes = [line for line in lines if line.startswith(CAUSES)]
    return (causes or lines)[-1]


@contextmanager
def announcement(kernel: Any, what: str) -> Iterator[None]:
    """Print once, on standard error, that a kernel is being compiled, or that loading it takes long."""
    timer = threading.Timer(LOADING_SECONDS, say_once, [f"memspan: loading {what}"])
    timer.daemon = True
    timer.start()
    try:
        with install_listener("numba:compile", _Compiling(kernel, what, timer)):
            yield
    finally:
        timer.cancel()


class _Compiling(Listener):  # type: ignore[misc]  # Numba has no types
    """A listener to all events of Numba's compiler, which prints a message for one kernel."""

    def __init__(self, kernel: Any, what: str, loading: threading.Timer) -> None:
        self.kernel, self.what, self.loading = kernel, what, loading

    def on_start(self, event: Any) -> None:
        if event.data["dispatcher"] is self.kernel:
            self.loading.cancel()
            cached = bool(self.kernel.stats.cache_path)
            often = "once" if cached else "in every process, because no cache folder is writable"
            say_once(f"memspan: compiling {self.what}, {often}")

    def on_end(self, event: Any) -> None:
        """Do nothing; Numba requires this method."""


def _fingerprint(functions: list[Callable[..., Any]]) -> str:
    """Return a hash of all code that a kernel is made of. Numba's own cache would check only one of the files."""
    own = [*Path(__file__).parent.glob("*.py"), Path(activations.__file__)]
    parts: dict[Any, str] = {}
    for function in functions:
        _add_ingredients(function, parts)
    files = sorted({*own, *(Path(part.co_filename) for part in parts if isinstance(part, CodeType))})
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
    """Return a code object as text, without the memory addresses of nested code objects."""
    inside = [_written(part) if isinstance(part, CodeType) else repr(part) for part in code.co_consts]
    return f"{code.co_code!r} {code.co_names} {inside}"
