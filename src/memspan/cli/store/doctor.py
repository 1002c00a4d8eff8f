"""`memspan store doctor`."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from memspan.cli.console import JSON, STORE, print_json
from memspan.errors import Conflict, UnreadableFile
from memspan.store.repair import Diagnosis, diagnose


def doctor(
    *,
    store: Annotated[str, STORE] = "memspan.sqlite",
    rescue: Annotated[Path | None, Parameter(metavar="FILE")] = None,
    json: Annotated[bool, JSON] = False,
) -> int:
    """Check a SQLite store for damage, and copy all readable rows to a new file. The store is not changed.

    Exits with 3 if the store is damaged. `memspan doctor` checks memspan itself.

    **Save the readable rows of a damaged store:**

        memspan store doctor --store broken.sqlite --rescue saved.sqlite

    Parameters
    ----------
    rescue
        New file for all readable rows: a store, or one line of JSON for each row if the name ends in .jsonl.
    json
        Print the diagnosis as JSON on standard output: `sound`, `complaints`, the number of readable `rows` of
        each table, and of those `saved`.
    """
    if "://" in store:
        raise Conflict("`memspan store doctor` checks SQLite files only. Pass a file to --store.")
    found = diagnose(store, rescue)
    if json:
        numbers = {"sound": found.sound, "complaints": found.complaints}
        print_json(numbers | {"rows": found.rows, "saved": found.saved})
    else:
        _print(found, store, rescue)
    if found.sound:
        return 0
    raise UnreadableFile("\n  ".join([f"{store} is damaged:", *found.complaints]))


def _print(found: Diagnosis, store: str, rescue: Path | None) -> None:
    for place, rows in (store, found.rows), (rescue, found.saved):
        if rows:
            counts = ", ".join(f"{name} {count:,}" for name, count in rows.items())
            print(f"{place}: {'readable' if place == store else 'saved'} rows: {counts}")
    if found.sound:
        print("The store is sound.")
