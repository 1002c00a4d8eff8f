"""`memspan store doctor`."""

from pathlib import Path
from typing import Annotated

from memspan.cli.console import STORE
from memspan.errors import InvalidArgument, UnreadableFile
from memspan.store.repair import diagnose


def doctor(*, store: Annotated[str, STORE] = "memspan.sqlite", rescue: Path | None = None) -> int:
    """Say what is wrong with a SQLite store, and save what can be read. The store is not changed.

    Exits with 3 if anything is wrong.

    **Save what can be read of a damaged store:**

        memspan store doctor --store broken.sqlite --rescue saved.sqlite

    Parameters
    ----------
    rescue
        New file for all rows that can be read: a store, or with the ending .jsonl a line of JSON for each row.
    """
    if "://" in store:
        rule = "a SQLite file; a server looks after itself"
        raise InvalidArgument("store", rule, "a URL")
    found = diagnose(store, rescue)
    for place, rows in (store, found.rows), (rescue, found.saved):
        if rows:
            counts = ", ".join(f"{name} {count:,}" for name, count in rows.items())
            print(f"{place}: {'can be read' if place == store else 'saved'}: {counts}")
    if found.sound:
        print("Nothing is wrong.")
        return 0
    raise UnreadableFile("\n  ".join([f"{store} is not sound:", *found.complaints]))
