"""`memspan reproduce`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter
from rich.table import Table

from memspan.cli.console import WHOLE, new_console, new_folder
from memspan.errors import whole_number
from memspan.execution.teams import available_cores
from memspan.figures.style import write_rows
from memspan.reproduce import REPRODUCTIONS, Options, Verdict
from memspan.reproduce import reproduce as run_reproduction
from memspan.runtime.files import write_text

if TYPE_CHECKING:
    ReproductionName = str
else:
    ReproductionName = Literal[*REPRODUCTIONS]


def reproduce(
    name: ReproductionName | None = None,
    /,
    *,
    full: Annotated[bool, Parameter(negative="")] = False,
    seed: Annotated[int, WHOLE] = 0,
    output: Annotated[Path | None, Parameter(alias="-o")] = None,
    workers: Annotated[int | None, Parameter(show_default=False), WHOLE] = None,
    progress: Literal["auto", "bar", "notebook", "lines", "none"] = "auto",
) -> int:
    """Run a published experiment again, and say for each number whether it agrees. Without a name, list them.

    What agrees is a rule that stands beside each number. Exits with 1 if any does not.

    **How many sequences did the LSTM of 1997 need?**

        memspan reproduce adding-1997

    Parameters
    ----------
    name
        Experiment to run again. Without it all experiments are listed.
    full
        Run the whole experiment. Without it, one that takes longer than ten minutes on two cores is shortened.
    seed
        Seed of every random number, a whole number of at least 0.
    output
        Folder for the page as Markdown, its table as CSV, and what was measured as JSON.
    workers
        Number of processes [default: one for each core].
    progress
        How progress is shown; `auto` takes a bar on a terminal, and lines elsewhere.
    """
    console = new_console()
    if name is None:
        table = Table("name", "what", "source")
        for reproduction in REPRODUCTIONS.values():
            table.add_row(reproduction.name, reproduction.title, reproduction.source)
        console.print(table)
        return 0
    cores = available_cores() if workers is None else whole_number("workers", workers)
    options = Options(full, cores, whole_number("seed", seed, least=0), progress)
    made = output is not None and not output.exists()
    if output is not None:
        new_folder(output, f"{name}.md")
    try:
        page = run_reproduction(name, options)
    except BaseException:
        if output is not None and made:
            output.rmdir()
        raise
    if output is not None:
        write_text(output / f"{name}.md", page.markdown())
        write_text(output / f"{name}.json", page.json())
        write_rows(output / f"{name}.csv", page.columns, page.rows())
    console.print(page.table(), markup=False)
    for line in page.how:
        console.print(line, markup=False)
    console.print(f"{page.sentence} ({page.seconds:.0f} s)", style="bold")
    if output is not None:
        print(output / f"{name}.md")
    return 1 if any(finding.verdict is Verdict.DIFFERS for finding in page.findings) else 0
