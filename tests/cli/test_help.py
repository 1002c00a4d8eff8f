"""Every command says what it does, with an example; every parameter has a sentence and a type."""

import io
import re

import pytest
from rich.console import Console

from memspan import Search, Study
from memspan.cli.app import new_app
from memspan.cli.mistakes import commands_of, leaves_of

APP = new_app()
LEAVES = dict(leaves_of(APP, []))
GROUPS = ["", *(name for name in commands_of(APP) if commands_of(APP[name]))]


def help_of(path):
    """As on a terminal so wide that nothing is wrapped."""
    text = io.StringIO()
    APP.help_print(path.split(), console=Console(file=text, width=1000, color_system=None))
    return text.getvalue()


def rows_of(text):
    """Names, type and words of each parameter."""
    lines = (line.strip("│╭╮╰╯─ \n") for line in text.splitlines() if line.startswith("│"))
    for line in lines:
        head, _, words = line.removeprefix("*").strip().partition("  ")
        names = [word for word in head.split() if word.startswith("-") or head.isupper()]
        yield names, " ".join(word for word in head.split() if word not in names), words.strip()


HELP = {path: help_of(path) for path in [*GROUPS, *LEAVES]}
ROWS = [(path, *row) for path in LEAVES for row in rows_of(HELP[path])]
FLAGS = {
    "--compiled",
    "--torch",
    "--jax",
    "--dry-run",
    "--reuse",
    "--retry-failed",
    "--figures",
    "--plot",
    "--quick",
    "--full",
    "--yes",
    "--curves",
    "--force",
    "--json",
    "--try",
}

every_parameter = pytest.mark.parametrize(
    ("path", "names", "kind", "words"), ROWS, ids=[f"{path} {names[0]}" for path, names, *_ in ROWS]
)


def test_every_command_and_parameter_is_looked_at():
    assert {"span", "study run", "store doctor", "tasks", "cells", "flow", "gradcheck", "reproduce", "bench"} <= {
        *LEAVES
    }
    typed = {(path, names[0].removeprefix("--").replace("-", "_")) for path, names, *_ in ROWS}
    assert typed >= {("study run", field) for field in Study.model_fields}
    assert typed >= {("span", field) for field in Search.model_fields}
    for path, leaf in LEAVES.items():
        shown = {argument.name for argument in leaf.assemble_argument_collection() if not argument.children}
        assert {names[0] for at, names, *_ in ROWS if at == path} >= {name for name in shown if "." not in name}


@pytest.mark.parametrize("path", HELP)
def test_every_command_has_a_summary_and_an_example_of_itself(path):
    usage, summary, *rest = (part.strip() for part in re.split(r"\n *\n", HELP[path].strip()))
    assert usage.startswith("Usage: memspan")
    assert re.match(r"[A-Z]\w+,? .*[.?]$", summary)
    examples = [line.strip() for line in "\n".join(rest).splitlines()]
    assert any(line.startswith(f"memspan {path}".strip()) for line in examples), HELP[path]


@every_parameter
def test_every_parameter_has_a_sentence(path, names, kind, words):
    sentence = re.sub(r"\[[^]]*\]", "", words).strip()
    assert re.match(r"[A-Z]", sentence)
    assert len(sentence.split()) >= 3
    assert sentence.removesuffix(".") != sentence or re.search(r" (such as|which) .*$", sentence)


@every_parameter
def test_every_parameter_shows_its_type(path, names, kind, words):
    """Numbers as such; `,...` where several may be given. Flags have none, nor what has no option."""
    if not names[0].startswith("--") or names[0] in FLAGS:
        assert kind == ""
        return
    assert kind not in ("", "STR", "STR...", "DICT")
    field = names[0].removeprefix("--").replace("-", "_")
    if path in ("study run", "flow") and field in Study.model_fields:
        single = {"repetitions": "INT", "keep_weights": "INT", "name": "TEXT"}
        assert kind == single.get(field, kind)
        assert field in single or kind.endswith(",...")


@pytest.mark.parametrize(
    ("path", "first"),
    [
        ("study run", ["lengths", "repetitions", "test_lengths", "keep_weights", "name", "task"]),
        ("span", ["width", "budget", "longest", "share"]),
    ],
)
def test_the_options_of_a_study_or_search_come_before_those_of_every_configuration(path, first):
    options = [names[0] for at, names, *_ in ROWS if at == path and names[0].startswith("--")]
    assert options[: len(first)] == [f"--{field.replace('_', '-')}" for field in first]


@pytest.mark.parametrize(
    ("field", "kind"),
    [("learning_rate", "FLOAT,..."), ("hidden", "INT,..."), ("lengths", "INT,..."), ("cell", "NAME,...")],
)
def test_the_types_of_a_study_are_those_of_its_fields(field, kind):
    option = f"--{field.replace('_', '-')}"
    assert [row[2] for row in ROWS if row[0] == "study run" and row[1] == [option]] == [kind]


@every_parameter
def test_no_default_is_written_as_python_writes_it(path, names, kind, words):
    assert not re.search(r"default: [\[({'\"]", words)
