"""`memspan compare`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from memspan.cli.console import JSON, new_console, print_json
from memspan.cli.fields import options_of
from memspan.cli.pages import save_report
from memspan.cli.span import same_command
from memspan.cli.study.options import OPTIONS, RunOptions, specified
from memspan.cli.study.runner import draw, figures_folder, followed
from memspan.execution.compare import run_comparison
from memspan.execution.events import Searching
from memspan.execution.running import team_of
from memspan.figures.forest import Forest, draw_forest, draw_sweep
from memspan.figures.style import save
from memspan.runtime.files import make_folder
from memspan.runtime.progress import plain
from memspan.study.comparison import Comparison
from memspan.study.comparison_result import Compared
from memspan.study.identity import default_name

if TYPE_CHECKING:
    Flags = Any
else:
    Flags = options_of(Comparison)


def compare(
    specification: Path | None = None,
    /,
    *,
    flags: Annotated[Flags, Parameter(name="*")] = Flags(),  # noqa: B008
    options: RunOptions = OPTIONS,
    json: Annotated[bool, JSON] = False,
) -> int:
    """Compare the spans of several configurations, under an equal protocol.

    Finds the span of every combination of the values, as `memspan span` does, and says which spans differ.
    Searches in the store are continued.

    **Three cells with equal numbers of weights, each with its best learning rate:**

        memspan compare --cell rnn,gru,lstm --equal parameters --tune learning_rate=0.001,0.003,0.01,0.03

    **Does the span grow with the hidden size?** A single field of numbers is drawn on logarithmic axes, with the
    power by which the span grows:

        memspan compare --hidden 8,16,32,64,128

    **Is the number of updates the limit?**

        memspan compare --updates 500,1000,2000,4000

    Parameters
    ----------
    specification
        TOML file of a comparison. Its keys are the options that describe the comparison, with `_` for `-`; several
        values are a list. Options of the run, such as --workers, are no keys.
    json
        Print the result as JSON on standard output: `configurations` with their spans, `pairs` with their ratios,
        and the `power_law` of a sweep. An open end is null, and so is all about a span of which no training
        counts. `trainings` includes those that failed. A `p` of 0.0004 times the number of pairs is an upper
        bound.
    """
    result = run(specified(Comparison, specification, flags), options, quiet=json)
    if json:
        print_json(result.numbers())
    return 1 if result.failures else 0


def run(comparison: Comparison, options: RunOptions, *, quiet: bool) -> Compared:
    """Run a comparison; unless `quiet`, print its tables and draw its figure."""
    output = figures_folder(comparison, options)
    make_team = team_of(options.processes, options.scheduler)
    with followed(Searching, lambda _: same_command(), options, quiet=quiet) as (tell, begun):
        how: dict[str, Any] = {"retry_failed": options.retry_failed, "tell": tell}
        result = run_comparison(comparison, options.store, make_team, **how)
    if not quiet and options.progress != "json":
        print_comparison(result)
        if options.figures and result.spans:
            needed = any(event.keys for event in begun)
            name, stored = comparison.name or default_name(comparison), begun[-1].names[0]
            draw(
                lambda: [
                    *save_comparison(result, output),
                    save_report(result, name, output, options.store, stored),
                ],
                output,
                options,
                needed=needed,
            )
    return result


def print_comparison(result: Compared) -> None:
    """Print the spans, their ratios, and the answer in words."""
    console = new_console()
    console.print(result.table())
    if result.pairs:
        console.print(result.pair_table())
    for reason in result.failures:
        console.print(f"A trial failed: {plain(reason)}")
    for text in filter(None, (result.power_law, result.sentence)):
        console.print(text, style="bold")


def save_comparison(result: Compared, folder: Path) -> list[Path]:
    """Draw the figure of a comparison as `spans.png`, with an SVG and a CSV beside it."""
    make_folder(folder, "folder")
    record = result.figure()
    if isinstance(record, Forest):
        save(draw_forest, record, folder, "spans")
    else:
        save(draw_sweep, record, folder, "spans")
    return [folder / "spans.png"]
