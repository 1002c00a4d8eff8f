"""`memspan store export`."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from memspan.cli.console import STORE
from memspan.runtime.notices import say
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

    Parameters
    ----------
    name
        Which.
    output
        A new file.
    format
        [default: what the file's name ends with].
    curves
        Loss curves and gradients too; not to CSV.
    store
        As for `memspan store ls`.
    """
    with Store(store) as opened:
        count = export_trials(opened.find(name), output, format, curves=curves)
    say(OLD_COLUMNS)
    print(f"{output}: {count:,} trials")
    return 0
