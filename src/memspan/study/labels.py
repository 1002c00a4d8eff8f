"""Labels of configurations, which say in what they differ."""

from collections.abc import Sequence
from typing import Any

from memspan.study.configuration import Configuration
from memspan.study.experiment import Experiment, written
from memspan.tasks import parameters_of

NAMES = ("cell", "task")
"""The fields whose values need no heading: `lstm` and not `cell lstm`, if no other field differs."""


def differing(configurations: Sequence[Configuration]) -> list[str]:
    """Return the fields in which some configurations differ; a task's parameter as `task_parameters.items`."""
    values = [_values(one) for one in configurations]
    names = dict.fromkeys(name for one in configurations for name in one.values())
    return [name for name in names if len({each.get(name) for each in values}) > 1]


def labels_of(configurations: Sequence[Configuration]) -> list[str]:
    """Return the values of the differing fields of each: `lstm`, `hidden 16`, or `cell lstm, hidden 16`.

    Two labels are equal only if the configurations train the same.
    """
    names = differing(configurations)
    values = [_values(one) for one in configurations]
    if len(names) == 1 and names[0] in NAMES:
        return [each[names[0]] for each in values]
    return [
        ", ".join(f"{Experiment.shown(name)} {_written(each[name])}" for name in names if name in each)
        for each in values
    ]


def _values(one: Configuration) -> dict[str, Any]:
    """Return the value of each field, and of each parameter of the task, given or not."""
    parameters = {f"task_parameters.{name}": value for name, value in parameters_of(one.known_task()).items()}
    return parameters | {name: value for name, (value,) in one.values().items()}


def _written(value: Any) -> str:
    return "default" if value is None else written(value)
