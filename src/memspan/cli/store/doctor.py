"""`memspan store doctor`."""

from pathlib import Path
from typing import Annotated

from memspan.cli.console import STORE
from memspan.errors import Conflict, UnreadableFile
from memspan.store.repair import diagnose


def doctor(*, store: Annotated[str, STORE] = "memspan.sqlite", rescue: Path | None = None) -> int:
    """Check a SQLite store for damage, and copy all readable rows to a new file. The store is not changed.

    Exits with 3 if the store is damaged.

    **Save the readable rows of a damaged store:**

        memspan store doctor --store broken.sqlite --rescue saved.sqlite

    Parameters
    ----------
    rescue
        New file for all readable rows: a store, or one line of JSON for each row if the name ends in .jsonl.
    """
    if "://" in store:
        raise Conflict("`memspan store doctor` checks SQLite files only. Pass a file to --store.")
    found = diagnose(store, rescue)
    for place, rows in (store, found.rows), (rescue, found.saved):
        if rows:
            counts = ", ".join(f"{name} {count:,}" for name, count in rows.items())
            print(f"{place}: {'readable' if place == store else 'saved'} rows: {counts}")
    if found.sound:
        print("The store is sound.")
        return 0
    raise UnreadableFile("\n  ".join([f"{store} is damaged:", *found.complaints]))
