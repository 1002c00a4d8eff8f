"""`memspan store export`."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from memspan.cli.completers import STUDY
from memspan.cli.console import STORE
from memspan.cli.study.choose import the_entry
from memspan.runtime.notices import say
from memspan.runtime.renamed import UNTIL
from memspan.store import Store
from memspan.store.export import export as export_trials
from memspan.store.export import old_columns
from memspan.study import Study


def export(
    name: Annotated[str | None, STUDY] = None,
    /,
    *,
    output: Annotated[Path, Parameter(alias="-o", metavar="FILE")],
    format: Literal["csv", "json", "parquet"] | None = None,
    curves: Annotated[bool, Parameter(negative="")] = False,
    force: Annotated[bool, Parameter(negative="")] = False,
    store: Annotated[str, STORE] = "memspan.sqlite",
) -> int:
    """Write the trials of a study or search to a file, one row for each trial.

    **A table for a spreadsheet:**

        memspan store export gates --output gates.csv

    Parameters
    ----------
    name
        Name of the study or search [default: the only one in the store].
    output
        File for the trials, such as gates.csv, gates.json or gates.parquet. It must be new, unless with --force.
    format
        Format of the file [default: from the ending of its name].
    curves
        Also write loss curves and gradients, as JSON or Parquet; CSV cannot hold them.
    force
        Replace the file if it exists.
    """
    with Store(store) as opened:
        entry = the_entry(opened, name)
        count = export_trials(entry, output, format, curves=curves, force=force)
        begun = opened.overview(entry.name).versions.memspan
    if begun.startswith("0.1."):  # scripts may read the columns of that version
        _tell_renamed(entry.study)
    print(f"{output}: {count:,} trials")
    return 0


def _tell_renamed(study: Study) -> None:
    """Print the new names of the columns that memspan 0.1 named otherwise."""
    renamed = old_columns(name.replace(".", "_") for name in study.values())
    pairs = ", ".join(f"{old} is now {new}" for old, new in renamed.items())
    say(f"memspan: renamed columns: {pairs}. memspan {UNTIL} will write only the new ones.")
