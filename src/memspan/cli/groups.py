"""Groups of commands, and the last line of every help: the page of the documentation that it belongs to."""

from collections.abc import Callable, Iterable
from typing import Any

from cyclopts import App

PAGES = "reference/cli"
"""Where the pages of the commands are in the documentation, which `make docs` builds into build/docs."""


def page_of(command: str = "index") -> str:
    """Return the page of a command, such as `study run`, in the documentation."""
    return f"{PAGES}/{command.replace(' ', '-')}.html"


def see_page(command: str = "index") -> str:
    """Return the last line of the help of a command."""
    return f"Documentation: {page_of(command)}"


def new_group(name: str, text: str, commands: Iterable[Callable[..., Any]]) -> App:
    """Return a group of commands.

    Parameters
    ----------
    name : str
        The name of the group, such as `study`.
    text : str
        Its help.
    commands : iterable of callables
        Its commands, in the order of the help.
    """
    group = App(name=name, help=text, help_epilogue=see_page(name))
    for command in commands:
        group.command(command, help_epilogue=see_page(f"{name} {command.__name__}"))
    return group
