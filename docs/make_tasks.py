"""Write `docs/tasks.md` and its pictures from `memspan.TASKS`: `python docs/make_tasks.py`. A test compares."""

import inspect
from collections.abc import Iterator
from pathlib import Path

from memspan import TASKS, Task
from memspan.figures.style import own_style, save_picture
from memspan.figures.tasks import TaskSamples, draw_task
from memspan.tasks import parameters_of
from memspan.tasks.marked import MarkedOf1997
from memspan.tasks.random_end import RandomEnd

PAGE = Path(__file__).with_name("tasks.md")
PICTURES = Path(__file__).with_name("figures") / "tasks"
LENGTH = 100

INTRODUCTION = f"""\
# The tasks

*Written by `docs/make_tasks.py` from `memspan.TASKS` and the docstrings of `memspan.tasks`.*

Each has an answer that lies in the past. The *trivial risk* is the smallest loss, and *chance* the highest
accuracy, of an answer that does not depend on the input: no score means anything without them. Both are exact, and
tested on 200,000 sequences. The table has them for T = {LENGTH}; "least" is the shortest length. T is what the
source calls T; `Task.shape` says how many steps a sequence has.

In the pictures the steps are orange where the answer lies, and the answer is green.
`memspan tasks NAME --plot` draws them for any length.
"""

REMARKS = """\
## What is not here

- Adding and multiplication as in the code of Pascanu, Mikolov & Bengio 2013 (the mean of two numbers, one in the
  first tenth of the sequence): another incompatible variant.
- Finite training sets. The papers since 2015 train on 50,000 or 100,000 sequences that are used again; here every
  batch is fresh.
- Other lengths of the sequences of 1997 than from T to T + T/10, such as Bengio's, from T/2 on.
"""


def page() -> str:
    """The whole page."""
    return "\n\n".join([INTRODUCTION.rstrip(), "\n".join(table()), *families(), *shared(), REMARKS])


def table() -> Iterator[str]:
    """One row for each variant."""
    yield "| name/variant | in | out | least | trivial risk | loss | chance | source |"
    yield "| --- | ---: | ---: | ---: | ---: | --- | ---: | --- |"
    for task in TASKS.values():
        _, features, outputs, _ = task.shape(LENGTH)
        columns = (
            features,
            outputs,
            task.least_length,
            f"{task.trivial_risk(LENGTH):.4f}",
            task.make_loss().label,
            f"{task.chance_accuracy(LENGTH):.3f}",
            task.source,
        )
        yield f"| `{task.name}` | " + " | ".join(map(str, columns)) + " |"


def families() -> Iterator[str]:
    """Of each family its classes."""
    for family in dict.fromkeys(task.family for task in TASKS.values()):
        kinds = dict.fromkeys(type(task) for task in TASKS.values() if task.family == family)
        yield "\n\n".join([f"## {family}", *(of_class(kind) for kind in kinds)])


def of_class(kind: type[Task]) -> str:
    """The section of one class: its docstring, then a picture of each variant."""
    text, _, parameters = (inspect.getdoc(kind) or "").partition("\nParameters\n----------\n")
    listed = "\n".join(bullets(parameters))
    parts = [text.strip(), *([f"Parameters:\n\n{listed}"] if listed else [])]
    return "\n\n".join([*parts, *(of_variant(task) for task in TASKS.values() if type(task) is kind)])


def bullets(parameters: str) -> Iterator[str]:
    """The parameters of a docstring as a list."""
    for line in parameters.splitlines():
        name, _, kind = line.partition(" : ")
        yield f"  {line.strip()}" if line.startswith(" ") else f"- `{name}` ({kind}):"


def shared() -> Iterator[str]:
    """What the variants of 1997 have in common."""
    for part in (MarkedOf1997, RandomEnd):
        yield f"## `{part.__name__}`\n\n{inspect.getdoc(part)}"


def of_variant(task: Task) -> str:
    """What is asked, when an answer is correct, and the picture."""
    chosen = ", ".join(f"{name} = {value:g}" for name, value in parameters_of(task).items() if value is not None)
    lines = [f"### `{task.name}`", f"{task.sentence} Correct: {task.rule}." + (f" ({chosen})" if chosen else "")]
    return "\n\n".join([*lines, f"![A few sequences of {task.name}](figures/tasks/{picture(task).name})"])


def picture(task: Task) -> Path:
    """Where its picture lies."""
    return PICTURES / f"{task.name.replace('/', '-')}.png"


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
    PICTURES.mkdir(parents=True, exist_ok=True)
    for task in TASKS.values():
        with own_style():
            save_picture(draw_task(TaskSamples.of(task, samples=2)), picture(task), dpi=80)
