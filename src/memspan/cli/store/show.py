"""`memspan store show`."""

from typing import Annotated, Any

from rich.table import Table

from memspan.cli.completers import STUDY
from memspan.cli.console import JSON, STORE, new_console, print_json
from memspan.cli.study.choose import numbers_of, the_entry
from memspan.runtime.progress import plain
from memspan.store import Store
from memspan.store.store import Overview
from memspan.study import Study
from memspan.study.choices import Choices
from memspan.study.search import Search


def show(
    name: Annotated[str | None, STUDY] = None,
    /,
    *,
    store: Annotated[str, STORE] = "memspan.sqlite",
    json: Annotated[bool, JSON] = False,
) -> int:
    """Show the stored record of a study or search: settings, software versions, machine, and outcomes of trials.

    **One study:**

        memspan store show gates

    Parameters
    ----------
    name
        Name of the study or search [default: the only one in the store].
    json
        Print the record as JSON on standard output: what `memspan store ls --json` has, with `settings`,
        `versions` and `store_bytes`.
    """
    with Store(store) as opened:
        entry = the_entry(opened, name)
        found = opened.overview(entry.name)
        size = opened.size
    experiment = entry.search or entry.study
    if json:
        record = numbers_of(found) | {"settings": experiment.model_dump(mode="json")}
        print_json(record | {"versions": found.versions.model_dump(mode="json"), "store_bytes": size})
    else:
        new_console().print(_table(found, experiment, size))
    return 0


def _table(found: Overview, experiment: Study | Search, size: int) -> Table:
    """The settings, the outcomes, the versions and the machine of a study or search."""
    rows = {name: ", ".join(map(str, values)) for name, values in experiment.values().items()}
    rows["init"] = rows["init"].replace("None", "the cell's own")
    own = [name for name in type(experiment).model_fields if name not in (*Choices.model_fields, "name")]
    rows |= {experiment.shown(name): _listed(getattr(experiment, name)) for name in own}
    counts = ", ".join(f"{count:,} {outcome}" for outcome, count in sorted(found.counts.items()))
    of_all = "" if found.trials is None else f" of {found.trials:,}"
    rows |= {"trials": f"{found.done:,}{of_all}" + (f": {counts}" if counts else "")}
    rows |= {"checksum": found.hash, "created": found.created}
    rows |= {name: str(value) for name, value in found.versions.model_dump().items()}
    rows |= {"size of the store": f"{size:,} bytes"}
    table = Table(title=plain(found.name), show_header=False, title_justify="left")
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for field, value in rows.items():
        table.add_row(field, plain(value))
    return table


def _listed(value: Any) -> str:
    """The value of a field, or several, as text."""
    return ", ".join(map(str, value)) or "none" if isinstance(value, tuple) else str(value)
