"""What the commands share: where they write, and how they read numbers."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cyclopts import Parameter, Token
from rich.console import Console
from rich.markup import escape

from memspan.errors import InvalidArgument
from memspan.runtime.progress import plain


def _whole(kind: Any, tokens: Sequence[Token]) -> int:
    """A whole number; cyclopts itself would round any other."""
    text = tokens[0].value
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"must be a whole number, got {text!r}") from None  # cyclopts says of what


WHOLE = Parameter(converter=_whole)
"""Of an option that takes a whole number."""

STORE = Parameter(
    env_var="MEMSPAN_STORE",
    metavar="PLACE",
    help="Store with the studies: a SQLite file, or a URL such as postgresql://user@host/database.",
)
"""Of the option that says where studies are kept."""

TASK_PARAMETERS = Parameter(metavar="FLOAT", show_default=False)
"""Of the option for the parameters of a task."""


class _Output(Console):
    def on_broken_pipe(self) -> None:
        """Leave it to the command line."""
        raise BrokenPipeError


def new_console() -> Console:
    """Standard output; a file or a pipe is given room for the widest table."""
    console = _Output()
    return console if console.is_terminal else _Output(width=140)


def new_folder(output: Path, record: str) -> None:
    """Make it before hours are spent on what goes into it."""
    if (output / record).exists():
        raise InvalidArgument("output", f"a folder without {record}, which would be lost", output)
    make_folder(output)


def make_folder(output: Path) -> None:
    """Make it, with those above it."""
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidArgument("output", "a folder that can be made", f"{output}: {error.strerror}") from error


def shown(text: str) -> str:
    """A text from elsewhere, as it may be shown in a table."""
    return escape(plain(text))
