"""`memspan reproduce`."""

from json import loads
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter
from rich.table import Table

from memspan.cli.console import JSON, OUTPUT, WHOLE, new_console, new_folder, print_json
from memspan.errors import whole_number, whole_seed
from memspan.execution.teams import available_cores
from memspan.figures.style import save, write_rows
from memspan.reproduce import REPRODUCTIONS, Options, Verdict
from memspan.reproduce import reproduce as run_reproduction
from memspan.runtime.files import write_text

FINDING = ("quantity", "published", "ours", "rule", "verdict")
"""What JSON calls the columns of the table."""

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
    output: Annotated[Path | None, OUTPUT] = None,
    workers: Annotated[int | None, Parameter(show_default=False), WHOLE] = None,
    progress: Literal["auto", "bar", "notebook", "lines", "none"] = "auto",
    json: Annotated[bool, JSON] = False,
) -> int:
    """Repeat a published experiment, and compare each published number with ours.

    The table shows the rule by which each pair of numbers is judged. Exits with 1 if any number differs. Without a
    name the experiments are listed.

    **How many sequences does the LSTM of 1997 need to learn the adding problem?**

        memspan reproduce adding-1997

    Parameters
    ----------
    name
        Experiment to repeat. Without a name all experiments are listed.
    full
        Run the whole experiment. Otherwise one that takes more than ten minutes on two cores is shortened.
    seed
        Seed of all random numbers, a whole number of at least 0.
    output
        Folder for the page as Markdown, the measurements as JSON, and its picture, or else its table,
        with the numbers as CSV.
    workers
        Number of worker processes [default: one for each core].
    progress
        Display of progress. `auto` is a bar on a terminal and lines elsewhere.
    json
        Print the measurements as JSON on standard output, with the list `findings` (`quantity`, `published`,
        `ours`, `rule`, `verdict`) and the `sentence`; without a name the list of experiments.
    """
    console = new_console()
    console.quiet = json
    if name is None and json:
        facts = ("name", "title", "source")
        print_json([{fact: getattr(one, fact) for fact in facts} for one in REPRODUCTIONS.values()])
        return 0
    if name is None:
        table = Table("name", "experiment", "source")
        for reproduction in REPRODUCTIONS.values():
            table.add_row(reproduction.name, reproduction.title, reproduction.source)
        console.print(table)
        return 0
    cores = available_cores() if workers is None else whole_number("workers", workers)
    options = Options(full, cores, whole_seed("seed", seed), progress)
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
        if (picture := page.of.picture) is not None:
            save(picture.draw, picture.record(page.measured), output, name)
        else:
            write_rows(output / f"{name}.csv", page.columns, page.rows())
    if json:
        findings = [dict(zip(FINDING, row, strict=True)) for row in page.rows()]
        print_json(loads(page.json()) | {"findings": findings, "sentence": page.sentence})
    console.print(page.table())
    for line in page.how:
        console.print(line)
    console.print(f"{page.sentence} ({page.seconds:.0f} s)", style="bold")
    if output is not None:
        console.print(output / f"{name}.md", soft_wrap=True)
    return 1 if any(finding.verdict is Verdict.DIFFERS for finding in page.findings) else 0
