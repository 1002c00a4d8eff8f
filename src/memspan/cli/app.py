"""The entry point: parse, call, print. `memspan --version` imports nothing for its answer."""

import errno
import io
import os
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from memspan._version import __version__
from memspan.runtime.interrupts import ignore_interrupts, terminations_raised
from memspan.runtime.notices import say

if TYPE_CHECKING:
    from cyclopts import App

SUMMARY = """How far back can a recurrent network remember, and why does it stop there?

**The first study:**

    memspan study run

**The options of a command**, with examples:

    memspan study run --help
"""


def main() -> None:
    """Run `memspan`.

    It exits with 0; 1 if the answer is no, as for a gradient that is wrong, or if a trial failed; 2 for bad input;
    3 for a file that is damaged or not memspan's; 4 where the machine gave up, as with a full disk; 130 after
    Ctrl-C, SIGTERM or SIGHUP; 141 where nobody read what it printed to the end, as with `| head`.
    """
    _fill_standard_streams()
    if sys.argv[1:] == ["--version"]:
        print(__version__)
        return
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a table must not be lost for a letter that cannot be shown
    with terminations_raised():
        code = _exit_code()
    sys.exit(code)


def _exit_code() -> Any:
    """Run the command, and say how it ended."""
    try:
        code = _run()
        sys.stdout.flush()
    except KeyboardInterrupt:
        ignore_interrupts()  # the end has begun, and is short
        say("memspan: interrupted")
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what Python flushes at its end
        return 141
    return code


def _fill_standard_streams() -> None:
    """Open the null device for each that is closed (`2>&-`); the next file opened would take its place."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            stream = open(os.devnull, mode, encoding="utf-8")  # noqa: SIM115  (open as long as the program)
            os.set_inheritable(stream.fileno(), True)  # a worker would have none either
            setattr(sys, name, stream)


def _run() -> Any:
    """The exit code of the command; importing takes a second, in which Ctrl-C may be pressed too."""
    from cyclopts import CycloptsError
    from pydantic import ValidationError

    from memspan.cli.mistakes import as_typed, sentence_of
    from memspan.errors import InvalidArgument, MachineFailed, MemspanError, UnreadableFile, invalid

    app = new_app()
    try:
        with _renamings_shown():
            return app(_new_options(sys.argv[1:]), exit_on_error=False, print_error=False)
    except CycloptsError as error:
        cause = error.__cause__
        return _fail(invalid(cause) if isinstance(cause, ValidationError) else sentence_of(error, app))
    except InvalidArgument as error:
        return _fail(as_typed(error, sys.argv[1:]))
    except UnreadableFile as error:
        return _fail(error, 3)
    except MachineFailed as error:
        return _fail(error, 4)
    except MemoryError as error:
        return _fail(f"There is not enough memory. {error}".strip(), 4)
    except BrokenPipeError:
        raise
    except (MemspanError, OSError) as error:
        return _fail(error, 4 if getattr(error, "errno", None) == errno.ENOSPC else 2)


RENAMED = {
    "--start": "--init",
    "--parameters": "--task-parameters",
    "--evaluation-batches": "--final-batches",
    "--weights": "--keep-weights",
}
"""Options as memspan 0.1 called them."""
OPTION = re.compile(r"--[a-z-]+(?=[.=]|$)")
"""An option without its value, or the part of its name."""


def _new_options(arguments: list[str]) -> list[str]:
    """The arguments with new options in place of old ones, such as `--parameters.items`; warn for each."""
    from memspan.runtime.renamed import refuse_both, warn_renamed

    given = {option[0] for argument in arguments if (option := OPTION.match(argument))}
    found: list[str] = []
    for position, argument in enumerate(arguments):
        if argument == "--":
            return found + arguments[position:]
        option = OPTION.match(argument)
        if option and option[0] in RENAMED:
            new = RENAMED[option[0]]
            refuse_both(option[0], new, argument, given)
            warn_renamed(option[0], new)
            argument = new + argument.removeprefix(option[0])
        found.append(argument)
    return found


@contextmanager
def _renamings_shown() -> Iterator[None]:
    """Show warnings of old names as a line each."""
    from memspan.runtime.renamed import RenamedWarning

    with warnings.catch_warnings():
        usual = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *where: Any, **options: Any) -> None:
            if issubclass(category, RenamedWarning):
                say(f"memspan: {message}")
            else:
                usual(message, category, *where, **options)

        warnings.simplefilter("always", RenamedWarning)
        warnings.showwarning = show
        yield


def new_app() -> "App":
    """The program with all its commands."""
    from cyclopts import App

    app = App(name="memspan", version=__version__, help=SUMMARY, suppress_keyboard_interrupt=False)
    for command in commands():
        app.command(command)
    return app


def commands() -> tuple[Callable[..., Any], ...]:
    """Every command, in the order of the help."""
    from memspan.cli import bench, cells, flow, gradcheck, reproduce, store, study, tasks

    listed = (study.study, store.store, tasks.tasks, cells.cells)
    return (*listed, flow.flow, gradcheck.gradcheck, reproduce.reproduce, bench.bench)


def _fail(error: Exception | str, code: int = 2) -> int:
    from memspan.runtime.passwords import without_passwords

    say(f"memspan: {without_passwords(str(error))}")
    return code
