"""Fingerprints of the code of a study: one for each of its cells, tasks and initializers.

A fingerprint covers the numbers that the part holds, the source of its functions (`memspan.study.source`), and the
functions, classes and constants that these use. Code of installed libraries is left out; of memspan itself, cells,
tasks, losses and what chooses the critical gain count. A function without source, such as one typed at Python's
prompt, counts by its bytecode. The fingerprint then begins with the version of Python, and can be compared only
within that version.
"""

import functools
import hashlib
import inspect
import sys
from collections.abc import Iterable, Mapping
from dataclasses import fields
from importlib.metadata import version
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

from memspan.cells import CELLS, INITIALIZERS, Cell
from memspan.cells.initializers import CRITICAL
from memspan.losses import MeanLoss
from memspan.runtime.imports import distributions, imported, is_factory, is_path, library_of
from memspan.shapes import Array
from memspan.study.choices import Choices
from memspan.study.critical import critical_gain
from memspan.study.source import names_in, source_of, top_level_source
from memspan.study.trial import VERSION
from memspan.tasks import TASKS, Task

COMPUTES = {
    Task: ("shape", "draws", "make", "make_loss", "correct", "mask", "noise_free", "sample", "accuracy"),
    MeanLoss: ("forward", "backward", "into", "kind", "check_labels"),
}
"""The methods on which a trial depends. Methods that only describe the task or state theory are left out."""
MADE_BY = ("__new__", "__init__", "__post_init__", "__call__")
RULES = "the training loop"
"""The key of `memspan.study.trial.VERSION` among fingerprints. Studies without the key have version 1."""
OWN_PARTS = ("cells", "tasks", "losses", "foreign", "torch", "jax")
OWN_MODULES = ("memspan.study.critical", "memspan.diagnostics.label", "memspan.diagnostics.twins")
"""The modules that choose the critical gain."""
LARGE = 2**16  # bytes
PLAIN = bool | int | float | complex | str | bytes | None


def parts_of(choices: Choices) -> list[str]:
    """The keys of the fingerprints of a configuration or a study, such as `cell lstm`, without `RULES`."""
    values = choices.values()
    return with_distributions(
        f"{kind} {name}" for kind in ("cell", "task", "init") for name in values[kind] if name is not None
    )


def with_distributions(names: Iterable[str]) -> list[str]:
    """These keys, and those of the distributions that have the parts of the user's own among them."""
    parts = list(names)
    paths = ((kind, path) for kind, path in (part.split(" ", 1) for part in parts) if is_path(path))
    packages = dict.fromkeys(one for kind, path in paths for one in _packages(kind, path))
    return [*parts, *(f"distribution {one}" for one in packages)]


def _packages(kind: str, path: str) -> list[str]:
    """The distribution that has a part of the user's own, and that of the library of a factory's models."""
    part = imported(kind, path)
    return distributions(path) + ([library_of(part)] if is_factory(part) else [])


def fingerprints(choices: Choices) -> dict[str, str]:
    """The fingerprints of a configuration or a study by their keys (`parts_of`), and the version of the rules.

    This imports the user's own cells and tasks. For one from an installed distribution, the version of the
    distribution is a fingerprint too.
    """
    return fingerprints_of(parts_of(choices))


def fingerprints_of(names: Iterable[str]) -> dict[str, str]:
    """The fingerprints under these keys, and the version of the rules of a trial."""
    return {name: _fingerprint_of(*name.split(" ", 1)) for name in names} | {RULES: str(VERSION)}


def _fingerprint_of(kind: str, name: str) -> str:
    if kind == "distribution":
        return version(name)
    if is_path(name):
        return fingerprint(imported(kind, name))
    known: dict[str, Mapping[str, Any]] = {
        "cell": CELLS,
        "task": TASKS,
        "init": INITIALIZERS | {CRITICAL: critical_gain},
    }
    return fingerprint(known[kind][name])


def fingerprint(part: Any) -> str:
    """The fingerprint of a cell, task or function: hexadecimal digits, for bytecode after a version of Python."""
    reader = _Reader(part)
    digest = hashlib.sha256(reader.text(part).encode()).hexdigest()[:16]
    return f"{sys.version_info[0]}.{sys.version_info[1]}:{digest}" if reader.by_bytecode else digest


def changed(old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    """The parts whose fingerprints differ. Parts whose fingerprints cannot be compared are not listed."""
    return [
        name for name in old.keys() & new.keys() if _comparable(old[name], new[name]) and old[name] != new[name]
    ]


def unchecked(old: Mapping[str, str], new: Mapping[str, str], used: Iterable[str]) -> list[str]:
    """The parts in `used` whose old fingerprint is missing or cannot be compared."""
    return [name for name in used if name not in old or not _comparable(old[name], new[name])]


def _comparable(one: str, other: str) -> bool:
    return one.rpartition(":")[0] == other.rpartition(":")[0]


class _Reader:
    """Writes an object and everything that it uses as one text, each function, class and object once."""

    def __init__(self, root: Any) -> None:
        self.home = _package(_module(_first_function(root)))
        self.by_bytecode = False
        self.numbers: dict[int, int] = {}
        self.alive: list[Any] = []  # Python may give the id of a deleted object to another one

    def text(self, value: Any) -> str:
        """The text of any value; `#N` for an object that was written before."""
        value = self.bare(value)
        if isinstance(value, PLAIN):
            return f"{type(value).__name__} {value!r}"
        if isinstance(value, np.ndarray | np.generic):
            array = np.asarray(value)
            content = self.list(array.tolist()) if array.dtype.hasobject else _written(array)
            return f"array {array.dtype.str} {array.shape} {content}"
        if id(value) in self.numbers:
            return f"#{self.numbers[id(value)]}"
        self.numbers[id(value)] = len(self.numbers)
        self.alive.append(value)
        try:
            return f"{type(value).__name__}({self.inside(value)})"
        finally:
            # Python decides whether two equal containers are one object, so these are written each time.
            if isinstance(value, tuple | list | set | frozenset | Mapping):
                del self.numbers[id(value)]

    def bare(self, value: Any) -> Any:
        """Return a function without decorators that come from libraries."""
        while not isinstance(value, type) and not self.follows(value):
            inner = getattr(value, "__wrapped__", getattr(value, "py_func", None))
            if inner is None:
                break
            value = inner
        return value

    def inside(self, value: Any) -> str:
        """The text of the contents of an object, according to its type."""
        match value:
            case FunctionType():
                return self.function(value)
            case MethodType():
                return self.list([value.__func__, value.__self__])
            case functools.partial():
                return self.list([value.func, value.args, value.keywords])
            case staticmethod() | classmethod():
                return self.text(value.__func__)
            case property():
                return self.list([value.fget])
            case type():
                return self.of_class(value, None)
            case Mapping():
                return self.list(value.items())
            case set() | frozenset():
                return ", ".join(sorted(map(self.text, value)))
            case tuple() | list():
                return self.list(value)
            case Cell():
                left_out = {"name", "source", "sigmoid_gates"}
                kept = {
                    item.name: getattr(value, item.name) for item in fields(value) if item.name not in left_out
                }
                return self.list([kept, INITIALIZERS[value.init]])
        if not self.follows(value):  # an object of a library counts by its name
            return f"{_module(value)}.{getattr(value, '__name__', '')}"
        return self.list([type(value), getattr(value, "__dict__", {})])

    def list(self, values: Iterable[Any]) -> str:
        """The texts of several values, separated by commas."""
        return ", ".join(map(self.text, values))

    def function(self, function: FunctionType) -> str:
        """The source of a function, its defaults, and the closed-over and global values that it uses."""
        code, namespace = function.__code__, function.__globals__
        if not self.follows(function):
            return f"{_module(function)}.{function.__qualname__}"
        source = source_of(code, namespace)
        if source is None:
            self.by_bytecode = True
            source = _bytecode(code)
        closed = [_content(cell) for cell in function.__closure__ or ()]
        used = {name: self.of_module(name, code.co_filename, namespace, code) for name in sorted(names_in(code))}
        others = [function.__defaults__, function.__kwdefaults__, closed]
        return "\n".join([source, self.list(others), *(f"{name}: {text}" for name, text in used.items() if text)])

    def of_module(self, name: str, filename: str, namespace: dict[str, Any], code: CodeType) -> str:
        """The text of a global of a function's module; empty if there is none or it belongs to a library."""
        value = namespace.get(name)
        if name not in namespace or name == "__builtins__":
            return ""
        if isinstance(value, ModuleType):
            inside = sorted(names_in(code) & vars(value).keys()) if self.follows(value) else []
            return ", ".join(
                f"{one}: {self.of_module(one, str(value.__file__), vars(value), code)}" for one in inside
            )
        if isinstance(value, dict | list | set):  # it may be a cache, which fills while the program runs
            return top_level_source(name, filename, namespace) or self.text(value)
        value = self.bare(value)
        callable_there = isinstance(value, FunctionType | type)
        return self.text(value) if not callable_there or self.follows(value) else ""

    def of_class(self, kind: type, names: Iterable[str] | None) -> str:
        """The text of a class: the attributes `names` and all that they use, inherited ones included.

        Base classes from libraries are left out. By default it begins with the methods that trials depend on.
        """
        if not self.follows(kind):
            return f"{kind.__module__}.{kind.__qualname__}"
        owners = [owner for owner in kind.__mro__ if self.follows(owner)]
        if names is None:
            roots = next((names for base, names in COMPUTES.items() if issubclass(kind, base)), None)
            every = (name for owner in owners for name in vars(owner) if not name.startswith("__"))
            names = (*(every if roots is None else roots), *MADE_BY)
        todo, found = list(names), dict[str, str]()
        while todo:
            name = todo.pop(0)
            if name in found:
                continue
            parts = [vars(owner)[name] for owner in owners if name in vars(owner)]
            parts = [part for part in parts if not self.generated(name, part)]
            beyond = next((k for k, part in enumerate(parts) if "super" not in self.names(part)), len(parts))
            parts = parts[: beyond + 1]  # with the inherited ones that `super` reaches
            found[name] = self.list(parts)
            todo += sorted(set().union(*map(self.names, parts)))
        return "\n".join(f"{name}: {text}" for name, text in sorted(found.items()) if text)

    def names(self, part: Any) -> set[str]:
        """The names that a method looks up."""
        code = getattr(self.bare(_inner(part)), "__code__", None)
        return set() if code is None else names_in(code)

    def generated(self, name: str, part: Any) -> bool:
        """Whether Python or a library generated a part of a class, such as the methods of a dataclass."""
        inner = self.bare(_inner(part))
        if isinstance(inner, FunctionType):
            return not self.follows(inner) or (
                name.startswith("__") and inner.__code__.co_filename.startswith("<")
            )
        return name.startswith("__") or inspect.isdatadescriptor(inner)

    def follows(self, part: Any) -> bool:
        """Whether a function, class or module counts by its contents instead of its name."""
        module = _module(part)
        package = _package(module)
        if package == "memspan":
            return module in OWN_MODULES or (module.split(".")[1:2] != [] and module.split(".")[1] in OWN_PARTS)
        return package == self.home or not _of_library(module)


def _first_function(part: Any) -> Any:
    """The function or class whose module is the home of a part."""
    while isinstance(part, functools.partial):
        part = part.func
    if isinstance(part, Cell):
        return _first_function(part.forward)
    return part if isinstance(part, FunctionType | type) else type(part)


def _module(part: Any) -> str:
    """The name of the module of a part; for a decorated function, the module of its decorator."""
    if isinstance(part, FunctionType):
        return str(part.__globals__.get("__name__"))
    if isinstance(part, ModuleType):
        return part.__name__
    return str((part if isinstance(part, type) else type(part)).__module__)


def _written(array: Array) -> str:
    """The numbers of an array in hexadecimal; of a large one their SHA-256."""
    if array.nbytes <= LARGE:
        return array.tobytes().hex()
    return hashlib.sha256(array.tobytes()).hexdigest()


def _package(module: str) -> str:
    return module.partition(".")[0]


def _of_library(module: str) -> bool:
    """Whether a module was installed or belongs to Python's standard library."""
    file = getattr(sys.modules.get(module), "__file__", None)
    installed = file is not None and any(part in ("site-packages", "dist-packages") for part in _parts(file))
    return installed or _package(module) in sys.stdlib_module_names - {"__main__"}


def _parts(file: str) -> list[str]:
    return file.replace("\\", "/").split("/")


def _inner(part: Any) -> Any:
    """The function of a method, static method, class method or property."""
    return getattr(part, "__func__", getattr(part, "fget", part))


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not assigned yet
        return None


def _bytecode(code: CodeType) -> str:
    """The bytecode, names and constants of a function as a text; the docstring is one of the constants."""
    inside = [_bytecode(part) if isinstance(part, CodeType) else repr(part) for part in code.co_consts]
    return repr((code.co_code.hex(), code.co_names, code.co_varnames, inside))
