"""The changes of code that change the fingerprint of a cell or a task. The tests write and import modules."""

import ast
import functools
import importlib
import sys
import textwrap
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

import memspan
from memspan import CELLS, TASKS, ArrayTask, Study, leaky
from memspan.study.fingerprint import RULES, changed, fingerprint, fingerprints, unchecked
from memspan.study.source import written

MODULE = '''
import math
import numpy as np
from dataclasses import dataclass
from {name}_helper import helped

FACTOR = 0.5
TABLE = [1.0, 2.0]


def scaled(x):
    return FACTOR * x + TABLE[0]


def forward(s, previous, unit, gain=1.0):
    """What a cell computes."""
    if s is None:
        raise ValueError("no pre-activations")
    return scaled(s) * gain + helped(previous) + math.pi  # a comment


twice = lambda x: 2 * x
made = [lambda x: x + 1, lambda x: x + 2]


def closing(factor):
    def inside(x):
        return factor * x

    return inside


closed = closing(3)


class Base:
    LIMIT = 3

    def make(self, u):
        return self.one(u)

    def one(self, u):
        return u + self.LIMIT


@dataclass(frozen=True)
class Derived(Base):
    tolerance: float = 0.1

    def make(self, u):
        return super().make(u) * self.tolerance


whole = Derived()
'''
HELPER = """
def helped(x):
    return x * 2
"""


@pytest.fixture
def imported(tmp_path, monkeypatch):
    """Write a module and its helper, with some text replaced, under a new name, and import it."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def write(old="", new=""):
        texts = {"module": MODULE, "helper": HELPER}
        assert old in MODULE + HELPER
        texts = {kind: text.replace(old, new) if old else text for kind, text in texts.items()}
        (tmp_path / "student.py").write_text(texts["module"].replace("{name}", "student"))
        (tmp_path / "student_helper.py").write_text(texts["helper"])
        for name in ("student", "student_helper"):
            monkeypatch.delitem(sys.modules, name, raising=False)
        importlib.invalidate_caches()
        return importlib.import_module("student")

    return write


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("  # a comment", ""),
        ('"""What a cell computes."""', '"""Something else, at\n    length."""\n    # and a comment'),
        ("def scaled(x):", "\n\ndef scaled(x):\n    'now with a docstring'"),
        ("return FACTOR * x + TABLE[0]", "return (FACTOR * x\n        + TABLE[0])"),
        ("def forward(s, previous, unit,", "def forward(s: float, previous: 'Never', unit,"),
        ('ValueError("no pre-activations")', 'TypeError("there must be pre-activations")'),
        ("    tolerance: float = 0.1", "    tolerance: 'a positive number' = 0.1"),
    ],
)
def test_what_computes_the_same_has_the_same_fingerprint(imported, old, new):
    names = ("forward", "whole", "twice", "closed")
    before = [fingerprint(getattr(imported(), name)) for name in names]
    assert [fingerprint(getattr(imported(old, new), name)) for name in names] == before
    assert not any(":" in text for text in before)  # by source, the same in every version of Python


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("forward", "scaled(s) * gain", "scaled(s) / gain"),
        ("forward", "gain=1.0", "gain=1.5"),
        ("forward", "FACTOR = 0.5", "FACTOR = 0.25"),
        ("forward", "TABLE = [1.0, 2.0]", "TABLE = [1.5, 2.0]"),
        ("forward", "FACTOR * x", "FACTOR - x"),
        ("forward", "return x * 2", "return x * 3"),
        ("forward", "if s is None", "if s is unit"),
        ("twice", "2 * x", "2.5 * x"),
        ("closed", "closing(3)", "closing(4)"),
        ("closed", "factor * x", "factor + x"),
        ("whole", "LIMIT = 3", "LIMIT = 4"),
        ("whole", "u + self.LIMIT", "u - self.LIMIT"),
        ("whole", "return self.one(u)", "return self.one(u) * 1"),
        ("whole", "* self.tolerance", "/ self.tolerance"),
        ("whole", "tolerance: float = 0.1", "tolerance: float = 0.2"),
    ],
)
def test_what_computes_something_else_has_another_fingerprint(imported, name, old, new):
    before = fingerprint(getattr(imported(), name))
    assert fingerprint(getattr(imported(old, new), name)) != before


def test_lambdas_and_partials_count_by_their_source_and_their_arguments(imported):
    module = imported()
    one, other = (fingerprint(functools.partial(module.forward, gain=gain)) for gain in (1.0, 2.0))
    assert one != other
    before = fingerprint(functools.partial(module.forward, gain=1.0))
    assert before == one
    assert fingerprint(imported("x + 2", "x + 3").made[1]) != fingerprint(imported().made[1])
    assert fingerprint(module.made[0]) == fingerprint(imported().made[0])


def typed(text):
    """A function without source, as if typed at Python's prompt."""
    namespace = {"__name__": "__main__"}
    exec(textwrap.dedent(text), namespace)
    return namespace["f"]


def test_a_function_without_a_source_counts_by_its_bytecode():
    version = f"{sys.version_info[0]}.{sys.version_info[1]}:"
    one = fingerprint(typed("def f(x):\n    return x + 1"))
    assert one.startswith(version)
    assert fingerprint(typed("# a comment\n\ndef f(x):\n    return (x\n            + 1)")) == one
    assert fingerprint(typed("def f(x):\n    return x + 2")) != one
    assert fingerprint(typed("def f(x):\n    return x * 1")) != one


def test_a_source_that_was_changed_after_the_import_is_not_taken_for_what_runs(imported, tmp_path):
    module = imported()
    sound = fingerprint(module.forward)
    path = tmp_path / "student.py"
    text = path.read_text()
    path.write_text("# lines above do not matter\n\n" + text)
    assert fingerprint(module.forward) == sound
    path.write_text(text.replace("scaled(s) * gain", "scaled(s) - gain - gain"))
    assert ":" in fingerprint(module.forward)  # by the bytecode that runs


def test_a_cache_that_fills_while_the_program_runs_changes_nothing(imported):
    module = imported("TABLE = [1.0, 2.0]", "TABLE = {0: 1.0}")
    before = fingerprint(module.forward)
    module.TABLE[7] = 3.0
    assert fingerprint(module.forward) == before


def test_recursion_and_cycles_end(imported):
    module = imported("return FACTOR * x + TABLE[0]", "return FACTOR * x if x < 1 else scaled(x - 1)")
    assert fingerprint(module.forward) == fingerprint(module.forward)
    module.whole.__dict__["me"] = [module.whole]
    assert fingerprint(module.whole)


def test_fingerprints_name_what_a_study_uses():
    found = fingerprints(Study(cell="lstm,gru", task="adding/any", init="glorot", lengths=20))
    assert set(found) == {"cell lstm", "cell gru", "task adding/any", "init glorot", RULES}
    assert len(set(found.values())) == 5


def test_each_cell_and_task_has_its_own():
    found = [fingerprint(part) for part in (*CELLS.values(), *TASKS.values())]
    assert len(set(found)) == len(found)


def test_a_constant_of_a_cell_and_a_parameter_of_a_task_count():
    assert fingerprint(leaky(0.2)) != fingerprint(leaky(0.3))
    assert fingerprint(leaky(0.2)) == fingerprint(leaky(0.2))

    @dataclass(frozen=True)
    class Mine(type(TASKS["recall"])):
        def make(self, u, length):
            return super().make(u, length)

    assert fingerprint(Mine()) != fingerprint(TASKS["recall"])
    assert fingerprint(Mine(tolerance=0.2)) != fingerprint(Mine())


@pytest.mark.parametrize("count", [20, 60_000])
def test_every_number_of_an_array_counts(count):
    x = np.random.default_rng(0).normal(size=(count, 1, 1))
    y = np.arange(count) % 2
    before = fingerprint(ArrayTask(x, y))
    assert fingerprint(ArrayTask(x.copy(), y.copy())) == before
    x[-1] += 1e-9
    assert fingerprint(ArrayTask(x, y)) != before


def test_constants_from_numpy_count_by_their_numbers(imported):
    before = fingerprint(imported("FACTOR = 0.5", "FACTOR = np.array([0.5, 1.0])").forward)
    assert fingerprint(imported("FACTOR = 0.5", "FACTOR = np.array([0.5, 2.0])").forward) != before
    assert fingerprint(imported("FACTOR = 0.5", "FACTOR = np.float32(0.5)").forward) != before
    assert fingerprint(imported("FACTOR = 0.5", "FACTOR = np.exp").forward) != fingerprint(
        imported("FACTOR = 0.5", "FACTOR = np.tanh").forward
    )


OWN = [
    path for part in ("cells", "tasks", "losses") for path in (Path(memspan.__file__).parent / part).glob("*.py")
]


class OtherTexts(ast.NodeTransformer):
    """Has other docstrings, and no annotations."""

    def visit_Expr(self, node):
        return ast.Expr(ast.Constant("another")) if isinstance(node.value, ast.Constant) else node

    def visit_arg(self, node):
        return ast.arg(node.arg)


@pytest.mark.parametrize("path", OWN, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_another_layout_of_memspans_own_files_changes_nothing(path):
    """`ast.unparse` has no comments, and other lines, quotes and brackets."""
    text = path.read_text("utf-8")
    bare = ast.unparse(ast.fix_missing_locations(OtherTexts().visit(ast.parse(text))))
    assert bare != text
    assert written(ast.parse(bare)) == written(ast.parse(text))


def test_only_what_can_be_compared_is_called_changed():
    old = {"cell a": "1f", "cell b": "3.11:1f", "cell c": "1f"}
    assert changed(old, {"cell a": "2f", "cell b": "3.12:2f", "cell c": "1f", "cell d": "9f"}) == ["cell a"]
    assert changed({"cell b": "3.11:1f"}, {"cell b": "3.11:2f"}) == ["cell b"]
    new = {"cell a": "1f", "cell b": "2f", "cell c": "2f", "cell d": "9f"}
    assert unchecked(old, new, ["cell a", "cell b", "cell d"]) == ["cell b", "cell d"]


def test_objects_of_a_library_count_by_their_kind(imported):
    module = imported("FACTOR = 0.5", "FACTOR = np.random.default_rng(0)")
    assert fingerprint(module.forward) == fingerprint(module.forward)
    assert isinstance(module.FACTOR, np.random.Generator)


def test_what_only_the_diagnostics_read_does_not_count():
    lstm = CELLS["lstm"]
    assert fingerprint(replace(lstm, sigmoid_gates=("f",))) == fingerprint(lstm)
    assert fingerprint(replace(lstm, bias={"f": 2.0})) != fingerprint(lstm)


# --- the critical gain ------------------------------------------------------------------------------------


def test_the_fingerprint_of_critical_covers_all_code_that_chooses_the_gain(monkeypatch):
    study = Study(cell="gru", init="critical")
    found = fingerprints(study)
    assert set(found) == {"cell gru", "task recall", "init critical", RULES}
    for place, value in (
        ("memspan.study.critical.SHARE", 0.7),
        ("memspan.study.critical.NETWORKS", 9),
        ("memspan.study.critical.Signals._signal", lambda self, network, factor: 1.0),
        ("memspan.diagnostics.twins.PROBES", 9),
        ("memspan.diagnostics.twins._opposite", lambda d, other: False),
        ("memspan.diagnostics.label.LabelGradient.z", property(lambda self: 0.0)),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(place, value)
            changed_code = fingerprints(study)
        assert [name for name in found if found[name] != changed_code[name]] == ["init critical"], place
    assert fingerprints(study) == found
