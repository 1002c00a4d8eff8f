"""`memspan tasks`."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console
from rich.table import Table

from memspan.cli.console import WHOLE, new_console
from memspan.errors import InvalidArgument, whole_number
from memspan.figures.style import save
from memspan.figures.tasks import TaskSamples, draw_task
from memspan.runtime.files import make_folder
from memspan.tasks import TASKS, Task, get_task, parameters_of, whole_numbers

USUAL = 100
"""T, for which risks are given."""


def tasks(
    name: str | None = None,
    /,
    *,
    task_parameters: Annotated[dict[str, float] | None, Parameter(show_default=False)] = None,
    length: Annotated[int | None, WHOLE] = None,
    plot: Annotated[bool, Parameter(negative="")] = False,
    samples: Annotated[int, WHOLE] = 3,
    seed: Annotated[int, WHOLE] = 0,
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
    task_parameters
        Of the task, if not its own, such as --task-parameters.items 3.
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
    if name is None and (plot or task_parameters):
        rule = "given with --plot or --task-parameters, as in `memspan tasks recall --plot`"
        raise InvalidArgument("name", rule, "none")
    if name is None or (family and name not in TASKS and not task_parameters):
        chosen = family or list(TASKS.values())
    else:
        chosen = [get_task(name, **whole_numbers(task_parameters or {}))]
    options = {"samples": samples, "seed": whole_number("seed", seed, least=0)}
    drawn = {task.name.replace("/", "-"): TaskSamples.of(task, length, **options) for task in chosen if plot}
    if plot:
        make_folder(output)
    console = new_console()
    if len(chosen) == 1:
        _describe(chosen[0], length, console)
    else:
        _list_tasks(chosen, USUAL if length is None else length, console)
    for file, record in drawn.items():
        save(draw_task(record), output, file, record.columns, record.rows())
        print(output / f"{file}.png")
    return 0


def _list_tasks(tasks: list[Task], length: int, console: Console) -> None:
    caption = f"Without looking at the input, at T = {length}: the least loss, and the highest accuracy."
    table = Table(caption=caption, caption_justify="left")
    table.add_column("name/variant", no_wrap=True)
    for heading in ("in", "out", "trivial risk", "chance"):
        table.add_column(heading, justify="right", min_width=min(7, len(heading)))
    table.add_column("source", overflow="fold")
    for task in tasks:
        numbers = ["–"] * 4  # it has no sequences so short
        if length >= task.least_length:
            _, features, outputs, _ = task.shape(length)
            risks = f"{task.trivial_risk(length):.4f}", f"{task.chance_accuracy(length):.3f}"
            numbers = [str(features), str(outputs), *risks]
        table.add_row(task.name, *numbers, task.source)
    console.print(table)


def _describe(task: Task, length: int | None, console: Console) -> None:
    length = max(USUAL, task.least_length) if length is None else task.checked_length(length)
    steps, features, outputs, output_steps = task.shape(length)
    read = "after the last step" if output_steps is None else f"after each of the last {output_steps}"
    if task.make_loss().masked:
        read = f"once, after one of the last {output_steps}"
    least = f", the best answer has {task.least_risk:g}" if task.least_risk else ""
    chosen = {name: value for name, value in parameters_of(task).items() if value is not None}
    rows = {
        "task": task.sentence,
        "source": task.source,
        "shortest T": str(task.least_length),
        f"at T = {length}": f"{steps} steps, {features} in, {outputs} out, read {read}",
        "inputs": ", ".join(task.input_names),
        "classes": ", ".join(task.class_names),
        "loss": f"{task.make_loss().label}; without looking at the input {task.trivial_risk(length):.4g}{least}",
        "correct": f"{task.rule}; by chance {task.chance_accuracy(length):.3g}",
        "parameters": ", ".join(f"{name}={value}" for name, value in chosen.items()) or "none",
        "relatives": ", ".join(n for n, other in TASKS.items() if other.family == task.family and n != task.name),
    }
    table = Table(title=task.name, show_header=False, title_justify="left")
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for row in rows.items():
        if row[1]:
            table.add_row(*row)
    console.print(table, markup=False)
