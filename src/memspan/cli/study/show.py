"""`memspan study show`."""

from pathlib import Path
from typing import Annotated

from memspan.cli.completers import STUDY
from memspan.cli.console import JSON, OUTPUT, STORE, WHOLE, print_json, print_paths
from memspan.cli.pages import NAME as REPORT
from memspan.cli.pages import demand_no_other
from memspan.cli.study.choose import the_entry
from memspan.cli.study.runner import print_result, save_pages
from memspan.runtime.files import demand_writable
from memspan.store import Store
from memspan.study.figures import draws_trials


def show(
    name: Annotated[str | None, STUDY] = None,
    /,
    *,
    configuration: Annotated[int | None, WHOLE] = None,
    store: Annotated[str, STORE] = "memspan.sqlite",
    output: Annotated[Path | None, OUTPUT] = None,
    json: Annotated[bool, JSON] = False,
) -> int:
    """Print the results of a stored study or search; with --output also draw its figures and write its report.

    **The table, and figures and report in the folder `figures`:**

        memspan study show gates --output figures

    Parameters
    ----------
    name
        Name of the study or search [default: the only one in the store].
    configuration
        Number of a single configuration to show, counted from 1 [default: all].
    output
        Folder for the figures and the report. Without it none are made.
    json
        Print the results as JSON on standard output: `name`, `study` (its settings), `trials`, `done`, `complete`,
        `sentence`, `spans` (of each configuration), `lengths` (of each configuration: the solved share with its
        interval, accuracy, loss) and `failures`; of a search also `search`, `ended`, `trainings` and
        `steps_trained`. Configurations are counted from 1.
    """
    if output is not None:
        demand_writable(output)
        demand_no_other(output / REPORT)
    with Store(store) as opened:
        entry = the_entry(opened, name, configuration)
        drawn = output is not None and draws_trials(entry.study)
        result = entry.result() if drawn else entry.summary()
    if json:
        print_json(result.numbers() | {"name": entry.name})
    else:
        print_result(result)
    if output is not None:
        paths = save_pages(result, entry.name, output, store)
        if not json:
            print_paths(paths)
    return 0
