"""Parts that several commands share: options, the console, checks of folders."""

import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cyclopts import Parameter, Token
from rich.style import Style
from rich.table import Table
from rich.text import Text

from memspan.errors import Conflict
from memspan.errors import shown as brief
from memspan.runtime.files import make_folder
from memspan.runtime.imports import entry_points, origin
from memspan.runtime.narrow import fitted
from memspan.runtime.progress import plain
from memspan.runtime.tables import PlainConsole


def _whole(kind: Any, tokens: Sequence[Token]) -> int:
    """Convert to int. cyclopts itself would round a fraction."""
    text = tokens[0].value
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"must be a whole number, got {brief(text)}") from None  # cyclopts adds the name


WIDTH = 140
"""The width of tables in a file or a pipe, in characters."""

WHOLE = Parameter(converter=_whole)
"""The settings of an option that takes a whole number."""

STORE = Parameter(
    env_var="MEMSPAN_STORE",
    metavar="PLACE",
    help="Store of the studies: a SQLite file, or a URL such as postgresql://user@host/database.",
)
"""The settings of the option `--store`."""

OUTPUT = Parameter(alias="-o", metavar="FOLDER", show_default=False)
"""The settings of the option `--output` for a folder."""

JSON = Parameter(name="--json", negative="", show_default=False)
"""The settings of the option `--json`."""

NAME = Parameter(metavar="NAME")
"""The settings of an option that takes a name or an import path."""

TASK_PARAMETERS = Parameter(metavar="FLOAT", show_default=False)
"""The settings of the option `--task-parameters`."""


class _Output(PlainConsole):
    """A console that leaves a broken pipe to `main`, and prints tables readably in a narrow terminal."""

    def print(self, *objects: Any, **options: Any) -> None:
        """Print; a table that does not fit has its rows one below the other."""
        super().print(*(fitted(one, self.width) if isinstance(one, Table) else one for one in objects), **options)

    def on_broken_pipe(self) -> None:
        """Raise, where rich would exit with 1."""
        raise BrokenPipeError


def new_console() -> PlainConsole:
    """Return a console on standard output.

    In a file or a pipe it has the width of the environment variable COLUMNS, or else room for every table.
    """
    console = _Output()
    return console if console.is_terminal or "COLUMNS" in os.environ else _Output(width=WIDTH)


def print_json(document: Any) -> None:
    """Print a document as JSON on standard output. What is infinite or unknown is null."""
    print(json.dumps(_for_json(document), allow_nan=False))


def _for_json(value: Any) -> Any:
    """Convert mappings, sequences and numbers, those of NumPy too, to what JSON has."""
    if isinstance(value, Mapping):
        return {str(name): _for_json(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_for_json(one) for one in value]
    if hasattr(value, "tolist"):
        return _for_json(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def installed_parts(kind: str) -> list[dict[str, str]]:
    """Return the cells or tasks that installed distributions name, for JSON. They are not imported."""
    found = entry_points(kind)
    return [{"name": name, "path": path, "from": origin(path)} for name, path in sorted(found.items())]


def print_paths(paths: Iterable[Path]) -> None:
    """Print one path a line; on a terminal that can show links, as a link to the file."""
    console = new_console()
    for path in paths:
        console.print(Text(str(path), style=Style(link=path.absolute().as_uri())), soft_wrap=True)


def list_of_installed(kind: str) -> Table | None:
    """Return the table of the cells or tasks that installed distributions name; None if there are none.

    They are not imported.
    """
    found = installed_parts(kind)
    if not found:
        return None
    table = Table(title=f"{kind.capitalize()}s of installed distributions", title_justify="left")
    for heading in (kind, "import path", "from"):
        table.add_column(heading, overflow="fold")
    for one in found:
        table.add_row(*map(plain, one.values()))
    return table


def new_folder(output: Path, record: str) -> None:
    """Make the folder, before hours are spent on its contents; refuse one that contains `record`."""
    if (output / record).exists():
        raise Conflict(f"{output} already contains {record}. Choose another --output.")
    make_folder(output)
