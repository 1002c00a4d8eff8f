"""The pages of the Python interface: every public name, by the part of memspan that it comes from."""

import ast
import inspect
import re
from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import memspan
from reference import table, toctree

PARTS = {
    "cells": "Cells and initializers",
    "tasks": "Tasks",
    "losses": "Losses",
    "network": "Networks",
    "training": "Training",
    "gradcheck": "The gradient check",
    "diagnostics": "Diagnostics",
    "span": "Spans: the statistics",
    "study": "Studies, searches and comparisons",
    "execution": "Running them",
    "store": "The store",
    "why": "Limits, predicted and explained",
    "figures": "Figures",
    "report": "Reports",
    "errors": "Errors",
}
"""The titles of the pages, in their order; a page without names is left out."""
MORE = {
    "testing": "For authors of cells, tasks and models",
    "torch": "PyTorch models",
    "jax": "JAX models",
}
"""The packages that are imported by their own name, such as `memspan.testing`."""
SHARED = ("FaultyModel", "choose_form", "time_forms")
"""The names that `memspan.jax` has in common with `memspan.torch`, on whose page they are."""
LIBRARIES = ("torch", "jax", "jaxlib", "flax", "equinox")

INDEX = """\
# Python

`import memspan` gives every name of the first table. A name is imported when it is first used.

{names}

{more}

{contents}
"""


def pages() -> Mapping[str, str]:
    """Return the page of each part, and the index of all names."""
    parts = {part: names for part in PARTS if (names := public().get(part))}
    made = {f"python/{part}.md": page(PARTS[part], "memspan", names) for part, names in parts.items()}
    for part, title in MORE.items():
        made[f"python/{part}.md"] = page(title, f"memspan.{part}", own(part))
    rows = [(f"[{PARTS[part]}]({part}.md)", links("memspan", names)) for part, names in parts.items()]
    more = [(f"[`memspan.{part}`]({part}.md)", links(f"memspan.{part}", own(part))) for part in MORE]
    index = INDEX.format(
        names=table(("part", "names"), rows),
        more=table(("package", "names"), more),
        contents=toctree([*parts, *MORE]),
    )
    return made | {"python/index.md": index}


def public() -> dict[str, list[str]]:
    """Return the public names of memspan by the part that they come from, as `__init__.pyi` lists them."""
    text = Path(memspan.__file__).with_suffix(".pyi").read_text("utf-8")
    found: dict[str, list[str]] = {}
    for part, name in re.findall(r"^from \.(\w+)[\w.]* import (\w+)", text, re.MULTILINE):
        if not name.startswith("_"):
            found.setdefault(part, []).append(name)
    return found


def exported(part: str) -> list[str]:
    """Return the names of a package of its own, whose libraries need not be installed."""
    text = (Path(memspan.__file__).parent / part / "__init__.py").read_text("utf-8")
    return re.findall(r'"(\w+)"', text.partition("__all__ = [")[2])


def own(part: str) -> list[str]:
    """Return the names that the page of a package documents."""
    return [name for name in exported(part) if part != "jax" or name not in SHARED]


def links(module: str, names: list[str]) -> str:
    """Return links to names."""
    return ", ".join(f"{{py:obj}}`{name} <{module}.{name}>`" for name in names)


def page(title: str, module: str, names: list[str]) -> str:
    """Return the page of a part."""
    parts = [f"# {title}", *(f"```{{eval-rst}}\n{directive(module, name)}\n```" for name in names)]
    return "\n\n".join(parts) + "\n"


def directive(module: str, name: str) -> str:
    """Return the directive that documents a name."""
    full, kind = f"{module}.{name}", kind_of(module, name)
    if kind == "data":
        lines = "\n".join(f"   {line}" for line in comment_of(module, name))
        return f".. py:data:: {full}\n\n{lines}"
    members = "" if kind == "function" else "\n   :members:\n   :show-inheritance:"
    return f".. auto{kind}:: {full}{members}"


def kind_of(module: str, name: str) -> str:
    """Return what a name is, for autodoc. Those of packages whose library may be missing are not imported."""
    if module in ("memspan.torch", "memspan.jax"):
        return "class" if name[0].isupper() else "function"
    value = getattr(import_module(module), name)
    if isinstance(value, type):
        return "exception" if issubclass(value, Exception) else "class"
    return "function" if callable(value) else "data"


def comment_of(module: str, name: str) -> list[str]:
    """Return the text below the definition of a variable."""
    part = module.removeprefix("memspan.") if module != "memspan" else part_of(name)
    for path in sorted((Path(memspan.__file__).parent / part).glob("*.py")):
        for line, below in pairwise(ast.parse(path.read_text("utf-8")).body):
            if isinstance(line, ast.AnnAssign | ast.Assign) and name == re.match(r"\w+", ast.unparse(line))[0]:
                return inspect.cleandoc(ast.literal_eval(below.value)).splitlines()
    raise LookupError(f"{module}.{name} has no text below its definition")


def part_of(name: str) -> str:
    """Return the part of memspan that a public name comes from."""
    return next(part for part, names in public().items() if name in names)


def import_models() -> None:
    """Import the packages for PyTorch and JAX, with stand-ins for libraries that are not installed."""
    from sphinx.ext.autodoc.mock import mock

    missing = [library for library in LIBRARIES if find_spec(library) is None]
    with mock(missing):
        if "jax" in missing:
            tree_util = import_module("jax.tree_util")
            tree_util.register_pytree_with_keys_class = lambda kind: kind
        for part in ("torch", "jax"):
            import_module(f"memspan.{part}")
