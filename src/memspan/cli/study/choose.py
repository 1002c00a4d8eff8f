"""Which study is meant, where no name is given; and the table of all of them."""

from rich.table import Table

from memspan.cli.console import shown
from memspan.errors import InvalidArgument
from memspan.store.store import Overview


def the_one(found: list[Overview], what: str) -> Overview:
    """The only one of these; `what` says in words what it is."""
    if len(found) != 1:
        names = ", ".join(repr(overview.name) for overview in found) or "no such study"
        raise InvalidArgument("name", f"given, {what}", f"none; there is {names}")
    return found[0]


def overview_table(overviews: list[Overview]) -> Table:
    """A row for each study."""
    table = Table()
    for heading in ("study", "task", "cell"):
        table.add_column(heading, overflow="fold")
    for heading in ("configurations", "done", "solved", "failed"):
        table.add_column(heading, justify="right")
    table.add_column("since", no_wrap=True)
    for found in overviews:
        names = [", ".join(found.study.values()[field]) for field in ("task", "cell")]
        counts = [str(found.counts.get(outcome, 0)) for outcome in ("solved", "failed")]
        done = f"{found.done:,}/{found.trials:,}"
        number = str(len(found.study.configurations))
        table.add_row(shown(found.name), *names, number, done, *counts, shown(found.created[:10]))
    return table
