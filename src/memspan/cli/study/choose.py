"""The choice of a study if no name is given, and the table of all studies and searches."""

from rich.table import Table

from memspan.cli.console import shown
from memspan.errors import Conflict, NotFound
from memspan.runtime.progress import plain
from memspan.store.entry import Entry
from memspan.store.store import Overview
from memspan.study import Study

MOST_NAMED = 10  # the most studies to name in a message


def the_one(found: list[Overview], otherwise: str = "") -> Overview:
    """Return the only study of the list. `otherwise` is the message if the list is empty."""
    if not found:
        raise NotFound(otherwise)
    if len(found) > 1:
        more = [f"and {len(found) - MOST_NAMED:,} more"] if len(found) > MOST_NAMED else []
        names = ", ".join([*(plain(overview.name) for overview in found[:MOST_NAMED]), *more])
        raise Conflict(f"Which study? Choose one of {names}.")
    return found[0]


def overview_table(overviews: list[Overview]) -> Table:
    """A row for each study and search."""
    table = Table()
    for heading in ("name", "kind", "task", "cell"):
        table.add_column(heading, overflow="fold")
    for heading in ("configurations", "done", "solved", "failed"):
        table.add_column(heading, justify="right")
    table.add_column("created", no_wrap=True)
    for found in overviews:
        names = [", ".join(found.study.values()[field]) for field in ("task", "cell")]
        counts = [str(found.counts.get(outcome, 0)) for outcome in ("solved", "failed")]
        done = f"{found.done:,}" if found.trials is None else f"{found.done:,}/{found.trials:,}"
        number = str(len(found.study.configurations))
        table.add_row(
            shown(found.name), found.study.what, *names, number, done, *counts, shown(found.created[:10])
        )
    return table


def a_study(entry: Entry) -> Study:
    """Return the study of an entry; refuse a search, which goes on with its own command."""
    if entry.search is not None:
        raise Conflict(f"{plain(entry.name)} is a search. Give the command again with which it began.")
    return entry.study
