"""The choice of a study if no name is given, and the table of all studies and searches."""

from typing import Any

from rich.table import Table

from memspan.errors import Conflict, InvalidArgument, NotFound, whole_number
from memspan.runtime.progress import plain
from memspan.store.entry import Entry
from memspan.store.store import Overview, Store
from memspan.study import Study
from memspan.study.experiment import written
from memspan.study.search import Search

MOST_NAMED = 10  # the most studies to name in a message
APART = {"name", "task", "cell", "lengths", "test_lengths", "task_parameters"}  # in other columns, long, or split
LONGEST_SETTINGS = 80  # characters


def the_one(found: list[Overview], otherwise: str = "") -> Overview:
    """Return the only study of the list. `otherwise` is the message if the list is empty."""
    if not found:
        raise NotFound(otherwise)
    if len(found) > 1:
        more = [f"and {len(found) - MOST_NAMED:,} more"] if len(found) > MOST_NAMED else []
        names = ", ".join([*(plain(overview.name) for overview in found[:MOST_NAMED]), *more])
        raise Conflict(f"Which study? Choose one of {names}.")
    return found[0]


def the_entry(opened: Store, name: str | None, configuration: int | None = None) -> Entry:
    """Return the study or search of a name, or the only one; of it a single configuration, counted from 1."""
    empty = f"No study in {opened.place} yet. Run `memspan study run` or `memspan span` first."
    entry = opened.find(name if name is not None else the_one(opened.overviews(), empty).name)
    if configuration is None:
        return entry
    number, most = whole_number("configuration", configuration), len(entry.study.configurations)
    if number > most:
        raise InvalidArgument("configuration", f"at most {most}", number)
    return entry.of_configuration(number - 1)


def overview_table(overviews: list[Overview]) -> Table:
    """A row for each study and search."""
    table = Table()
    for heading in ("name", "kind", "task", "cell", "other settings"):
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
            *(plain(found.name), found.study.what, *names, plain(settings_of(found.study))),
            *(number, done, *counts, plain(found.created[:10])),
        )
    return table


def numbers_of(overview: Overview) -> dict[str, Any]:
    """Return what JSON has of a study or search in a store."""
    values = overview.study.values()
    return {
        "name": overview.name,
        "kind": overview.study.what,
        "task": values["task"],
        "cell": values["cell"],
        "configurations": len(overview.study.configurations),
        "trials": overview.trials,
        "done": overview.done,
        "outcomes": overview.counts,
        "created": overview.created,
        "checksum": overview.hash,
    }


def settings_of(experiment: Study | Search) -> str:
    """Return the settings that differ from the defaults, without name, task, cell and lengths: `hidden 8, ...`."""
    fields = {name: getattr(experiment, name) for name in type(experiment).model_fields} | experiment.values()
    defaults = {name: field.default for name, field in type(experiment).model_fields.items()}
    texts = []
    for name, value in fields.items():
        values = value if isinstance(value, tuple) else (value,)
        if name not in APART and values != (defaults.get(name),):
            texts.append(f"{experiment.shown(name)} {','.join(map(written, values))}")
    text = ", ".join(texts)
    return text if len(text) <= LONGEST_SETTINGS else f"{text[: LONGEST_SETTINGS - 3]}..."


def a_study(entry: Entry) -> Study:
    """Return the study of an entry; refuse a search, which goes on with its own command."""
    if entry.search is not None:
        raise Conflict(f"{plain(entry.name)} is a search. Give the command again with which it began.")
    return entry.study
