"""`memspan study status`."""

from typing import Annotated

from rich.table import Table

from memspan.cli.console import STORE, new_console
from memspan.cli.study.choose import overview_table
from memspan.cli.study.runner import resume_command
from memspan.runtime.progress import plain
from memspan.store import Store
from memspan.store.entry import Entry
from memspan.study.search_result import SearchResult


def status(name: str | None = None, /, *, store: Annotated[str, STORE] = "memspan.sqlite") -> int:
    """Show how many trials of a study or search, or of all, are done.

    **One study, length by length:**

        memspan study status gates

    Parameters
    ----------
    name
        Name of the study or search. Without a name, all in the store are listed.
    """
    with Store(store) as opened:
        if name is None:
            new_console().print(overview_table(opened.overviews()))
            return 0
        entry = opened.find(name)
        counts, reasons = entry.counts(), entry.reasons()
    if entry.search is not None:
        return _search_status(entry, sum(sum(outcomes.values()) for outcomes in counts.values()))
    each = entry.study.repetitions * len(entry.study.configurations)
    done = sum(sum(outcomes.values()) for outcomes in counts.values())
    total = each * len(entry.study.lengths)
    state = "finished" if done == total else f"unfinished: {total - done:,} trials are missing"
    table = Table()
    for heading in ("length", "done", "solved", "unsolved", "diverged", "failed"):
        table.add_column(heading, justify="right")
    for length in entry.study.lengths:
        outcomes = counts.get(length, {})
        numbers = [str(outcomes.get(heading, 0)) for heading in ("solved", "unsolved", "diverged", "failed")]
        table.add_row(str(length), f"{sum(outcomes.values())}/{each}", *numbers)
    console = new_console()
    console.print(f"{plain(name)}: {done:,} of {total:,} trials, {state}", soft_wrap=True)
    console.print(table)
    for reason in reasons:
        console.print(f"A trial failed: {plain(reason)}")
    if done < total:
        print(resume_command(name, store))
    return 0


def _search_status(entry: Entry, stored: int) -> int:
    """Print what is stored, the estimate so far, and whether and why the search has ended."""
    result = entry.summary()
    assert isinstance(result, SearchResult)
    again = "unfinished: give the command again with which it began"
    state = f"finished: {result.ended}" if result.ended else again
    console = new_console()
    rounds = len(result.path.rounds)
    done = f"{stored:,} trainings stored, {rounds} round{'s' * (rounds != 1)} complete"
    console.print(f"{plain(entry.name)}: {done}, {state}", soft_wrap=True)
    console.print(result.sentence)
    for reason in result.failures:
        console.print(f"A trial failed: {plain(reason)}")
    return 0
