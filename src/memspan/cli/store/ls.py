"""`memspan store ls`."""

from typing import Annotated

from memspan.cli.console import STORE, new_console
from memspan.cli.study.choose import overview_table
from memspan.store import Store


def ls(*, store: Annotated[str, STORE] = "memspan.sqlite") -> int:
    """List the studies and searches in a store.

    **A store in another file:**

        memspan store ls --store results.sqlite
    """
    with Store(store) as opened:
        new_console().print(overview_table(opened.overviews()))
    return 0
