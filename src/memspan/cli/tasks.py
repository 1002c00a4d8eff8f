"""`memspan tasks`."""

from pathlib import Path
from typing import Annotated, Any

import numpy as np
from cyclopts import Parameter
from rich.console import Console
from rich.table import Table

from memspan.cli.completers import among
from memspan.cli.console import (
    JSON,
    OUTPUT,
    TASK_PARAMETERS,
    WHOLE,
    installed_parts,
    list_of_installed,
    new_console,
    print_json,
)
from memspan.errors import NotFound, whole_number, whole_seed
from memspan.figures.style import save
from memspan.figures.tasks import TaskSamples, draw_task
from memspan.runtime.files import make_folder
from memspan.shapes import Array
from memspan.tasks import TASKS, Task, get_task, parameters_of, whole_numbers

EDGE = 10
"""The number of steps shown at each end of a long sequence."""
USUAL = 100
"""The default T of the trivial risk and the chance accuracy."""


def tasks(
    name: Annotated[str | None, Parameter(completer=among(TASKS))] = None,
    /,
    *,
    task_parameters: Annotated[dict[str, float] | None, TASK_PARAMETERS] = None,
    length: Annotated[int | None, WHOLE] = None,
    plot: Annotated[bool, Parameter(negative="")] = False,
    samples: Annotated[int, WHOLE] = 3,
    seed: Annotated[int, WHOLE] = 0,
    output: Annotated[Path, OUTPUT] = Path(),
    json: Annotated[bool, JSON] = False,
) -> int:
    """List the tasks, or show the definition, the parameters and a sequence of one task.

    **All tasks**, with the best loss and accuracy of an answer that ignores the input:

        memspan tasks

    **One task**, and a picture of a few sequences in the current folder:

        memspan tasks adding/hs97 --plot

    Parameters
    ----------
    name
        Task to show, such as `adding/any`, a family, such as `adding`, or the import path of a task of your own,
        such as `mypkg.tasks:Mine`. Without a name all tasks are listed.
    task_parameters
        Parameters of the task, each an option such as --task-parameters.items 3.
    length
        Sequence length T [default: 100 for the loss and accuracy, a short one for the sequence].
    plot
        Also draw a few sequences, with marks on the steps that determine the answer.
    samples
        Number of sequences in the picture.
    seed
        Seed of the sequences, a whole number of at least 0.
    output
        Folder for the picture and its numbers as CSV.
    json
        Print the list `tasks` and the list `installed` as JSON on standard output. A task has `name`, `sentence`,
        `source`, `least_length`, `parameters`, and at the length T `steps`, `inputs`, `outputs`, `trivial_risk`,
        `chance_accuracy`; one task alone also a sequence: `x`, `y` (labels of the last steps) and `relevant`.
    """
    length = None if length is None else whole_number("length", length)
    family = [task for task in TASKS.values() if task.family == str(name).replace("_", "-")]
    if name is None and (plot or task_parameters):
        raise NotFound("Which task? Give a name with --plot or --task-parameters: `memspan tasks recall --plot`.")
    if name is None or (family and name not in TASKS and not task_parameters):
        chosen = family or list(TASKS.values())
    else:
        chosen = [get_task(name, **whole_numbers(task_parameters or {}))]
    options = {"samples": samples, "seed": whole_seed("seed", seed)}
    drawn = {task.name.replace("/", "-"): TaskSamples.of(task, length, **options) for task in chosen if plot}
    if plot:
        make_folder(output)
    console = new_console()
    console.quiet = json
    if json:
        print_json(_numbers(chosen, length, options["seed"]))
    elif len(chosen) == 1:
        _describe(chosen[0], length, console)
        console.print(_sequence(chosen[0], length, options["seed"]))
    else:
        _list_tasks(chosen, USUAL if length is None else length, console)
        if not family and (installed := list_of_installed("task")):
            console.print(installed)
        print("`memspan tasks NAME` shows one task, with a sequence.")
    for file, record in drawn.items():
        save(draw_task, record, output, file)
        console.print(output / f"{file}.png", soft_wrap=True)
    return 0


def _numbers(tasks: list[Task], length: int | None, seed: int) -> dict[str, Any]:
    """Return what JSON has of several tasks, or of one with a sequence."""
    T = USUAL if length is None else length
    if len(tasks) > 1:
        return {"length": T, "tasks": [_facts(task, T) for task in tasks], "installed": installed_parts("task")}
    (task,) = tasks
    record = TaskSamples.of(task, _short(task) if length is None else length, samples=1, seed=seed)
    sequence = {name: getattr(record, name)[:, 0] for name in ("x", "y", "relevant")}
    return {"length": max(T, task.least_length), **_facts(task, max(T, task.least_length)), **sequence}


def _facts(task: Task, length: int) -> dict[str, Any]:
    """Return what JSON has of a task; null what depends on T if the task has no sequences of this length."""
    facts: dict[str, Any] = {"name": task.name, "sentence": task.sentence, "source": task.source}
    facts |= {"least_length": task.least_length, "parameters": parameters_of(task)}
    names = ("steps", "inputs", "outputs", "trivial_risk", "chance_accuracy")
    if length < task.least_length:
        return facts | dict.fromkeys(names)
    risks = task.trivial_risk(length), task.chance_accuracy(length)
    return facts | dict(zip(names, (*task.shape(length)[:3], *risks), strict=True))


def _short(task: Task) -> int:
    """The default T of a sequence that is shown."""
    return max(8, task.least_length)


def _list_tasks(tasks: list[Task], length: int, console: Console) -> None:
    caption = (
        f"Trivial risk, chance: the best loss and accuracy at T = {length} of an answer that ignores the input."
    )
    table = Table(caption=caption, caption_justify="left")
    table.add_column("task", no_wrap=True)
    for heading in ("in", "out", "trivial risk", "chance"):
        table.add_column(heading, justify="right", min_width=min(7, len(heading)))
    table.add_column("source", overflow="fold")
    for task in tasks:
        numbers = ["–"] * 4  # the task has no sequences of this length
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
    least = f"; the best possible answer: {task.least_risk:g}" if task.least_risk else ""
    chosen = {name: value for name, value in parameters_of(task).items() if value is not None}
    rows = {
        "task": task.sentence,
        "source": task.source,
        "least T": str(task.least_length),
        f"at T = {length}": f"{steps} steps, {features} in, {outputs} out, read {read}",
        "inputs": ", ".join(task.input_names),
        "classes": ", ".join(task.class_names),
        "loss": f"{task.make_loss().label}; without the input at best {task.trivial_risk(length):.4g}{least}",
        "correct": f"{task.rule}; without the input at best {task.chance_accuracy(length):.3g} of all answers",
        "parameters": ", ".join(f"{name}={value}" for name, value in chosen.items()) or "none",
        "other variants": ", ".join(
            n for n, other in TASKS.items() if other.family == task.family and n != task.name
        ),
    }
    table = Table(title=task.name, show_header=False, title_justify="left")
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for row in rows.items():
        if row[1]:
            table.add_row(*row)
    console.print(table)


def _sequence(task: Task, length: int | None, seed: int) -> Table:
    """Return the table of one sequence; of a long one the first and last steps, and those with the answer."""
    length = _short(task) if length is None else length
    record = TaskSamples.of(task, length, samples=1, seed=seed)
    steps, first = record.end(0), len(record.x) - len(record.y)
    caption = "* The answer depends on this step."
    table = Table(
        title=f"A sequence at T = {length}", title_justify="left", caption=caption, caption_justify="left"
    )
    for heading in ("step", "input", "label"):
        table.add_column(heading)
    before = -1
    for t in range(steps):
        labels = record.y[t - first, 0] if t >= first else np.full(1, np.nan)
        if EDGE <= t < steps - EDGE and not record.relevant[t, 0]:
            continue
        if t > before + 1:
            table.add_row("...", "", "")
        before = t
        mark = "*" if record.relevant[t, 0] else ""
        label = "" if np.isnan(labels).all() else _in_words(labels, record.class_names)
        table.add_row(f"{t + 1} {mark}".strip(), _in_words(record.x[t, 0], record.input_names), label)
    return table


def _in_words(values: Array, names: tuple[str, ...]) -> str:
    """Return the name of the entry that is 1 if the others are 0, else the numbers."""
    if len(names) == len(values) and sorted(values.tolist()) == [0.0] * (len(values) - 1) + [1.0]:
        return names[int(values.argmax())]
    return ", ".join(f"{value:.3g}" for value in values)
