"""`memspan store export`."""

import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from memspan.cli.console import STORE
from memspan.runtime.renamed import UNTIL
from memspan.store import Store
from memspan.store.export import export as export_trials
from memspan.store.export import old_columns
from memspan.study import Study


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

    **As a table for a spreadsheet:**

        memspan store export gates --output gates.csv

    Parameters
    ----------
    name
        Name of the study.
    output
        New file for the trials, such as gates.csv, gates.json or gates.parquet.
    format
        Format of the file [default: by the ending of its name].
    curves
        Write loss curves and gradients too, which CSV cannot hold.
    """
    with Store(store) as opened:
        entry = opened.find(name)
        count = export_trials(entry, output, format, curves=curves)
        begun = next(found.versions.memspan for found in opened.overviews() if found.name == name)
    if begun.startswith("0.1."):  # some script may read what that version wrote
        _tell_renamed(entry.study)
    print(f"{output}: {count:,} trials")
    return 0


def _tell_renamed(study: Study) -> None:
    """Name the columns of this study that memspan 0.1 named otherwise."""
    renamed = old_columns(name.replace(".", "_") for name in study.values())
    pairs = ", ".join(f"{old} is now {new}" for old, new in renamed.items())
    print(f"memspan: {pairs}; memspan {UNTIL} writes the new columns only", file=sys.stderr)
