"""`memspan store show`."""

from typing import Annotated, Any

from rich.table import Table

from memspan.cli.console import STORE, new_console
from memspan.runtime.progress import plain
from memspan.store import Store
from memspan.study.choices import Choices


def show(name: str, /, *, store: Annotated[str, STORE] = "memspan.sqlite") -> int:
    """Show the stored record of a study or search: settings, software versions, machine, and outcomes of trials.

    **One study:**

        memspan store show gates

    Parameters
    ----------
    name
        Name of the study or search.
    """
    with Store(store) as opened:
        entry = opened.find(name)
        found = next(overview for overview in opened.overviews() if overview.name == name)
        size = opened.size
    experiment = entry.search or entry.study
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
    table = Table(title=plain(name), show_header=False, title_justify="left")
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for field, value in rows.items():
        table.add_row(field, plain(value))
    new_console().print(table)
    return 0


def _listed(value: Any) -> str:
    """The value of a field, or several, as text."""
    return ", ".join(map(str, value)) or "none" if isinstance(value, tuple) else str(value)
