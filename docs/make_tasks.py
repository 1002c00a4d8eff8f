"""Write `docs/tasks.md` and its pictures from `memspan.TASKS`.

    python docs/make_tasks.py

A test compares the page with the tasks.
"""

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

The answer to each task lies in the past. The *trivial risk* is the smallest loss, and *chance* the highest
accuracy, that an answer can have without depending on the input. They give every score its scale. Both are
exact, and are tested on 200,000 sequences. The table states them for T = {LENGTH}; "least" is the shortest
possible length. T has the meaning of the source, and `Task.shape` gives the number of time steps.

In the pictures, the steps that determine the answer are orange, and the answer is green.
`memspan tasks NAME --plot` draws such a picture for any length.
"""

OWN = """\
## Sequences of your own

`ArrayTask` makes a task from arrays. It keeps a share of the sequences for evaluation, computes the trivial risk
and the chance accuracy from the labels, and puts noise after each sequence where T is larger than its steps. So
the same data ask for a longer memory as T grows.

```python
import numpy as np
from memspan import ArrayTask

rng = np.random.default_rng(0)
labels = rng.integers(3, size=300)  # a class for each of 300 sequences
x = rng.normal(labels[:, None, None], 1, (300, 20, 2))  # of 20 steps with 2 features
gestures = ArrayTask(x, labels, held_out=0.2, family="gestures", source="my own recordings")
print(gestures.for_evaluation)  # the 60 held-out sequences
```

A task that a study can use is a name at the top level of a module, such as `gestures` in `mypkg/tasks.py`. If the
data should be read only when they are needed, write a subclass of `memspan.tasks.DataTask` with a property `data`
instead; `memspan/tasks/digits.py` is one. `memspan.testing.check_task(gestures)` checks the contracts of a task.

`Learner`, `Ensemble` and studies draw training batches from `task.for_training` and score networks on batches of
`task.for_evaluation`; they refuse batches of the other part. A held-out set is finite: its sequences repeat, with
new noise, in every evaluation. So the sequences of the verdict are those that chose the moment to stop, and the
share of n held-out sequences answered correctly has a standard error of √(p(1 - p)/n), however many are drawn.
"""

REMARKS = """\
## Variants that memspan does not have

- Adding and multiplication as in the code of Pascanu, Mikolov & Bengio 2013 (the mean of two numbers, one of
  them in the first tenth of the sequence), which is another incompatible variant.
- Finite training sets of synthetic sequences. The papers since 2015 train on 50,000 or 100,000 sequences
  repeatedly; in memspan every batch of a synthetic task is new.
- Random ends of the 1997 sequences outside T to T + T/10, such as those of Bengio et al. 1994, which start at T/2.
"""


def page() -> str:
    """Return the text of the page."""
    return "\n\n".join([INTRODUCTION.rstrip(), "\n".join(table()), *families(), *shared(), OWN.rstrip(), REMARKS])


def table() -> Iterator[str]:
    """Yield the table, with one row for each variant."""
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
    """Yield a section for each family, with all its classes."""
    for family in dict.fromkeys(task.family for task in TASKS.values()):
        kinds = dict.fromkeys(type(task) for task in TASKS.values() if task.family == family)
        yield "\n\n".join([f"## {family}", *(of_class(kind) for kind in kinds)])


def of_class(kind: type[Task]) -> str:
    """Return the section of a class: its docstring, then a picture of each variant."""
    text, _, parameters = (inspect.getdoc(kind) or "").partition("\nParameters\n----------\n")
    listed = "\n".join(bullets(parameters))
    parts = [text.strip(), *([f"Parameters:\n\n{listed}"] if listed else [])]
    return "\n\n".join([*parts, *(of_variant(task) for task in TASKS.values() if type(task) is kind)])


def bullets(parameters: str) -> Iterator[str]:
    """Yield the parameters of a docstring as a Markdown list."""
    for line in parameters.splitlines():
        name, _, kind = line.partition(" : ")
        yield f"  {line.strip()}" if line.startswith(" ") else f"- `{name}` ({kind}):"


def shared() -> Iterator[str]:
    """Yield the sections on what the variants of 1997 have in common."""
    for part in (MarkedOf1997, RandomEnd):
        yield f"## `{part.__name__}`\n\n{inspect.getdoc(part)}"


def of_variant(task: Task) -> str:
    """Return the section of a variant: the question, the condition for a correct answer, and the picture."""
    chosen = ", ".join(f"{name} = {value:g}" for name, value in parameters_of(task).items() if value is not None)
    lines = [f"### `{task.name}`", f"{task.sentence} Correct: {task.rule}." + (f" ({chosen})" if chosen else "")]
    return "\n\n".join([*lines, f"![A few sequences of {task.name}](figures/tasks/{picture(task).name})"])


def picture(task: Task) -> Path:
    """Return the path of a task's picture."""
    return PICTURES / f"{task.name.replace('/', '-')}.png"


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
    PICTURES.mkdir(parents=True, exist_ok=True)
    for task in TASKS.values():
        with own_style():
            save_picture(draw_task(TaskSamples.of(task, samples=2)), picture(task), dpi=80)
