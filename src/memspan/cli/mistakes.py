"""Messages about mistakes in a command line: one sentence, with a suggestion."""

import difflib
from collections.abc import Iterator, Sequence
from typing import Any, get_args, get_origin

from cyclopts import (
    App,
    CoercionError,
    CycloptsError,
    MissingArgumentError,
    UnknownCommandError,
    UnknownOptionError,
)
from cyclopts.exceptions import UnusedCliTokensError

from memspan.cells import CELLS
from memspan.errors import InvalidArgument, not_among
from memspan.suggestions import nearest
from memspan.tasks import TASKS, parameters_of

NUMBERS = {int: "a whole number", float: "a number"}


SIMILAR = 0.8
"""The ratio of `difflib` from which on two names count as similar."""


def sentence_of(error: CycloptsError, app: App) -> str:
    """Return the message for an error of cyclopts."""
    match error:
        case UnknownOptionError():
            return _unknown_option(error)
        case UnknownCommandError():
            return _unknown_command(error, app)
        case UnusedCliTokensError():
            return _unused(error)
        case MissingArgumentError():
            return _missing(error)
        case CoercionError() if error.token is not None:
            return str(_wrong_value(error))
    return str(error)


def as_typed(error: InvalidArgument, arguments: Sequence[str]) -> str:
    """Return the message with the option in place of the field: `--keep-weights` for `keep_weights`."""
    message, typed = str(error), {argument.partition("=")[0] for argument in arguments}
    field = error.name.partition("[")[0]
    option = "--" + field.replace("_", "-")
    for one in typed:
        if one == option or (one.startswith("--") and one.endswith(f".{field}")):
            return one + message.removeprefix(error.name) if message.startswith(error.name) else message
    return message


def _unknown_option(error: UnknownOptionError) -> str:
    typed = (error.token.keyword or error.token.value or "").partition("=")[0]
    names = [name for argument in error.argument_collection for name in argument.names if name.startswith("--")]
    near = None
    if typed.startswith("--"):
        near = nearest(typed, names)
        if "--task-parameters" in names and not (near and _similar(typed, near)):
            near = _of_task(typed) or near
    return f"Unknown option {typed}." + (f" Did you mean {near}?" if near else _see(_chain(error)))


def _similar(one: str, other: str) -> bool:
    return difflib.SequenceMatcher(None, one, other).ratio() >= SIMILAR


def _of_task(typed: str) -> str | None:
    """Return the option of the task parameter whose name is nearest to this option, if one is near."""
    parameters = {name for task in TASKS.values() for name in parameters_of(task)}
    near = difflib.get_close_matches(typed.removeprefix("--"), sorted(parameters), n=1, cutoff=SIMILAR)
    return f"--task-parameters.{near[0]}" if near else None


def _unknown_command(error: UnknownCommandError, app: App) -> str:
    typed, chain = (error.unused_tokens or [""])[0], _chain(error)
    here = _within(app, chain)
    meant = (_meant(typed, chain, here) if chain else None) or _meant(typed, [], app)
    if meant:
        return f"Unknown command {typed!r}. Did you mean `memspan {meant}`?"
    return f"Unknown command {typed!r}. Available commands: {', '.join(commands_of(here))}."


def _meant(typed: str, chain: list[str], app: App) -> str | None:
    """Return the command that was probably meant: one with a similar name, or one that takes this argument."""
    leaves = dict(leaves_of(app, chain))
    if typed.endswith(".toml"):
        return f"study run {typed}"
    if typed in ("-v", "-V"):
        return "--version"
    if typed.startswith("-"):
        return _with_option(typed, leaves)
    groups = {path.split()[0] for path in leaves}
    known = {path.removeprefix(" ".join(chain)).strip(): path for path in leaves}
    known |= {group: f"{group} --help" for group in groups if group not in leaves and not chain}
    known |= {"--help": " ".join([*chain, "--help"])}
    if near := nearest(typed, known):
        return known[near]
    for option, names in (("--task", TASKS), ("--cell", CELLS)):
        if near := nearest(typed, names):
            return f"study run {option} {near}"
    return None


def _with_option(typed: str, leaves: dict[str, App]) -> str | None:
    """Return the first command with a similar option, and that option."""
    for path, leaf in leaves.items():
        names = [name for argument in leaf.assemble_argument_collection() for name in argument.names]
        if near := nearest(typed, [name for name in names if name.startswith("--")]):
            return f"{path} {near}"
    return None


def _unused(error: UnusedCliTokensError) -> str:
    chain, typed = _chain(error), (error.unused_tokens or [""])[0]
    for option, names in (("--cell", CELLS), ("--task", TASKS)):
        if typed in names:
            return f"Unexpected {typed!r}. Did you mean {option} {typed}?"
    if typed.endswith((".sqlite", ".db")):
        return f"Unexpected {typed!r}. Did you mean --store {typed}?"
    return f"`memspan {' '.join(chain)}` takes no argument {typed!r}.{_see(chain)}"


def _missing(error: MissingArgumentError) -> str:
    argument, chain = error.argument, _chain(error)
    assert argument is not None
    count, _ = argument.token_count()
    if error.keyword is None and not argument.tokens:
        return f"`memspan {' '.join(chain)}` needs {argument.name}.{_see(chain)}"
    name = error.keyword or argument.name
    return f"{name} needs " + (
        f"{count} values, got {len(error.tokens_so_far) % count}" if count > 1 else "a value"
    )


def _wrong_value(error: CoercionError) -> InvalidArgument | str:
    token, argument = error.token, error.argument
    assert token is not None
    name = token.keyword or (argument.name if argument is not None else "the argument")
    if error.msg is not None:
        return f"{name} {error.msg}"
    kind: Any = error.target_type
    if get_origin(kind) is not None and all(isinstance(choice, str) for choice in get_args(kind)):
        return not_among(name, token.value, list(get_args(kind)))
    return InvalidArgument(name, NUMBERS.get(kind, "another value"), repr(token.value))


def _chain(error: CycloptsError) -> list[str]:
    return list(error.command_chain or ())


def _within(app: App, chain: Sequence[str]) -> App:
    for name in chain:
        app = app[name]
    return app


def commands_of(app: App) -> list[str]:
    """Return the names of the commands of an application or of one of its groups."""
    return [name for name in app if not name.startswith("-")]


def leaves_of(app: App, chain: Sequence[str]) -> Iterator[tuple[str, App]]:
    """Yield every command that is not a group, with its path, such as `study run`."""
    for name in commands_of(app):
        below = app[name]
        path = [*chain, name]
        if commands_of(below):
            yield from leaves_of(below, path)
        else:
            yield " ".join(path), below


def _see(chain: Sequence[str]) -> str:
    return f" See `{' '.join(['memspan', *chain, '--help'])}`."
