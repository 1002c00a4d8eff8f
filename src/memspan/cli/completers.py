"""What a shell proposes after Tab: names of choices, and of the studies in a store."""

import os
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from cyclopts import Parameter

if TYPE_CHECKING:
    from cyclopts.completion import CompletionContext


def among(choices: Iterable[str]) -> "Callable[[CompletionContext], list[str]]":
    """Return a completer for one or several of these names, separated by commas."""
    names = [*choices]

    def complete(context: "CompletionContext") -> list[str]:
        before = context.incomplete.rpartition(",")
        return ["".join((*before[:2], name)) for name in names]

    return complete


def names_in_store(context: "CompletionContext") -> list[str]:
    """Return the names of the studies and searches in the store of the command line."""
    from memspan.store import Store

    given = context.get("--store")
    typed = None if given is None else given.raw
    with Store(typed or os.environ.get("MEMSPAN_STORE", "memspan.sqlite")) as opened:
        return [found.name for found in opened.overviews()]


STUDY = Parameter(completer=names_in_store)
"""The settings of an argument that names a study or search in the store."""
