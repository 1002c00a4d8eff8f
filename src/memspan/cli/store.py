"""`memspan store`: ls, show, export, rm, doctor."""

import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter
from rich.table import Table

from memspan.cli.console import STORE, new_console, shown
from memspan.cli.study import overview_table
from memspan.errors import InvalidArgument, UnreadableFile
from memspan.store.export import export as export_trials
from memspan.store.repair import diagnose
from memspan.store.store import Store

store = App(
    name="store", help="What is kept of studies: list it, look at it, take it elsewhere, take it out, mend it."
)


@store.command
def ls(*, store: Annotated[str, STORE] = "memspan.sqlite") -> int:
    """List the studies in a store.

    Parameters
    ----------
    store
        A SQLite file, or a URL such as postgresql://user@host/database.
    """
    with Store(store) as opened:
        new_console().print(overview_table(opened.overviews()))
    return 0


@store.command
def show(name: str, /, *, store: Annotated[str, STORE] = "memspan.sqlite") -> int:
    """Show what is kept of a study: its specification, where it was run, how its trials ended.

    Parameters
    ----------
    name
        Which.
    store
        As for `memspan store ls`.
    """
    with Store(store) as opened:
        entry = opened.find(name)
        found = next(overview for overview in opened.overviews() if overview.name == name)
        size = opened.size
    rows = {name: ", ".join(map(str, values)) for name, values in entry.study.values().items()}
    rows |= {"repetitions": str(entry.study.repetitions), "weights": str(entry.study.weights)}
    counts = ", ".join(f"{count:,} {outcome}" for outcome, count in sorted(found.counts.items()))
    rows |= {"trials": f"{found.done:,} of {found.trials:,}" + (f": {counts}" if counts else "")}
    rows |= {"hash": found.hash, "since": found.created}
    rows |= {name: str(value) for name, value in found.versions.model_dump().items()}
    rows |= {"size of the store": f"{size:,} bytes"}
    table = Table(title=shown(name), show_header=False, title_justify="left")
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for field, value in rows.items():
        table.add_row(field, shown(value))
    new_console().print(table)
    return 0


@store.command
def export(
    name: str,
    /,
    *,
    output: Annotated[Path, Parameter(alias="-o")],
    format: Literal["csv", "json", "parquet"] | None = None,
    curves: Annotated[bool, Parameter(negative="")] = False,
    store: Annotated[str, STORE] = "memspan.sqlite",
) -> int:
    """Write the trials of a study to a file, a row each.

    Parameters
    ----------
    name
        Which.
    output
        A new file.
    format
        [default: what the file's name ends with].
    curves
        Loss curves and gradients too; not to CSV.
    store
        As for `memspan store ls`.
    """
    with Store(store) as opened:
        count = export_trials(opened.find(name), output, format, curves=curves)
    print(f"{output}: {count:,} trials")
    return 0


@store.command
def rm(
    name: str,
    /,
    *,
    yes: Annotated[bool, Parameter(negative="")] = False,
    store: Annotated[str, STORE] = "memspan.sqlite",
) -> int:
    """Take a study out of a store, with all its trials. This cannot be undone.

    A SQLite file does not become smaller; what comes next has its room.

    Parameters
    ----------
    name
        Which.
    yes
        Do not ask.
    store
        As for `memspan store ls`.
    """
    with Store(store) as opened:
        count = opened.count(name)
        if not yes:
            if not sys.stdin.isatty():
                raise InvalidArgument("yes", "given where nobody can be asked", "nothing")
            if input(f"Take out {shown(name)} and its {count:,} trials? [y/N] ").strip().lower() not in (
                "y",
                "yes",
            ):
                print("Nothing was done.")
                return 1
        opened.remove(name)
    print(f"{shown(name)} and its {count:,} trials are taken out.")
    return 0


@store.command
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
