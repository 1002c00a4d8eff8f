"""`memspan store ls`."""

from typing import Annotated

from memspan.cli.console import JSON, STORE, new_console, print_json
from memspan.cli.study.choose import numbers_of, overview_table
from memspan.store import Store


def ls(*, store: Annotated[str, STORE] = "memspan.sqlite", json: Annotated[bool, JSON] = False) -> int:
    """List the studies and searches in a store.

    **A store in another file:**

        memspan store ls --store results.sqlite

    Parameters
    ----------
    json
        Print a list as JSON on standard output, with `name`, `kind` (study or search), `task`, `cell`,
        `configurations`, `trials` (null for a search), `done`, `outcomes`, `created` and `checksum`.
    """
    with Store(store) as opened:
        found = opened.overviews()
    if json:
        print_json([numbers_of(one) for one in found])
    else:
        new_console().print(overview_table(found))
    return 0
