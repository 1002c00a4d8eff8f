"""Who may import whom, and what no source file may do: read from the syntax trees."""

import ast
from pathlib import Path

import pytest

import memspan

ROOT = Path(memspan.__file__).parent
LAYERS = [
    *(
        "_version",
        "suggestions",
        "errors",
        "shapes",
        "runtime",
        "cells",
        "losses",
        "tasks",
        "engines",
        "network",
    ),
    *(
        "gradcheck",
        "diagnostics",
        "span",
        "figures",
        "foreign",
        "torch",
        "jax",
        "training",
        "testing",
        "study",
        "store",
        "execution",
        "why",
        "report",
        "reproduce",
        "bench",
        "cli",
    ),
    "__main__",
]
MODULES = sorted(ROOT.rglob("*.py"))
FOR_A_SHELL = {"generate_completion", "install_completion"}
SERIALISERS = {"pickle", "_pickle", "dill", "cloudpickle", "marshal", "shelve"}

every_module = pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())


def layer_of(path):
    """The folder or file directly below the package."""
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imported_modules(tree, path):
    """Absolute dotted names of all that is imported, wherever in the file."""
    package = ("memspan", *path.relative_to(ROOT).parts[:-1])
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            begin = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join((*begin, *filter(None, [node.module])))
            # `from memspan import cells` names the layer after the import.
            yield from (f"memspan.{alias.name}" for alias in node.names) if module == "memspan" else [module]


def misplaced(layer, modules):
    """Which of the imported modules are not above `layer`."""
    layers = [name.split(".")[1] if "." in name else "" for name in modules if name.split(".")[0] == "memspan"]
    above = LAYERS[: LAYERS.index(layer) + 1]
    return [name for name in layers if name not in above]


@every_module
def test_a_module_imports_only_from_those_above_it(path):
    layer = layer_of(path)
    if layer == "__init__":
        return
    assert layer in LAYERS, f"{layer} is new: add it to LAYERS in {Path(__file__).name}, below all that it imports"
    found = misplaced(layer, imported_modules(ast.parse(path.read_text("utf-8")), path))
    assert not found, f"{layer} may import only from what is above it in LAYERS, not from {found}"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import numpy\nfrom memspan.errors import NotReady", []),
        ("from memspan.cells.base import Cell", []),
        ("from memspan.network import RNN", ["network"]),
        ("import memspan.network", ["network"]),
        ("from memspan import network", ["network"]),
        ("from ..network import RNN", ["network"]),
        ("from .. import network", ["network"]),
        ("from . import base", []),
        ("def f():\n    from memspan.engines.readable import unroll", ["engines"]),
        ("import memspan", [""]),
        ("from memspan import RNN", ["RNN"]),
        ("from memspan.engines.compiled import fast", ["engines"]),
    ],
)
def test_the_reader_of_imports_misses_no_spelling(source, expected):
    path = ROOT / "cells" / "new.py"
    assert misplaced("cells", imported_modules(ast.parse(source), path)) == expected


def _name(function):
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def dangers(tree):
    """Uses of pickle and its kin, eval, exec, and a shell (except the name of the shell to make a script for)."""
    scripts = [call for call in ast.walk(tree) if isinstance(call, ast.Call) and _name(call.func) in FOR_A_SHELL]
    harmless = [keyword for call in scripts for keyword in call.keywords]
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names if alias.name.split(".")[0] in SERIALISERS)
            case ast.ImportFrom(module=str(module)) if module.split(".")[0] in SERIALISERS:
                yield module
            case ast.Call(func=ast.Name(id="eval" | "exec" as name)):
                yield name
            case ast.Call(func=ast.Attribute(value=ast.Name(id="os"), attr="system" | "popen" as name)):
                yield f"os.{name}"
            case ast.keyword(arg="shell" | "allow_pickle" as name, value=value) if node not in harmless:
                if not (isinstance(value, ast.Constant) and value.value is False):
                    yield name


@every_module
def test_no_source_file_runs_what_it_reads(path):
    assert list(dangers(ast.parse(path.read_text("utf-8")))) == []


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import pickle", ["pickle"]),
        ("from pickle import loads", ["pickle"]),
        ("import numpy, cloudpickle.compat", ["cloudpickle.compat"]),
        ("eval('1')", ["eval"]),
        ("def f():\n    exec(code)", ["exec"]),
        ("subprocess.run(c, shell=True)", ["shell"]),
        ("subprocess.run(c, shell=maybe)", ["shell"]),
        ("subprocess.run(c, shell=False)", []),
        ("os.system(c)", ["os.system"]),
        ("np.load(f, allow_pickle=True)", ["allow_pickle"]),
        ("np.load(f, allow_pickle=False)", []),
        ("model.eval()", []),
    ],
)
def test_the_reader_of_dangers_sees_them(source, expected):
    assert list(dangers(ast.parse(source))) == expected
