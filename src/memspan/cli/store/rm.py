"""`memspan store rm`."""

import sys
from typing import Annotated

from cyclopts import Parameter

from memspan.cli.console import STORE, shown
from memspan.errors import Conflict
from memspan.store import Store


def rm(
    name: str,
    /,
    *,
    yes: Annotated[bool, Parameter(negative="")] = False,
    store: Annotated[str, STORE] = "memspan.sqlite",
) -> int:
    """Delete a study and all its trials. This cannot be undone.

    A SQLite file does not become smaller; later studies use the room.

    **One study, without a question:**

        memspan store rm gates --yes

    Parameters
    ----------
    name
        Name of the study.
    yes
        Delete it without asking.
    """
    with Store(store) as opened:
        count = opened.count(name)
        if not yes:
            if not sys.stdin.isatty():
                raise Conflict("Standard input is not a terminal; pass --yes to delete.")
            if input(f"Take out {shown(name)} and its {count:,} trials? [y/N] ").strip().lower() not in (
                "y",
                "yes",
            ):
                print("Nothing was done.")
                return 1
        opened.remove(name)
    print(f"{shown(name)} and its {count:,} trials are taken out.")
    return 0
