"""Every example in a help is a command line that works. What takes long is stopped where the work begins."""

import importlib
import re
import shlex
import shutil
from pathlib import Path

import pytest

from memspan import Study, run_study

from .test_help import GROUPS, LEAVES, help_of

EXAMPLES = sorted(
    {
        line.strip().partition(" > ")[0]
        for path in [*GROUPS, *LEAVES]
        for line in help_of(path).splitlines()
        if line.strip().startswith("memspan ")
    }
)
WORK = {
    "memspan.cli.span": "run",
    "memspan.cli.compare": "run",
    "memspan.cli.predict": "prepared_prediction",
    "memspan.cli.explain": "explain_result",
    "memspan.cli.study.run": "run_and_print",
    "memspan.cli.study.extend": "run_and_print",
    "memspan.cli.study.resume": "run_and_print",
    "memspan.cli.reproduce": "run_reproduction",
    "memspan.cli.bench": "measure",
}
"""What takes long."""
STOPPED = re.compile(
    "memspan (span|compare|predict|explain|study (run|extend)|study resume gates|reproduce|bench)"
)
"""The commands that come to it. The only study to resume is finished."""
NOTES = ("memspan: nothing to resume", "memspan: testing itself")
TINY = {"hidden": 2, "updates": 1, "evaluation_samples": 10, "final_batches": 1, "repetitions": 2, "batch": 2}


class WorkBegins(Exception):
    """The command line was read, checked, and the work begins."""


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    """A store for each study that the examples name."""
    folder = tmp_path_factory.mktemp("stores")
    for name in ("gates", "first", "mine"):
        run_study(Study(**TINY, lengths=(3, 5), name=name), folder / f"{name}.sqlite", progress=False)
    run_study(Study(**TINY, lengths=(3, 5), name="second"), folder / "first.sqlite", progress=False)
    return folder


@pytest.fixture
def example(memspan_, monkeypatch, stores, tmp_path):
    """Run an example where there is all that it names."""

    def stopped(*arguments, **options):
        raise WorkBegins

    def run(line):
        for module, name in WORK.items():
            monkeypatch.setattr(importlib.import_module(module), name, stopped)
        monkeypatch.setattr(Path, "home", lambda: tmp_path)  # where `completion --install` writes
        words = shlex.split(line)[1:]
        named = next((name for name in ("first", "mine") if name in words), "gates")
        for place in ("memspan", "results", "broken"):
            shutil.copy(stores / f"{named}.sqlite", tmp_path / f"{place}.sqlite")
        (tmp_path / "gates.toml").write_text("repetitions = 3\n")
        for kind in ("cell", "task") if "mypkg." in line else ():
            assert memspan_(f"new {kind} mypkg/{kind}s.py")[0] == 0
        return memspan_(words)

    return run


def test_the_examples_are_found():
    assert len(EXAMPLES) > 40
    assert {re.split(r" -|$", line)[0] for line in EXAMPLES} >= {"memspan span", "memspan study run"}


@pytest.mark.parametrize("line", EXAMPLES)
def test_an_example_works(example, line):
    if STOPPED.match(line) and not line.endswith("--help"):
        with pytest.raises(WorkBegins):
            example(line)
        return
    code, _, err = example(line)
    told = [one for one in err.splitlines() if not one.startswith(NOTES)]
    assert (code, told) == (0, [])


@pytest.mark.parametrize("path", [*GROUPS, *LEAVES])
def test_every_help_ends_with_its_page_of_the_documentation(path):
    last = help_of(path).rstrip().splitlines()[-1].strip()
    assert last == f"Documentation: reference/cli/{path.replace(' ', '-') or 'index'}.html"
