"""The entry point of `memspan`: parse the arguments, call the command, turn errors into messages and exit codes.

`memspan --version` answers without importing anything else.
"""

import errno
import io
import os
import re
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from memspan._version import __version__
from memspan.cli.exit_codes import EXIT_CODES, ExitCode
from memspan.runtime.interrupts import ignore_interrupts, terminations_raised
from memspan.runtime.notices import say

if TYPE_CHECKING:
    from cyclopts import App

SUMMARY = """How far back can a recurrent network remember, and why does it stop there?

**The span of a tanh network on the memory task:**

    memspan span

**The options of a command**, with examples:

    memspan span --help
"""

QUESTIONS = ("span", "compare", "predict", "explain", "report")
COMMANDS = (
    *(*QUESTIONS, "study", "store", "tasks", "cells", "flow", "gradcheck"),
    *("check", "new", "reproduce", "bench", "doctor", "completion"),
)
"""The names of the commands. Each is a function or a group in the module of its name."""
GROUPS = ("study", "store", "new")
"""The names of the groups."""


def main() -> None:
    """Run `memspan`, and exit with one of `EXIT_CODES`."""
    _fill_standard_streams()
    if sys.argv[1:] == ["--version"]:
        print(__version__)
        return
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # one character that cannot be encoded must not stop a table
    with terminations_raised():
        code = _exit_code()
    sys.exit(code)


def _exit_code() -> Any:
    """Run the command, and return the exit code, after an interruption too."""
    try:
        code = _run()
        sys.stdout.flush()
    except KeyboardInterrupt:
        ignore_interrupts()  # the program is ending
        say("memspan: interrupted")
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes stdout at exit
        return ExitCode.PIPE
    return code


def _fill_standard_streams() -> None:
    """Open the null device for each closed standard stream (`2>&-`), or the next opened file takes its number."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            stream = open(os.devnull, mode, encoding="utf-8")  # noqa: SIM115  (open until the program ends)
            os.set_inheritable(stream.fileno(), True)  # for the workers too
            setattr(sys, name, stream)


def _run() -> Any:
    """Run the command, and return its exit code. Imports are in here so that Ctrl-C during them is handled."""
    from cyclopts import CycloptsError
    from pydantic import ValidationError

    from memspan.cli.mistakes import as_typed, sentence_of
    from memspan.errors import InvalidArgument, MachineFailed, MemspanError, UnreadableFile, invalid

    app = new_app()
    if not {*sys.argv[1:2]} & {*COMMANDS}:
        for name in COMMANDS:  # the list of commands shows the first sentence of each
            app[name]
    try:
        with _warnings_shown():
            known = {name for names in _options_of(app, sys.argv[1:]) for name in names}
            arguments = _new_options(sys.argv[1:], known)
            return app(arguments, exit_on_error=False, print_error=False)
    except CycloptsError as error:
        cause = error.__cause__
        if isinstance(cause, ValidationError):
            return _fail(as_typed(invalid(cause), sys.argv[1:], _options_of(app, sys.argv[1:])))
        return _fail(sentence_of(error, app))
    except Warning as error:  # with PYTHONWARNINGS=error
        return _fail(error)
    except InvalidArgument as error:
        return _fail(as_typed(error, sys.argv[1:], _options_of(app, sys.argv[1:])))
    except UnreadableFile as error:
        return _fail(error, ExitCode.UNREADABLE)
    except MachineFailed as error:
        return _fail(error, ExitCode.MACHINE)
    except MemoryError as error:
        return _fail(f"There is not enough memory. {error}".strip(), ExitCode.MACHINE)
    except BrokenPipeError:
        raise
    except (MemspanError, OSError) as error:
        full = getattr(error, "errno", None) == errno.ENOSPC
        return _fail(error, ExitCode.MACHINE if full else ExitCode.INVALID)


RENAMED = {
    "--start": "--init",
    "--parameters": "--task-parameters",
    "--evaluation-batches": "--final-batches",
    "--weights": "--keep-weights",
}
"""The new names of options that memspan 0.1 named otherwise."""
OPTION = re.compile(r"--[a-z_-]+(?=[.=]|$)")
"""The name of an option, up to its value (`=`) or its key (`.`)."""


def _options_of(app: Any, arguments: list[str]) -> list[tuple[str, ...]]:
    """The names of each option of the command that these arguments call."""
    try:
        command = app.parse_commands(arguments)[1][-1]
        return [option.names for option in command.assemble_argument_collection()]
    except (ValueError, NameError):  # no known command, or its help
        return []


def _new_options(arguments: list[str], known: set[str]) -> list[str]:
    """Replace old option names, such as `--parameters.items`, by the new ones, and warn for each.

    An old name stays if the command has no option of the new name. It is then reported as unknown.
    """
    from memspan.runtime.renamed import refuse_both, warn_renamed

    given = {option[0] for argument in arguments if (option := OPTION.match(argument))}
    found: list[str] = []
    for position, argument in enumerate(arguments):
        if argument == "--":
            return found + arguments[position:]
        option = OPTION.match(argument)
        new = RENAMED.get(option[0].replace("_", "-")) if option else None
        if option and new in known:
            refuse_both(option[0], new, argument, given)
            warn_renamed(option[0], new)
            argument = new + argument.removeprefix(option[0])
        found.append(argument)
    return found


@contextmanager
def _warnings_shown() -> Iterator[None]:
    """Show each warning of memspan as one line; those about old names always, unless PYTHONWARNINGS is set."""
    from memspan.runtime.renamed import RenamedWarning

    with warnings.catch_warnings():
        show_as_before = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *where: Any, **options: Any) -> None:
            if category.__module__.startswith("memspan."):
                say(f"memspan: {message}")
            else:
                show_as_before(message, category, *where, **options)

        if not sys.warnoptions:
            warnings.simplefilter("always", RenamedWarning)
        warnings.showwarning = show
        yield


def new_app() -> "App":
    """Return the cyclopts application with all commands. Looking up a command imports its module."""
    from cyclopts import App
    from rich.console import Console

    from memspan.cli.groups import see_page

    codes = "\n".join(f"- {code:d}: {meaning}" for code, meaning in EXIT_CODES.items())
    last = f"**Exit codes:**\n\n{codes}\n\n{see_page()}"
    app = App(
        name="memspan",
        version=__version__,
        help=SUMMARY,
        help_epilogue=last,
        console=Console(),
        suppress_keyboard_interrupt=False,
    )
    for name in COMMANDS:
        page = {} if name in GROUPS else {"help_epilogue": see_page(name)}
        app.command(f"memspan.cli.{name}:{name}", name=name, **page)
    return app


def _fail(error: Exception | str, code: ExitCode = ExitCode.INVALID) -> ExitCode:
    """Print the message without passwords and control characters, and return the exit code."""
    from memspan.runtime.passwords import without_passwords
    from memspan.runtime.progress import plain

    say(f"memspan: {plain(without_passwords(str(error)))}")
    return code
