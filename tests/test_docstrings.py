"""The examples in docstrings are true."""

import doctest
import importlib
import pkgutil

import pytest

import memspan

MODULES = [
    name for _, name, _ in pkgutil.walk_packages(memspan.__path__, "memspan.") if not name.endswith("__main__")
]


def imported(name):
    """The module; memspan.torch only where PyTorch is installed."""
    if name.startswith("memspan.torch"):
        pytest.importorskip("torch", reason="PyTorch is not installed")
    return importlib.import_module(name)


@pytest.mark.parametrize("name", ["memspan", *MODULES])
def test_examples(name):
    module = imported(name)
    found = doctest.testmod(module)
    assert found.failed == 0


def test_there_are_examples():
    finder = doctest.DocTestFinder()
    names = [name for name in MODULES if not name.startswith("memspan.torch")]
    examples = sum(len(test.examples) for name in names for test in finder.find(importlib.import_module(name)))
    assert examples > 20
