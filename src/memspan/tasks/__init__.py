"""The tasks: one family per file, and `TASKS`, the dictionary of all of them.

A new task is a subclass of `Task` in its own file and one entry in `TASKS` for each variant. The command line, the
contract tests and the reference in `docs/` read that dictionary.
"""

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from memspan.errors import InvalidArgument, did_you_mean, shown
from memspan.runtime.imports import entry_points, imported, is_path, loaded, made, name_of
from memspan.tasks.adding import Adding, Adding1997
from memspan.tasks.arrays import ArrayTask, DataSet, DataTask
from memspan.tasks.base import Batch, Shape, Task
from memspan.tasks.batches import Batches, Counted
from memspan.tasks.copying import Copying
from memspan.tasks.delayed_xor import DelayedXor
from memspan.tasks.digits import Digits
from memspan.tasks.latch import Latch
from memspan.tasks.memory_capacity import Capacity, MemoryCapacity
from memspan.tasks.multiplication import Multiplication
from memspan.tasks.order import Order, Order1997
from memspan.tasks.parity import Parity
from memspan.tasks.recall import Recall, generate_samples
from memspan.tasks.selective_copying import SelectiveCopying
from memspan.tasks.square_wave import SquareWave
from memspan.tasks.stand_in import StandIn

_ALL: tuple[Task, ...] = (
    *(Recall(), Recall(variant="kth", element=2), Recall(variant="distractors", scale=3.0)),
    *(*(Adding(variant) for variant in Adding.variants), Adding1997(), Multiplication()),
    *(Copying(variant) for variant in Copying.variants),
    *(Order1997(variant) for variant in Order1997.variants),
    *(Order(variant) for variant in Order.variants),
    *(Latch(variant) for variant in Latch.variants),
    *(Parity(), DelayedXor(), SelectiveCopying(), MemoryCapacity(), SquareWave(), Digits()),
)
TASKS: dict[str, Task] = {task.name: task for task in _ALL}
"""Every variant of every task by name, with the parameters of its source."""


def get_task(name: str, **parameters: Any) -> Task:
    """Return a task of memspan's or import one of the user's own, with some of its parameters changed.

    Parameters
    ----------
    name : str
        The task's name in `TASKS`, with the variant; underscores may replace hyphens. Or the name of an entry
        point of the group `memspan.tasks`, or an import path such as `mypkg.tasks:MyTask`. What is imported is a
        `Task`, a subclass of it, or a function that returns one.
    **parameters
        Fields of the task, such as `tolerance`. For an optional field, None stands for the value in the source.
        (Checkpoints of memspan 0.1 also contain None for fields that the task does not have.)

    Raises
    ------
    InvalidArgument
        If the task or one of the parameters is unknown. The message lists the known ones.

    Examples
    --------
    >>> round(get_task("copying/urnn", items=5).trivial_risk(100), 4)  # 5 log 8 / 110
    0.0945
    """
    task = _own_task(name) if is_own(name) else _named(name)
    known = parameters_of(task)
    optional = {item.name for item in fields(task) if item.metadata.get("optional")}
    parameters = {
        parameter: value
        for parameter, value in parameters.items()
        if value is not None or (parameter in known and parameter not in optional)
    }
    for parameter in parameters:
        if parameter not in known:
            rule = f"one of {', '.join(known)}" if known else "left out, because the task has none"
            hint = did_you_mean(parameter, known)
            raise InvalidArgument(f"a parameter of {task.name}", rule, shown(parameter), hint)
    return replace(task, **parameters)


def known_task(name: str, **parameters: Any) -> Task:
    """Return a task like `get_task`, but import nothing.

    A task that is not imported yet, or does not take the parameters, has a stand-in.
    """
    if not is_path(name):
        return get_task(name, **parameters)
    try:
        return get_task(name, **parameters) if loaded("task", name) is not None else StandIn(path=name)
    except InvalidArgument:
        return StandIn(path=name)


def _named(name: str) -> Task:
    """Return a task from `TASKS`."""
    known_as = name.replace("_", "-") if isinstance(name, str) else ""  # type: ignore[redundant-expr]
    task = TASKS.get(known_as)
    if task is None:
        family = known_as.partition("/")[0]
        relatives = [other for other in TASKS if other.partition("/")[0] == family]
        hint = did_you_mean(name, relatives or TASKS)
        raise InvalidArgument("task", "one of " + ", ".join(relatives or TASKS), shown(name), hint)
    return task


def _own_task(name: str) -> Task:
    """Import a task of the user's own."""
    path = name_of("task", name, TASKS)
    found = imported("task", path)
    return found if isinstance(found, Task) else made("task", path, found, (Task,), {})


def is_own(name: object) -> bool:
    """Whether a name is an import path or that of an entry point, and no name in `TASKS`."""
    return is_path(name) or (isinstance(name, str) and name not in TASKS and name in entry_points("task"))


def whole_numbers(parameters: Mapping[str, float]) -> dict[str, float]:
    """Sort parameters by name, and convert floats that are whole numbers to int."""
    return {name: whole(value) for name, value in sorted(parameters.items())}


def whole(value: float) -> float:
    """Return a float that is a whole number as an int, and every other number as it is."""
    return int(value) if float(value).is_integer() else value


def parameters_of(task: Task) -> dict[str, Any]:
    """Return the task's parameters and their values, without the variant."""
    own = (item for item in fields(task) if item.name != "variant" and item.metadata.get("parameter", True))
    return {item.name: getattr(task, item.name) for item in own}


__all__ = [
    "TASKS",
    "Adding",
    "Adding1997",
    "ArrayTask",
    "Batch",
    "Batches",
    "Capacity",
    "Copying",
    "Counted",
    "DataSet",
    "DataTask",
    "DelayedXor",
    "Digits",
    "Latch",
    "MemoryCapacity",
    "Multiplication",
    "Order",
    "Order1997",
    "Parity",
    "Recall",
    "SelectiveCopying",
    "Shape",
    "SquareWave",
    "StandIn",
    "Task",
    "generate_samples",
    "get_task",
    "known_task",
    "parameters_of",
    "whole",
    "whole_numbers",
]
