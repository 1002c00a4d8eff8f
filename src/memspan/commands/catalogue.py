"""`memspan tasks` and `memspan cells`: what there is."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console
from rich.table import Table

from memspan.cells import CELLS
from memspan.commands.console import new_console
from memspan.errors import InvalidArgument, whole_number
from memspan.figures.style import save
from memspan.figures.tasks import TaskSamples, draw_task
from memspan.tasks import TASKS, Task, get_task, parameters_of
from memspan.weights import Layout


def tasks(
    name: str | None = None,
    /,
    *,
    length: int | None = None,
    plot: Annotated[bool, Parameter(negative="")] = False,
    samples: int = 3,
    seed: int = 0,
    output: Annotated[Path, Parameter(alias="-o")] = Path(),
) -> int:
    """List the tasks, or show one of them.

    **All of them**, with what one gets without looking at the input:

        memspan tasks

    **One of them**, and a picture of a few sequences in the current folder:

        memspan tasks adding/hs97 --plot

    Parameters
    ----------
    name
        A task, or a family such as `adding`.
    length
        T, for which risks are given [default: 100], and sequences drawn [default: a short one].
    plot
        Draw a few sequences, with the steps marked where the answer lies.
    samples
        How many.
    seed
        Of these sequences.
    output
        A folder for the picture, and its numbers as CSV.
    """
    length = None if length is None else whole_number("length", length)
    family = [task for task in TASKS.values() if task.family == str(name).replace("_", "-")]
    chosen = list(TASKS.values()) if name is None else family if name not in TASKS and family else [get_task(name)]
    if plot and name is None:
        raise InvalidArgument("name", "given with --plot, as in `memspan tasks recall --plot`", None)
    options = {"samples": samples, "seed": whole_number("seed", seed, least=0)}
    drawn = {task.name.replace("/", "-"): TaskSamples.of(task, length, **options) for task in chosen if plot}
    console = new_console()
    if len(chosen) == 1:
        _describe(chosen[0], length or 100, console)
    else:
        _list_tasks(chosen, length or 100, console)
    if plot:
        output.mkdir(parents=True, exist_ok=True)
    for file, record in drawn.items():
        save(draw_task(record), output, file, record.columns, record.rows())
        print(output / f"{file}.png")
    return 0


def cells(*, hidden: int = 32) -> int:
    """List the cells: gates, states, number of weights, start and source.

    Parameters
    ----------
    hidden
        Units H, for which weights are counted (with one input and one output).
    """
    H = whole_number("hidden", hidden)
    table = Table(caption=f"Weights: with one input, {H} units and one output.", caption_justify="left")
    for heading in ("cell", "gates", "states"):
        table.add_column(heading)
    table.add_column("weights", justify="right")
    table.add_column("start")
    table.add_column("source")
    for cell in CELLS.values():
        weights = f"{Layout(cell, 1, H, 1).size:,}"
        table.add_row(cell.name, ", ".join(cell.gates), ", ".join(cell.states), weights, cell.start, cell.source)
    new_console().print(table)
    return 0


def _list_tasks(tasks: list[Task], length: int, console: Console) -> None:
    caption = (
        f"Trivial risk: the least loss without looking at the input, at T = {length}; chance: the most accuracy."
    )
    table = Table(caption=caption, caption_justify="left")
    table.add_column("name/variant", no_wrap=True)
    for heading in ("in", "out", "trivial risk", "chance"):
        table.add_column(heading, justify="right")
    table.add_column("source")
    for task in tasks:
        possible = max(length, task.least_length)
        _, features, outputs, _ = task.shape(possible)
        risk, chance = task.trivial_risk(possible), task.chance_accuracy(possible)
        table.add_row(task.name, str(features), str(outputs), f"{risk:.4f}", f"{chance:.3f}", task.source)
    console.print(table)


def _describe(task: Task, length: int, console: Console) -> None:
    length = max(length, task.least_length)
    steps, features, outputs, read_out = task.shape(length)
    read = "after the last step" if read_out is None else f"after each of the last {read_out}"
    rows = {
        "task": task.sentence,
        "source": task.source,
        "shortest T": str(task.least_length),
        f"at T = {length}": f"{steps} steps, {features} in, {outputs} out, read {read}",
        "loss": f"{task.new_loss().label}; without looking at the input {task.trivial_risk(length):.4g}",
        "correct": f"{task.rule}; by chance {task.chance_accuracy(length):.3g}",
        "parameters": ", ".join(f"{k}={v}" for k, v in parameters_of(task).items()) or "none",
        "relatives": ", ".join(n for n, other in TASKS.items() if other.family == task.family and n != task.name),
    }
    table = Table(title=task.name, show_header=False, title_justify="left")
    for row in rows.items():
        if row[1]:
            table.add_row(*row)
    console.print(table, markup=False)
