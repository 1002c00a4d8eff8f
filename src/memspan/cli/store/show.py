"""`memspan store show`."""

from typing import Annotated

from rich.table import Table

from memspan.cli.console import STORE, new_console, shown
from memspan.store import Store


def show(name: str, /, *, store: Annotated[str, STORE] = "memspan.sqlite") -> int:
    """Show the stored record of a study: its settings, software versions, machine, and the outcomes of its trials.

    **One study:**

        memspan store show gates

    Parameters
    ----------
    name
        Name of the study.
    """
    with Store(store) as opened:
        entry = opened.find(name)
        found = next(overview for overview in opened.overviews() if overview.name == name)
        size = opened.size
    rows = {name: ", ".join(map(str, values)) for name, values in entry.study.values().items()}
    rows["init"] = rows["init"].replace("None", "the cell's own")
    rows |= {"lengths": ", ".join(map(str, entry.study.lengths))}
    rows |= {"repetitions": str(entry.study.repetitions), "keep weights": str(entry.study.keep_weights)}
    counts = ", ".join(f"{count:,} {outcome}" for outcome, count in sorted(found.counts.items()))
    rows |= {"trials": f"{found.done:,} of {found.trials:,}" + (f": {counts}" if counts else "")}
    rows |= {"checksum": found.hash, "created": found.created}
    rows |= {name: str(value) for name, value in found.versions.model_dump().items()}
    rows |= {"size of the store": f"{size:,} bytes"}
    table = Table(title=shown(name), show_header=False, title_justify="left")
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for field, value in rows.items():
        table.add_row(field, shown(value))
    new_console().print(table)
    return 0
