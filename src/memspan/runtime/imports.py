"""Import paths: names such as `mypkg.cells:Leaky2`, by which memspan finds a cell or a task of the user's own.

Worker processes and Dask workers import by the same path. So a part must lie at the top level of a module that can
be imported there; objects of the main program, lambdas and closures are refused.
"""

import importlib
import inspect
import os
import re
import sys
from collections.abc import Mapping
from functools import cache
from typing import Any

from memspan.errors import InvalidArgument, did_you_mean, shown

PATH = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")
GROUPS = {"cell": "memspan.cells", "task": "memspan.tasks"}
"""The groups of entry points by which an installed distribution names its cells and tasks."""
EXTRAS = {"torch": "torch", "jax": "jax", "jaxlib": "jax", "flax": "jax", "equinox": "jax"}
"""The extra of memspan that installs a library."""
MODELS = ("torch", "flax", "equinox")
"""The packages whose classes a model may have."""
EXAMPLES = {"cell": "mypkg.cells:mine", "task": "mypkg.tasks:Mine", "part": "mypkg.cells:mine"}


class NotImported(InvalidArgument):
    """A part of the user's own cannot be imported.

    The arguments are the kind of part, its import path, and what prevents the import.
    """

    def __init__(self, name: str, path: str, why: str) -> None:
        super().__init__(name, path, why)
        self.args = (name, path, why)  # unpickling calls __init__ with these

    def __str__(self) -> str:
        name, path, why = self.args
        return f"The {name} {path} cannot be imported: {why}."


def name_of(kind: str, part: Any, known: Mapping[str, Any]) -> str:
    """Return the name or the import path of a part, without importing it.

    Parameters
    ----------
    kind : str
        `cell` or `task`.
    part : str or object
        A name of memspan's, a name among the entry points, an import path, or the part itself.
    known : mapping
        memspan's own parts by name.

    Raises
    ------
    InvalidArgument
        If the name is unknown, or the part itself has no import path.
    """
    if not isinstance(part, str):
        return next((name for name, one in known.items() if one is part), None) or path_of(kind, part)
    if part in known:
        return part
    path = part if is_path(part) else entry_points(kind).get(part)
    if path is None:
        names = [*known, *entry_points(kind)]
        rule = f"one of {', '.join(names)}, or an import path such as {EXAMPLES[kind]}"
        raise InvalidArgument(kind, rule, shown(part), did_you_mean(part, names))
    return checked_path(kind, path)


def is_path(name: object) -> bool:
    """Whether a name is meant as an import path, because it contains a colon."""
    return isinstance(name, str) and ":" in name


def checked_path(kind: str, path: str) -> str:
    """Return an import path; raise `InvalidArgument` unless it has the form `package.module:attribute`."""
    if not PATH.fullmatch(path):
        rule = f"an import path of the form package.module:attribute, such as {EXAMPLES[kind]}"
        raise InvalidArgument(kind, rule, shown(path))
    if path.partition(":")[0] == "__main__":
        raise InvalidArgument(kind, _in_a_module(kind), shown(path))
    return path


def path_of(kind: str, part: Any) -> str:
    """Return the import path of a function, a class or an object at the top level of a module.

    Raises
    ------
    InvalidArgument
        If the part belongs to the main program, is a lambda or a closure, or has no name in its module. The
        message says what to do.
    """
    if kind == "cell":
        _demand_no_model(kind, part, "")
    module, name = getattr(part, "__module__", None), getattr(part, "__qualname__", None)
    if name is None:  # an object, such as a Cell or a Task
        module, name = _found(part)
    if module is None or name is None or module == "__main__" or "<" in name or not _may_hold(kind, module):
        raise InvalidArgument(kind, _in_a_module(kind), _described(part, module, name))
    return checked_path(kind, f"{module}:{name}")


def _may_hold(kind: str, module: str) -> bool:
    """Whether a module can have parts of a kind: Python's own have none, memspan's are in one folder."""
    package, *inside = module.split(".")
    return package not in sys.stdlib_module_names and (package != "memspan" or inside[:1] == [f"{kind}s"])


def _found(part: Any) -> tuple[str | None, str | None]:
    """Return a module that has this object at its top level, and its name there; the main program comes last."""
    for module in sorted(sys.modules, key=lambda name: name == "__main__"):
        for name, value in list(getattr(sys.modules[module], "__dict__", {}).items()):
            if value is part:
                return module, name
    return None, None


def loaded(kind: str, path: str) -> Any:
    """Return the part of an import path if this process has imported its module already; None otherwise.

    None too if the module no longer has the part: it may have changed since a study was stored.
    """
    if path.partition(":")[0] not in sys.modules:
        return None
    try:
        return imported(kind, path)
    except NotImported:
        return None


def imported(kind: str, path: str) -> Any:
    """Import the part of an import path.

    Modules are searched on Python's path, and after it in the current folder, which worker processes inherit.

    Raises
    ------
    NotImported
        If the module or the attribute does not exist, or the module raises an error. The message names the cause.
    """
    module, _, attribute = checked_path(kind, path).partition(":")
    if os.getcwd() not in sys.path and "" not in sys.path:
        sys.path.append(os.getcwd())
    try:
        part: Any = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{module}.".startswith(f"{error.name}."):
            where = "in the current folder or on Python's path"
            raise NotImported(kind, path, f"there is no module {error.name} {where}") from None
        raise NotImported(kind, path, f"the module {module} needs {missing(error)}") from error
    except (Exception, SystemExit) as error:  # a script may call sys.exit
        raise NotImported(kind, path, f"{module} raises {type(error).__name__}: {error}") from error
    for name in attribute.split("."):
        if not hasattr(part, name):
            raise NotImported(kind, path, f"{module} has no attribute {attribute}")
        part = getattr(part, name)
    return part


def missing(error: ModuleNotFoundError) -> str:
    """Say of a library that it is not installed, and how it can be."""
    extra = EXTRAS.get(str(error.name).partition(".")[0])
    return f"{error.name}, which is not installed" + (f" (pip install 'memspan[{extra}]')" if extra else "")


def made(kind: str, path: str, make: Any, wanted: tuple[type, ...], options: Mapping[str, Any]) -> Any:
    """Call an imported function or class with some options, and return what it makes.

    Raises
    ------
    InvalidArgument
        If it cannot be called, raises an error or makes something else than `wanted`. The message names the cause.
    """
    if kind in ("cell", "part"):
        _demand_no_model(kind, make, f"{path}, which is ")
    names = " or a ".join(one.__name__ for one in wanted)
    rule = f"the import path of a {names} or of a function that returns one"
    if not callable(make):
        raise InvalidArgument(kind, rule, f"{path}, which is {shown(make)}")
    models = "; the factory of PyTorch or JAX models must have features and outputs as its first arguments"
    hint = models if kind in ("cell", "part") else ""
    try:
        found = make(**options)
    except (Exception, SystemExit) as error:  # a script may call sys.exit
        raise InvalidArgument(kind, rule, f"{path}, which raises {type(error).__name__}: {error}", hint) from error
    if not isinstance(found, wanted):
        raise InvalidArgument(kind, rule, f"{path}, which returns {shown(found)}", hint)
    return found


def _demand_no_model(kind: str, part: Any, where: str) -> None:
    """Raise if a part is a model of PyTorch or JAX, or its class, instead of a function that returns one."""
    made_of = part if isinstance(part, type) else type(part)
    library = next((one.__module__ for one in made_of.__mro__ if one.__module__.partition(".")[0] in MODELS), None)
    if library is None or is_factory(part):
        return
    package, name = library.partition(".")[0], made_of.__name__
    what = f"the class {name} of {package} models" if made_of is part else f"a {package} model of the class {name}"
    rule = "a function (features, outputs, hidden) that returns the model"
    raise InvalidArgument(kind, rule, f"{where}{what}", "; write such a function")


def is_factory(part: object) -> bool:
    """Whether an imported part makes models of another library: its first arguments are features and outputs."""
    return [one.name for one in arguments_of(part)][:2] == ["features", "outputs"]


def library_of(factory: object) -> str:
    """Return `jax` for a factory of JAX models, which draw their weights from an argument `key`, else `torch`."""
    return "jax" if "key" in {one.name for one in arguments_of(factory)} else "torch"


def arguments_of(function: object) -> list[inspect.Parameter]:
    """Return the parameters of a function or class; none if it is not callable or does not tell them."""
    try:
        return list(inspect.signature(function).parameters.values())  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return []


@cache
def entry_points(kind: str) -> dict[str, str]:
    """Return the import paths of the parts that installed distributions name, by their names."""
    from importlib.metadata import entry_points  # it takes a while to import

    return {one.name: one.value for one in entry_points(group=GROUPS[kind])}


def origin(path: str) -> str:
    """Return where a part comes from: the distribution and its version, else the file of its module.

    Nothing is imported. Empty if neither is known.
    """
    if names := distributions(path):
        from importlib.metadata import version

        return ", ".join(f"{name} {version(name)}" for name in names)
    module = sys.modules.get(path.partition(":")[0])
    return str(getattr(module, "__file__", None) or "")


def distributions(path: str) -> list[str]:
    """Return the names of the installed distributions that have the package of an import path."""
    package = path.partition(":")[0].partition(".")[0]
    return sorted(set(_distributions().get(package, ())))


@cache
def _distributions() -> dict[str, list[str]]:
    """The distributions that have installed a package, by the name of the package."""
    from importlib.metadata import packages_distributions

    return dict(packages_distributions())


def _in_a_module(kind: str) -> str:
    return (
        f"at the top level of a module that worker processes can import (move it to a file, and give its import "
        f"path, such as {EXAMPLES[kind]})"
    )


def _described(part: Any, module: str | None, name: str | None) -> str:
    """Describe a part that has no import path."""
    if module == "__main__":
        return f"{name or shown(part)} of the main program"
    if name is not None and "<lambda>" in name:
        return "a lambda"
    if name is not None and "<locals>" in name:
        return f"{name.rpartition('.')[2]}, which is defined inside a function"
    return shown(part)
