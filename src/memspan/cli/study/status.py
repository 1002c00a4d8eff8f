"""`memspan study status`."""

from typing import Annotated, Any

from rich.table import Table

from memspan.cli.completers import STUDY
from memspan.cli.console import JSON, STORE, new_console, print_json
from memspan.cli.study.choose import numbers_of, overview_table
from memspan.cli.study.runner import resume_command
from memspan.runtime.progress import plain
from memspan.store import Store
from memspan.store.entry import Entry
from memspan.study.search_result import SearchResult

OUTCOMES = ("solved", "unsolved", "diverged", "failed")


def status(
    name: Annotated[str | None, STUDY] = None,
    /,
    *,
    store: Annotated[str, STORE] = "memspan.sqlite",
    json: Annotated[bool, JSON] = False,
) -> int:
    """Show how many trials of a study or search, or of all, are done.

    **One study, length by length:**

        memspan study status gates

    Parameters
    ----------
    name
        Name of the study or search. Without a name, all in the store are listed.
    json
        Print it as JSON on standard output: `name`, `kind` (study or search), `trials` (null for a search),
        `done`, `complete`, `failures`; of a study `lengths` (the outcomes at each length) and `command` (which
        continues it), of a search `rounds`, `ended` and `sentence`. Without a name: the list of
        `memspan store ls --json`.
    """
    with Store(store) as opened:
        if name is None:
            found = opened.overviews()
            if json:
                print_json([numbers_of(one) for one in found])
            else:
                new_console().print(overview_table(found))
            return 0
        entry = opened.find(name)
        counts, reasons = entry.counts(), entry.reasons()
    if entry.search is not None:
        _search_status(entry, sum(sum(outcomes.values()) for outcomes in counts.values()), json=json)
        return 0
    numbers = _numbers(entry, counts, reasons, store)
    if json:
        print_json(numbers)
    else:
        _print(numbers, entry.study.repetitions * len(entry.study.configurations))
    return 0


def _numbers(entry: Entry, counts: dict[int, dict[str, int]], reasons: list[str], store: str) -> dict[str, Any]:
    """Return the progress of a study, for JSON and for the table."""
    done = sum(sum(outcomes.values()) for outcomes in counts.values())
    lengths = [
        {"length": length, "done": sum(counts.get(length, {}).values())}
        | {outcome: counts.get(length, {}).get(outcome, 0) for outcome in OUTCOMES}
        for length in entry.study.lengths
    ]
    complete = done == entry.study.size
    return {
        "name": entry.name,
        "kind": "study",
        "trials": entry.study.size,
        "done": done,
        "complete": complete,
        "lengths": lengths,
        "failures": reasons,
        "command": None if complete else resume_command(entry.name, store),
    }


def _print(numbers: dict[str, Any], each: int) -> None:
    """Print the progress of a study, of which each length has so many trials."""
    done, total = numbers["done"], numbers["trials"]
    state = "finished" if numbers["complete"] else f"unfinished: {total - done:,} trials are missing"
    table = Table()
    for heading in ("length", "done", *OUTCOMES):
        table.add_column(heading, justify="right")
    for row in numbers["lengths"]:
        table.add_row(str(row["length"]), f"{row['done']}/{each}", *(str(row[one]) for one in OUTCOMES))
    console = new_console()
    console.print(f"{plain(numbers['name'])}: {done:,} of {total:,} trials, {state}", soft_wrap=True)
    console.print(table)
    for reason in numbers["failures"]:
        console.print(f"A trial failed: {plain(reason)}")
    if numbers["command"]:
        print(numbers["command"])


def _search_status(entry: Entry, stored: int, *, json: bool) -> None:
    """Print what is stored, the estimate so far, and whether and why the search has ended."""
    result = entry.summary()
    assert isinstance(result, SearchResult)
    rounds = len(result.path.rounds)
    if json:
        found: dict[str, Any] = {"name": entry.name, "kind": "search", "trials": None, "done": stored}
        found |= {"complete": result.complete, "failures": result.failures, "rounds": rounds}
        print_json(found | {"ended": result.ended or None, "sentence": result.sentence})
        return
    again = "unfinished: give the command again with which it began"
    state = f"finished: {result.ended}" if result.ended else again
    console = new_console()
    done = f"{stored:,} trainings stored, {rounds} round{'s' * (rounds != 1)} complete"
    console.print(f"{plain(entry.name)}: {done}, {state}", soft_wrap=True)
    console.print(result.sentence)
    for reason in result.failures:
        console.print(f"A trial failed: {plain(reason)}")
