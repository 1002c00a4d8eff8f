"""Nothing is imported but the standard library, memspan, and what pyproject.toml declares."""

import ast
import re
import sys
import tomllib
from pathlib import Path

import pytest

import memspan

ROOT = Path(memspan.__file__).parent
PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text("utf-8"))["project"]
OF_EXTRAS = {
    "torch": "torch/",
    "jax": "jax/",
    "flax": "jax/",
    "equinox": "jax/",
    "distributed": "execution/dask.py",
}
"""Modules of an extra's own. They are imported only by users who have the extra."""
PARTS = {"llvmlite": "numba", "pydantic_core": "pydantic", "jaxlib": "jax"}
"""Distributions that another one requires in one version only, and is made of."""
OPTIONAL = {"pandas", "IPython"}
"""What an object is converted to, or shown in, for users who have it anyway."""


def names_of(requirements):
    """The names of distributions as those of their modules."""
    return {re.split(r"[^\w.-]", one)[0].lower().replace("-", "_") for one in requirements}


CORE = names_of(PROJECT["dependencies"])
EXTRAS = {
    name
    for extra, listed in PROJECT["optional-dependencies"].items()
    for name in names_of(listed)
    if extra not in ("dev", "docs")
}


def imports_of(tree):
    """Yield the first part of each imported name, and whether the module is imported without it."""
    guarded = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Try)
        or (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test))
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name.partition(".")[0], id(node) in guarded) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield str(node.module).partition(".")[0], id(node) in guarded


def undeclared(tree, path):
    """The imports that pyproject.toml does not allow in a module, such as `torch` outside a function."""
    for module, guarded in imports_of(tree):
        name = PARTS.get(module, module)
        own = path.startswith(OF_EXTRAS.get(name, "no path"))
        if name == "memspan" or name in sys.stdlib_module_names or name.lower() in CORE or own:
            continue
        if not (guarded and (name in EXTRAS or name in OPTIONAL)):
            yield name


MODULES = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*.py"))


@pytest.mark.parametrize("path", MODULES)
def test_a_module_imports_only_what_is_declared(path):
    assert [*undeclared(ast.parse((ROOT / path).read_text("utf-8")), path)] == []


def test_everything_that_is_declared_is_imported():
    found = {name for path in MODULES for name, _ in imports_of(ast.parse((ROOT / path).read_text("utf-8")))}
    by_sqlalchemy = {"psycopg"}
    assert {*CORE, *EXTRAS} - {name.lower() for name in found} == by_sqlalchemy


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import numpy as np, json", []),
        ("import requests", ["requests"]),
        ("from yaml.nodes import Node", ["yaml"]),
        ("import torch", ["torch"]),
        ("def f():\n    import torch", []),
        ("def f():\n    import requests", ["requests"]),
        ("try:\n    import pyarrow\nexcept ImportError:\n    pass", []),
        ("if TYPE_CHECKING:\n    from jax import Array", []),
        ("from . import base", []),
    ],
)
def test_the_reader_sees_what_is_not_declared(source, expected):
    assert [*undeclared(ast.parse(source), "study/new.py")] == expected


def test_a_module_of_an_extra_may_import_it():
    assert [*undeclared(ast.parse("import torch"), "torch/new.py")] == []
    assert [*undeclared(ast.parse("import torch"), "jax/new.py")] == ["torch"]
