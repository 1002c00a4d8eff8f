"""`memspan store export`."""

import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from memspan.cli.console import STORE
from memspan.store import Store
from memspan.store.export import export as export_trials

OLD_COLUMNS = (
    "memspan: the columns start, parameters_... and evaluation_batches are now init, task_parameters_... and "
    "final_batches; memspan 0.3 writes the new ones only"
)


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
        count = export_trials(opened.find(name), output, format, curves=curves)
    print(OLD_COLUMNS, file=sys.stderr)
    print(f"{output}: {count:,} trials")
    return 0
