"""Every script in benchmarks/ and docs/ can be imported, and all that it imports from memspan is there."""

import ast
import importlib
import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = sorted([*ROOT.glob("benchmarks/*.py"), *ROOT.glob("docs/*.py")])
every_script = pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.relative_to(ROOT).as_posix())


def imported_names(source):
    """(module, name) of each import from memspan, also in programs that the source holds as texts."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "memspan":
            yield from ((node.module, alias.name) for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names if alias.name.split(".")[0] == "memspan")
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and "memspan" in node.value:
            for module, names in re.findall(
                r"^\s*from (memspan[\w.]*) import ([\w, ]+)$", node.value, re.MULTILINE
            ):
                yield from ((module, name.strip()) for name in names.split(","))


def is_there(module, name):
    found = importlib.import_module(module)
    return name is None or hasattr(found, name) or importlib.util.find_spec(f"{module}.{name}") is not None


def test_there_are_scripts():
    assert {path.name for path in SCRIPTS} >= {"calibrate_gradcheck.py", "engine.py", "make_numbers.py"}


@every_script
def test_a_script_can_be_imported(path):
    spec = importlib.util.spec_from_file_location(f"script_{path.stem}", path)
    script = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(script)
    except ModuleNotFoundError as error:
        if error.name.split(".")[0] == "memspan":
            raise
        pytest.skip(f"{error.name} is not installed")


@every_script
def test_what_a_script_imports_from_memspan_is_there(path):
    wanted = set(imported_names(path.read_text("utf-8")))
    assert wanted or path.name in ("make_numbers.py", "rules.py", "span_curves.py", "first_cured.py")
    for extra in ("torch", "jax"):
        if any(module.startswith(f"memspan.{extra}") for module, _ in wanted):
            pytest.importorskip(extra, reason=f"{extra} is not installed")
    assert [pair for pair in sorted(wanted, key=str) if not is_there(*pair)] == []


def test_the_reader_of_imports_sees_texts_too():
    source = 'import memspan.cells\nPROGRAM = """\nfrom memspan import nothing_of_this_name\n"""\n'
    assert set(imported_names(source)) == {("memspan.cells", None), ("memspan", "nothing_of_this_name")}
    assert not is_there("memspan.cells", "nothing_of_this_name")
