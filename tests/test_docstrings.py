"""The examples in docstrings are true."""

import doctest
import importlib
import pkgutil

import pytest

import memspan

MODULES = [
    name for _, name, _ in pkgutil.walk_packages(memspan.__path__, "memspan.") if not name.endswith("__main__")
]


NEEDED = {"memspan.torch": ("torch",), "memspan.jax": ("jax", "flax", "equinox")}
"""What the packages for other libraries import."""


@pytest.mark.parametrize("name", ["memspan", *MODULES])
def test_examples(name):
    for library in NEEDED.get(".".join(name.split(".")[:2]), ()):
        pytest.importorskip(library, reason=f"{library} is not installed")
    module = importlib.import_module(name)
    found = doctest.testmod(module)
    assert found.failed == 0


def test_there_are_examples():
    finder = doctest.DocTestFinder()
    own = (name for name in MODULES if not name.startswith((*NEEDED,)))
    examples = sum(len(test.examples) for name in own for test in finder.find(importlib.import_module(name)))
    assert examples > 20
