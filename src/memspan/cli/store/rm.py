"""`memspan store rm`."""

import sys
from typing import Annotated

from cyclopts import Parameter

from memspan.cli.completers import STUDY
from memspan.cli.console import STORE
from memspan.errors import Conflict, NotFound
from memspan.runtime.progress import plain
from memspan.store import Store


def rm(
    *names: Annotated[str, STUDY],
    yes: Annotated[bool, Parameter(negative="")] = False,
    store: Annotated[str, STORE] = "memspan.sqlite",
) -> int:
    """Delete studies and searches from a store, with all their trials. This cannot be undone.

    A SQLite file does not shrink; later trials use the freed space.

    **One study, without confirmation:**

        memspan store rm gates --yes

    Parameters
    ----------
    names
        Names of the studies or searches, one or several.
    yes
        Delete without asking for confirmation.
    """
    if not names:
        raise NotFound("Which study? Pass its name, as in `memspan store rm mine`; `memspan store ls` lists them.")
    with Store(store) as opened:
        counts = {name: opened.count(name) for name in names}  # so that an unknown name deletes nothing
        listed = ", ".join(f"{plain(name)} ({count:,} trials)" for name, count in counts.items())
        if not yes and not _confirmed(listed):
            print("Nothing was deleted.")
            return 1
        for name in counts:
            opened.remove(name)
    print(f"Deleted {listed}.")
    return 0


def _confirmed(listed: str) -> bool:
    """Ask on the terminal whether to delete."""
    if sys.stdin is None or not sys.stdin.isatty():
        raise Conflict("Standard input is not a terminal; pass --yes to delete.")
    return input(f"Delete {listed}? [y/N] ").strip().lower() in ("y", "yes")
