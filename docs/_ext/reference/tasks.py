"""The page of each family of tasks, with a picture of each variant, and the table of all."""

import inspect
from collections.abc import Iterator, Mapping
from functools import partial

from memspan import TASKS, Task
from memspan.figures.tasks import TaskSamples, draw_task
from memspan.tasks import parameters_of
from memspan.tasks.marked import MarkedOf1997
from memspan.tasks.random_end import RandomEnd
from reference import Draw, cut, table, toctree

LENGTH = 100
"""The length whose trivial risk and chance the table states."""
FAMILIES = tuple(dict.fromkeys(task.family for task in TASKS.values()))


def pages() -> Mapping[str, str]:
    """Return the page of each family, and the table of all tasks."""
    return {f"tasks/{family}.md": page(family) for family in FAMILIES} | {"tasks/_table.md": overview()}


def pictures() -> Mapping[str, Draw]:
    """Return the function that draws the picture of each task."""
    return {f"tasks/{picture(task)}": partial(drawn, task) for task in TASKS.values()}


def drawn(task: Task) -> object:
    """Draw two sequences."""
    return draw_task(TaskSamples.of(task, samples=2))


def picture(task: Task) -> str:
    """Return the name of the file of a task's picture."""
    return f"{task.name.replace('/', '-')}.png"


def overview() -> str:
    """Return the table of all tasks."""
    rows = []
    for task in TASKS.values():
        _, features, outputs, _ = task.shape(LENGTH)
        link = f"[`{task.name}`](tasks/{task.family}.md#{task.name.replace('/', '')})"
        risk, chance = f"{task.trivial_risk(LENGTH):.4f}", f"{task.chance_accuracy(LENGTH):.3f}"
        loss = task.make_loss().label
        rows.append((link, features, outputs, task.least_length, risk, loss, chance, task.source))
    heads = ("name", "in", "out", "least", "trivial risk", "loss", "chance", "source")
    return f"{table(heads, rows)}\n\n{toctree(f'tasks/{family}' for family in FAMILIES)}\n"


def page(family: str) -> str:
    """Return the page of a family: each class, with its variants, and what they inherit."""
    kinds = dict.fromkeys(type(task) for task in TASKS.values() if task.family == family)
    shared = [part for part in (MarkedOf1997, RandomEnd) if any(issubclass(kind, part) for kind in kinds)]
    parts = [f"# `{family}`", *(of_class(kind) for kind in kinds)]
    return "\n\n".join([*parts, *(f"## `{part.__name__}`\n\n{inspect.getdoc(part)}" for part in shared)]) + "\n"


def of_class(kind: type[Task]) -> str:
    """Return the section of a class: its docstring, then its variants."""
    text, parameters = cut(inspect.getdoc(kind) or "", "\nParameters\n----------\n")
    listed = "\n".join(bullets(parameters))
    parts = [f"## `{kind.__name__}`", text, *([f"Parameters:\n\n{listed}"] if listed else [])]
    return "\n\n".join([*parts, *(of_variant(task) for task in TASKS.values() if type(task) is kind)])


def bullets(parameters: str) -> Iterator[str]:
    """Yield the parameters of a docstring as a list in Markdown."""
    for line in parameters.splitlines():
        name, _, kind = line.partition(" : ")
        yield f"  {line.strip()}" if line.startswith(" ") else f"- `{name}` ({kind}):"


def of_variant(task: Task) -> str:
    """Return the section of a variant: the question, when an answer is correct, and the picture."""
    chosen = ", ".join(f"{name} = {value:g}" for name, value in parameters_of(task).items() if value is not None)
    says = f"{task.sentence} Correct: {task.rule}." + (f" ({chosen})" if chosen else "")
    source = f"Source: {task.source}.\n\n    memspan span --task {task.name}"
    image = f"![A few sequences of {task.name}]({picture(task)})"
    return "\n\n".join([f"### `{task.name}`", says, source, image])
