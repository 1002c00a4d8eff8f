"""Messages about mistakes in a command line: one sentence, with a suggestion."""

import difflib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, get_args, get_origin

from cyclopts import (
    App,
    CoercionError,
    CombinedShortOptionError,
    CycloptsError,
    MissingArgumentError,
    RepeatArgumentError,
    UnknownCommandError,
    UnknownOptionError,
)
from cyclopts.exceptions import MixedArgumentError, UnusedCliTokensError

from memspan.cells import CELLS
from memspan.errors import InvalidArgument, not_among
from memspan.suggestions import nearest
from memspan.tasks import TASKS, parameters_of

KINDS = {int: "a whole number", float: "a number", bool: "true or false"}
"""What the text of an option must be, by the type of its value."""

OF_PYTHON = {"hidden_size": "hidden"}
"""The option of an argument that is named otherwise in Python."""
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
            return _unused(error, app)
        case MissingArgumentError():
            return _missing(error)
        case CoercionError() if error.token is not None:
            return str(_wrong_value(error))
        case RepeatArgumentError():
            return str(InvalidArgument(_typed(error), "given once", f"another {error.token.value!r}"))
        case MixedArgumentError() if error.argument is not None:
            return _without_name(error.argument.name)
        case CombinedShortOptionError():
            return f"One dash begins a single letter, such as -o.{_see(_chain(error))}"
    return str(error)


def as_typed(error: InvalidArgument, arguments: Sequence[str], options: Iterable[Sequence[str]]) -> str:
    """Return the message with the option in place of the field: `--keep-weights` or `-o` for its field.

    Parameters
    ----------
    error : InvalidArgument
    arguments : sequence of str
        The command line.
    options : iterable of sequences of str
        The names of each option of the command.
    """
    message, typed = str(error), [argument.partition("=")[0] for argument in arguments]
    field = OF_PYTHON.get(error.name, error.name.partition("[")[0])
    option = "--" + field.replace("_", "-")
    names = next((names for names in options if option in names), ())
    for one in typed:
        of_table = one.startswith("--") and (one.endswith(f".{field}") or one.startswith(f"{option}."))
        if one == option or one in names or of_table:
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
    tokens, chain = list(error.unused_tokens or [""]), _chain(error)
    typed, here = tokens[0], _within(app, chain)
    meant = (_meant(tokens, chain, here) if chain else None) or _meant(tokens, [], app)
    if meant:
        return f"Unknown command {typed!r}. Did you mean `memspan {meant}`?"
    return f"Unknown command {typed!r}. Available commands: {', '.join(commands_of(here))}."


def _meant(tokens: list[str], chain: list[str], app: App) -> str | None:
    """Return the command that was probably meant: one with a similar name, or one that takes this argument."""
    typed, leaves = tokens[0], dict(leaves_of(app, chain))
    if typed.endswith(".toml"):
        return f"study run {typed}"
    if typed in ("-v", "-V"):
        return "--version"
    if typed.startswith("-"):
        return _with_option(typed, leaves) or nearest(typed, ("--help", "--version"))
    groups = {path.split()[0] for path in leaves}
    known = {path.removeprefix(" ".join(chain)).strip(): path for path in leaves}
    known |= {group: f"{group} --help" for group in groups if group not in leaves and not chain}
    known |= {"--help": " ".join([*chain, "--help"])}
    if near := nearest(typed, known):
        below = [path.removeprefix(f"{near} ") for path in leaves if path.startswith(f"{near} ") and not chain]
        next_near = nearest(tokens[1], below) if below and len(tokens) > 1 else None
        return f"{near} {next_near}" if next_near else known[near]
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


def _unused(error: UnusedCliTokensError, app: App) -> str:
    chain, typed = _chain(error), (error.unused_tokens or [""])[0]
    options = [argument.name for argument in _within(app, chain).assemble_argument_collection()]
    for option, fits in (
        ("--cell", typed in CELLS),
        ("--task", typed in TASKS),
        ("--store", typed.endswith((".sqlite", ".db"))),
    ):
        if fits and option in options:
            return f"Unexpected {typed!r}. Did you mean {option} {typed}?"
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
    if any(get_origin(one) is dict for one in (kind, *get_args(kind))):
        return _without_name(name)
    if get_origin(kind) is not None and all(isinstance(choice, str) for choice in get_args(kind)):
        return not_among(name, token.value, list(get_args(kind)))
    return InvalidArgument(name, KINDS.get(kind, "another value"), repr(token.value))


def _without_name(option: str) -> str:
    """Return the message about an option such as `--task-parameters` whose value has no name."""
    return f"{option} needs the name of what is given, as in {option}.NAME VALUE"


def _typed(error: RepeatArgumentError) -> str:
    return error.token.keyword or (error.argument.name if error.argument is not None else "the argument")


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
