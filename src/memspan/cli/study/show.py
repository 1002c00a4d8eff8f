"""`memspan study show`."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from memspan.cli.console import STORE, WHOLE
from memspan.cli.study.choose import the_entry
from memspan.cli.study.runner import print_paths, print_result
from memspan.runtime.files import demand_writable
from memspan.store import Store
from memspan.study import save_figures
from memspan.study.figures import draws_trials


def show(
    name: str | None = None,
    /,
    *,
    configuration: Annotated[int | None, WHOLE] = None,
    store: Annotated[str, STORE] = "memspan.sqlite",
    output: Annotated[Path | None, Parameter(alias="-o", show_default=False)] = None,
) -> int:
    """Print the results of a stored study or search, and draw its figures if --output is given.

    **The table, and the figures in the folder `figures`:**

        memspan study show gates --output figures

    Parameters
    ----------
    name
        Name of the study or search [default: the only one in the store].
    configuration
        Number of a single configuration to show, counted from 1 [default: all].
    output
        Folder for the figures. Without it none are drawn.
    """
    if output is not None:
        demand_writable(output)
    with Store(store) as opened:
        entry = the_entry(opened, name, configuration)
        drawn = output is not None and draws_trials(entry.study)
        result = entry.result() if drawn else entry.summary()
    print_result(result)
    if output is not None:
        print_paths(save_figures(result, output))
    return 0
