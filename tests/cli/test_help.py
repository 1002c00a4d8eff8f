"""Every command says what it does, with an example; every parameter has a sentence and a type."""

import functools
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


@functools.cache
def help_of(path):
    """As on a terminal so wide that nothing is wrapped."""
    text = io.StringIO()
    APP.help_print(path.split(), console=Console(file=text, width=1000, color_system=None))
    return text.getvalue()


def rows_of(path):
    """Names, type and words of each parameter of a command."""
    lines = (line.strip("│╭╮╰╯─ \n") for line in help_of(path).splitlines() if line.startswith("│"))
    for line in lines:
        head, _, words = line.removeprefix("*").strip().partition("  ")
        names = [word for word in head.split() if word.startswith("-") or head.isupper()]
        yield names, " ".join(word for word in head.split() if word not in names), words.strip()


FLAGS = {
    "--compiled",
    "--torch",
    "--jax",
    "--dry-run",
    "--reuse",
    "--retry-failed",
    "--figures",
    "--why",
    "--plot",
    "--quick",
    "--full",
    "--yes",
    "--curves",
    "--force",
    "--install",
    "--json",
    "--try",
}

every_command = pytest.mark.parametrize("path", LEAVES)


def test_every_command_and_parameter_is_looked_at():
    assert {"span", "study run", "store doctor", "tasks", "cells", "flow", "gradcheck", "reproduce", "bench"} <= {
        *LEAVES
    }
    for path, model in (("study run", Study), ("span", Search)):
        typed = {names[0].removeprefix("--").replace("-", "_") for names, *_ in rows_of(path)}
        assert typed >= {*model.model_fields}


@every_command
def test_the_help_has_a_row_for_every_parameter(path):
    shown = {argument.name for argument in LEAVES[path].assemble_argument_collection() if not argument.children}
    assert {names[0] for names, *_ in rows_of(path)} >= {name for name in shown if "." not in name}


@pytest.mark.parametrize("path", [*GROUPS, *LEAVES])
def test_every_command_has_a_summary_and_an_example_of_itself(path):
    usage, summary, *rest = (part.strip() for part in re.split(r"\n *\n", help_of(path).strip()))
    assert usage.startswith("Usage: memspan")
    assert re.match(r"[A-Z]\w+,? .*[.?]$", summary)
    examples = [line.strip() for line in "\n".join(rest).splitlines()]
    assert any(line.startswith(f"memspan {path}".strip()) for line in examples), help_of(path)


@every_command
def test_every_parameter_has_a_sentence(path):
    for names, _, words in rows_of(path):
        sentence = re.sub(r"\[[^]]*\]", "", words).strip()
        assert re.match(r"[A-Z]", sentence), names
        assert len(sentence.split()) >= 3, names
        assert sentence.removesuffix(".") != sentence or re.search(r" (such as|which) .*$", sentence), names


@every_command
def test_every_parameter_shows_its_type(path):
    """Numbers as such; `,...` where several may be given. Flags have none, nor what has no option."""
    for names, kind, _ in rows_of(path):
        if not names[0].startswith("--") or names[0] in FLAGS:
            assert kind == "", names
            continue
        assert kind not in ("", "STR", "STR...", "DICT"), names
        field = names[0].removeprefix("--").replace("-", "_")
        if path in ("study run", "flow") and field in Study.model_fields:
            single = {"repetitions": "INT", "keep_weights": "INT", "name": "TEXT"}
            assert kind == single.get(field, kind), names
            assert field in single or kind.endswith(",..."), names


@pytest.mark.parametrize(
    ("path", "first"),
    [
        ("study run", ["lengths", "repetitions", "test_lengths", "keep_weights", "name", "task"]),
        ("span", ["width", "budget", "longest", "share"]),
    ],
)
def test_the_options_of_a_study_or_search_come_before_those_of_every_configuration(path, first):
    options = [names[0] for names, *_ in rows_of(path) if names[0].startswith("--")]
    assert options[: len(first)] == [f"--{field.replace('_', '-')}" for field in first]


@pytest.mark.parametrize(
    ("field", "kind"),
    [("learning_rate", "FLOAT,..."), ("hidden", "INT,..."), ("lengths", "INT,..."), ("cell", "NAME,...")],
)
def test_the_types_of_a_study_are_those_of_its_fields(field, kind):
    option = f"--{field.replace('_', '-')}"
    assert [row[1] for row in rows_of("study run") if row[0] == [option]] == [kind]


@every_command
def test_no_default_is_written_as_python_writes_it(path):
    for names, _, words in rows_of(path):
        assert not re.search(r"default: [\[({'\"]", words), names
