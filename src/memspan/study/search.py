"""The search: the configuration to find the span of, how precisely, and at what cost at most."""

import re
from collections.abc import Iterable
from decimal import Decimal
from functools import partial
from typing import Annotated, Any, ClassVar, NamedTuple, Self

from pydantic import ConfigDict, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from memspan.errors import InvalidArgument, shown
from memspan.span import SpanSearch
from memspan.study.choices import Count
from memspan.study.experiment import Experiment, single
from memspan.study.study import MOST_TRIALS, Study
from memspan.tasks import Task

Fraction = Annotated[float, Field(gt=0, lt=1)]
UpTo1000 = Annotated[int, Field(ge=1, le=1000)]
BUDGET = re.compile(r"(\d+(?:\.\d+)?(?:e\d{1,2})?) *([kMG]?) *(trainings?|steps?)?", re.ASCII)
FACTORS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9}
MOST_STEPS = 10**18


class Budget(NamedTuple):
    """The most that a search may spend: trainings, or time steps trained (updates times steps of a sequence)."""

    trainings: int | None
    steps: int | None

    @classmethod
    def of(cls, text: str) -> Self:
        """Read a budget: `160`, `160 trainings`, or `2e7 steps`, `20Msteps`; the singular means the same."""
        found = BUDGET.fullmatch(text)
        number = Decimal(found[1]) * FACTORS[found[2]] if found else Decimal(0)
        if found and number == 0:
            raise PydanticCustomError("budget", "at least 1")
        steps = found is not None and (found[3] or "").startswith("step")
        if not 1 <= number <= (MOST_STEPS if steps else MOST_TRIALS) or number % 1:
            rule = "a whole number of trainings, such as 160, or of time steps, such as 20Msteps"
            raise PydanticCustomError("budget", rule)
        return cls(None, int(number)) if steps else cls(int(number), None)


class Searches(Experiment):
    """How to search for spans. A `Search` has one configuration, and a `Comparison` several."""

    PATH: ClassVar[tuple[str, ...]] = ("share", "groups", "repetitions", "first_length", "longest")
    """The fields that decide which lengths are trained. `width`, `level` and `budget` only end the path."""
    NAMED: ClassVar[tuple[str, ...]] = PATH
    """The fields that decide the default name, besides those of the configurations."""

    width: Annotated[float, Field(gt=0, le=10)] = Field(
        0.1, description="Stop when half of the interval is at most this part of the span; 0.1 is ± 10 %."
    )
    budget: str = Field(
        "160",
        description="Most trainings of a configuration, such as 160, or time steps trained, such as 20Msteps. The "
        "search ends before a round that could exceed it.",
    )
    longest: Count = Field(1000, description="Longest sequence length T to train at.")
    share: Fraction = Field(
        0.5, description="Probability of solving that defines the span: 0.5 gives T50, 0.9 gives T90."
    )
    level: Fraction = Field(0.95, description="Level of the interval.")
    first_length: Count = Field(4, description="Sequence length T of the first trainings.")
    groups: UpTo1000 = Field(
        4, description="Number of groups of trainings between two decisions; more keep more workers busy."
    )
    repetitions: UpTo1000 = Field(4, description="Number of networks trained in a group, at one length.")

    @field_validator("width", "longest", "share", "level", "first_length", "groups", "repetitions", mode="before")
    @classmethod
    def _one_number(cls, value: Any) -> Any:
        return single(value)

    @field_validator("budget", mode="before")
    @classmethod
    def _written(cls, value: Any) -> Any:
        text = str(value if isinstance(value, str) else single(value)).strip()
        Budget.of(text)
        return text

    @model_validator(mode="after")
    def _long_enough(self) -> Self:
        for task in self.tasks():
            if self.longest < task.least_length:
                rule = f"at least {task.least_length}, the shortest length of {task.name}"
                raise InvalidArgument("longest", rule, self.longest)
        # The default begins at the longest length if that is shorter. The store keeps it as if it had been given.
        if self.first_length > self.longest and self.first_length != Searches.model_fields["first_length"].default:
            raise InvalidArgument("first_length", f"at most {self.longest}, the longest length", self.first_length)
        return self

    def path(self) -> dict[str, Any]:
        """The fields of `PATH` with their values."""
        return {name: getattr(self, name) for name in self.PATH}

    @staticmethod
    def setting_names() -> set[str]:
        """The fields that describe a search, without its configuration and name."""
        return {*Searches.model_fields} - {*Experiment.model_fields} | {"keep_weights"}

    def settings(self) -> dict[str, Any]:
        """The fields of `setting_names` that were given."""
        return self.model_dump(include=self.setting_names(), exclude_unset=True)


class Search(Searches):
    """An adaptive search for the span of one configuration.

    `memspan.span.SpanSearch` chooses the lengths. A search with another `width`, `level` or `budget` continues one
    that is stored.
    """

    model_config = ConfigDict(title="memspan search")
    what: ClassVar[str] = "search"
    prefix: ClassVar[str] = "span-"

    @model_validator(mode="after")
    def _single(self) -> Self:
        if self.varying:
            name = self.varying[0]
            raise InvalidArgument(name, "one value; `memspan compare` takes several", shown(self.values()[name]))
        return self

    def new_search(self) -> SpanSearch:
        """Return the search before its first round.

        Raises
        ------
        InvalidArgument
            If the budget is too small for the first round.
        """
        trainings, steps = Budget.of(self.budget)
        return SpanSearch(
            share=self.share,
            level=self.level,
            width=self.width,
            budget=trainings,
            most_steps=steps,
            most_updates=self.configuration.updates,
            steps_of=partial(time_steps, self.configuration.known_task()),
            groups=self.groups,
            repetitions=self.repetitions,
            start=max(self.first_length, self.shortest),
            shortest=self.shortest,
            longest=self.longest,
        )

    @property
    def shortest(self) -> int:
        """The shortest length that the task allows."""
        return self.tasks()[0].least_length

    def covering(self, lengths: Iterable[int], repetitions: int) -> Study:
        """Return the smallest study that has the trials of a search at these lengths."""
        fields = self.model_dump(exclude_unset=True, include={*Experiment.model_fields})
        usual = max(self.first_length, self.shortest)
        return Study(**fields, lengths=tuple(lengths) or (usual,), repetitions=repetitions)


def time_steps(task: Task, length: int) -> int:
    """Return the time steps of a sequence of a task."""
    return task.shape(length).steps
