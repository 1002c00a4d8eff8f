"""`memspan store doctor`."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from memspan.cli.console import STORE
from memspan.errors import InvalidArgument, UnreadableFile
from memspan.store.repair import diagnose


def doctor(
    *, store: Annotated[str, STORE] = "memspan.sqlite", rescue: Annotated[Path | None, Parameter()] = None
) -> int:
    """Say what is wrong with a SQLite store, and save what can be read. The store is not touched.

    Exits with 3 if anything is wrong.

    Parameters
    ----------
    store
        The file.
    rescue
        A new file for all that can be read: a store, in which a study can be resumed, or with the ending .jsonl a
        line of JSON for each row.
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
