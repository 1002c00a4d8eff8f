"""The examples in docstrings are true."""

import doctest
import importlib
import pkgutil

import pytest

import memspan

MODULES = [
    name for _, name, _ in pkgutil.walk_packages(memspan.__path__, "memspan.") if not name.endswith("__main__")
]


@pytest.mark.parametrize("name", ["memspan", *MODULES])
def test_examples(name):
    if name.split(".")[1:2] == ["torch"]:
        pytest.importorskip("torch", reason="PyTorch is not installed")
    module = importlib.import_module(name)
    found = doctest.testmod(module)
    assert found.failed == 0


def test_there_are_examples():
    finder = doctest.DocTestFinder()
    examples = sum(len(test.examples) for name in MODULES for test in finder.find(importlib.import_module(name)))
    assert examples > 20
