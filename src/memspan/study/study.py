"""The study: configurations x lengths x repetitions, validated before anything runs."""

import itertools
from functools import cached_property
from typing import Any, ClassVar, NamedTuple, Self

from pydantic import ConfigDict, Field, ValidationInfo, field_validator, model_validator

from memspan.errors import InvalidArgument
from memspan.study.choices import Count, different, split
from memspan.study.experiment import Experiment, single

MOST_TRIALS = 10_000_000


class Key(NamedTuple):
    """The key of a trial: the index of its configuration in `Study.configurations`, its length, its repetition."""

    configuration: int
    length: int
    repetition: int


class Study(Experiment):
    """A grid: configurations x lengths x repetitions.

    Every field of `Choices` may be a list. Each combination of values is a `Configuration`, and the study runs all
    lengths and repetitions of each configuration.

    The defaults are the first study of the README: the tanh network of the assignment (Kratzert 2019) on its
    memory task, from lengths that it always solves to lengths that it never solves. Default lengths that are too
    short for a task are left out.
    """

    model_config = ConfigDict(title="memspan study")
    what: ClassVar[str] = "study"

    lengths: tuple[Count, ...] = Field(
        (5, 10, 15, 20, 25, 30, 40), description="Sequence lengths T to train at, such as 5,10,20.", min_length=1
    )
    repetitions: Count = Field(10, description="Number of networks trained at each length.")
    test_lengths: tuple[Count, ...] = Field(
        (), description="Lengths T at which every trained network is also scored, such as 40,80."
    )

    @field_validator("repetitions", mode="before")
    @classmethod
    def _no_truth_value_either(cls, value: Any) -> Any:
        return single(value)

    @field_validator("lengths", "test_lengths", mode="before")
    @classmethod
    def _listed(cls, lengths: Any, info: ValidationInfo) -> Any:
        none = info.field_name == "test_lengths" and isinstance(lengths, tuple | list) and not lengths
        return () if none else split(lengths)

    @field_validator("lengths", "test_lengths")
    @classmethod
    def _ascending(cls, lengths: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(sorted(different(lengths)))

    @model_validator(mode="after")
    def _possible(self) -> Self:
        """Check the size of the study, and the parameters and lengths of its tasks."""
        if self.size > MOST_TRIALS:
            raise InvalidArgument("the study", f"one of at most {MOST_TRIALS:,} trials", f"{self.size:,}")
        tasks = self.tasks()
        if "lengths" not in self.model_fields_set:
            hardest = max(tasks, key=lambda task: task.least_length)
            usual = tuple(length for length in self.lengths if length >= hardest.least_length)
            if not usual:
                rule = f"at least {hardest.least_length} for {hardest.name}"
                raise InvalidArgument("lengths", rule, f"none, and the defaults {self.lengths} are shorter")
            object.__setattr__(self, "lengths", usual)
        for task, length in itertools.product(tasks, self.lengths):
            task.checked_length(length, "lengths")
        for task in tasks if self.test_lengths else []:
            tested = [task.checked_length(length, "test_lengths") for length in self.test_lengths]
            shapes = [task.shape(length) for length in (*self.lengths, *tested)]
            if len({(shape.features, shape.outputs) for shape in shapes}) > 1:
                rule = f"left out for {task.name}, whose networks have another size at another length"
                raise InvalidArgument("test_lengths", rule, ", ".join(map(str, self.test_lengths)))
        return self

    def only(self, place: int) -> Self:
        """Return the study with a single configuration, the one at index `place` of `configurations`."""
        chosen = super().only(place)
        return chosen if chosen is self else chosen.with_(lengths=self.lengths)  # they may depend on the tasks

    @property
    def size(self) -> int:
        """The number of trials."""
        return self.combinations * len(self.lengths) * self.repetitions

    @cached_property
    def keys(self) -> list[Key]:
        """The keys of all trials, the longest lengths first, because they take the most time."""
        return [
            Key(configuration, length, k)
            for length in reversed(self.lengths)
            for configuration in range(len(self.configurations))
            for k in range(self.repetitions)
        ]
