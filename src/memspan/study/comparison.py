"""The comparison: which configurations to compare by their spans, and what is made equal between them."""

import itertools
import re
from collections.abc import Mapping
from functools import cache, cached_property
from typing import Any, ClassVar, Literal, NamedTuple, Self

from pydantic import ConfigDict, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from memspan.errors import MOST, MOST_SEED, InvalidArgument, did_you_mean, shown
from memspan.foreign.faulty import FaultyModel
from memspan.study.choices import Count, nested, split
from memspan.study.configuration import Configuration
from memspan.study.experiment import LONGEST_NAME
from memspan.study.labels import labels_of
from memspan.study.search import Budget, Search, Searches

TUNING_SEED = 1 << 127
"""Added to the seed for tuning, so that no training of a tuning is one that is reported."""
TUNING_WIDTH = 0.25
TUNING_BUDGET = 64
"""A span for tuning needs only to tell good values from bad ones."""
TUNABLE = (
    *("init", "gain", "recurrent_gain", "hidden"),
    *("optimizer", "learning_rate", "clip", "truncate", "batch", "updates", "dtype"),
)
"""The fields that may differ between networks that are judged by the same rule on the same task."""
SIZES_TRIED = 64
"""The hidden sizes that are tried in a row: a model may take only some, such as multiples of its heads."""
NAME = re.compile(r"[a-z_-]+(?:\.[\w-]+)?")


class Tried(NamedTuple):
    """A value of each tuned field that is tried for a configuration, and its search."""

    configuration: int
    values: dict[str, Any]
    search: Search


class Comparison(Searches):
    """The spans of several configurations, found by searches under an equal protocol.

    Every field of `Choices` may be a list, as in a `Study`.
    """

    model_config = ConfigDict(title="memspan comparison")
    what: ClassVar[str] = "comparison"
    prefix: ClassVar[str] = "compare-"
    NAMED: ClassVar[tuple[str, ...]] = (
        *(*Searches.PATH, "width", "level", "budget"),
        *("equal", "parameter_count", "tune"),
    )
    """All that changes the answer, because a comparison is not stored: its name is that of its figures."""

    equal: Literal["parameters"] | None = Field(
        None,
        description="Choose hidden sizes for the number of parameters of the first configuration.",
    )
    parameter_count: Count | None = Field(
        None, description="Choose hidden sizes for about this number of parameters."
    )
    tune: dict[str, tuple[Any, ...]] = Field(
        {},
        description="Values to choose from for each configuration, on other seeds, by span: "
        f"learning_rate=0.001,0.003,0.01. Each value takes a search to ± {100 * TUNING_WIDTH:g} %, of at most "
        f"{TUNING_BUDGET} trainings, or of --budget if that is less or in time steps.",
    )
    name: str | None = Field(
        None,
        description="Name of the folder for the figures; by default made of task, cell and a checksum.",
        min_length=1,
        max_length=LONGEST_NAME,
    )

    @field_validator("equal", "parameter_count", mode="before")
    @classmethod
    def _one(cls, value: Any) -> Any:
        items = [] if value is None else split(value)
        return items[0] if len(items) == 1 else value

    @field_validator("tune", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        """Read `learning_rate=0.001,0.01`, several such texts, or a mapping of fields to values."""
        if isinstance(value, Mapping):
            return {name: tuple(split(values)) for name, values in value.items()}
        found: dict[str, list[str]] = {}
        for item in split(value):
            name, equals, text = str(item).partition("=")
            if equals and NAME.fullmatch(name):
                name = name.replace("-", "_")
                if name in found:
                    raise PydanticCustomError("twice", "values of different fields; one field was given twice")
                found[name] = [text]
            elif found and not equals:
                [*found.values()][-1].append(str(item))
            else:
                raise PydanticCustomError("tune", "a field with its values, such as learning_rate=0.001,0.01")
        return {name: tuple(values) for name, values in found.items()}

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.combinations < 2:
            rule = "of at least two configurations, such as two values of cell"
            raise InvalidArgument("the comparison", rule, "one")
        if self.equal is not None and self.parameter_count is not None:
            raise InvalidArgument("parameter_count", "left out with equal", self.parameter_count)
        if self.counted and len(self.values()["hidden"]) > 1:
            raise InvalidArgument("hidden", "one value if hidden sizes are chosen", shown(self.hidden))
        for name, values in self.tune.items():
            self._demand_tunable(name, values)
        _ = self.chosen_configurations  # raises if no hidden size fits
        return self

    def _demand_tunable(self, name: str, values: tuple[Any, ...]) -> None:
        """Raise unless a field may be tuned with these values."""
        if name not in TUNABLE:
            rule = "a field of the training, such as learning_rate, which does not change what is judged"
            raise InvalidArgument("tune", rule, shown(name), did_you_mean(name, TUNABLE))
        if name in self.varying or (name == "hidden" and self.counted):
            raise InvalidArgument("tune", "fields that are neither compared nor made equal", shown(name))
        try:
            different = {getattr(self._with(Configuration(), {name: value}), name) for value in values}
        except InvalidArgument as error:
            raise InvalidArgument("tune", f"values that {name} may have", shown(values), f": {error}") from None
        if len(different) < len(values):
            raise InvalidArgument("tune", f"different values of {name}", shown(values))

    @property
    def counted(self) -> bool:
        """Whether hidden sizes are chosen for a number of parameters."""
        return self.equal is not None or self.parameter_count is not None

    @cached_property
    def wanted_parameters(self) -> int | None:
        """The number of parameters for which hidden sizes are chosen; None if they are not chosen."""
        return self.parameter_count if self.equal is None else parameters_of(self.configurations[0])

    @cached_property
    def chosen_configurations(self) -> tuple[Configuration, ...]:
        """The configurations, with hidden sizes chosen for an equal number of parameters if that is wanted."""
        wanted = self.wanted_parameters
        if wanted is None:
            return self.configurations
        return tuple(one.with_(hidden=hidden_for(one, wanted)) for one in self.configurations)

    @property
    def labels(self) -> list[str]:
        """The varying values of each configuration: `lstm`, `hidden 32`, or `cell lstm, gain 2`."""
        return labels_of(self.configurations)

    @staticmethod
    def protocol_names() -> set[str]:
        """The fields that say what is made equal and what is tuned. A `Search` has none of them."""
        return {*Comparison.model_fields} - {*Searches.model_fields}

    def searches(self, tuned: Mapping[int, Mapping[str, Any]] | None = None) -> list[Search]:
        """Return the search of each configuration; `tuned` has the values chosen for it, by its index."""
        return [
            self._search(self._with(one, (tuned or {}).get(place, {})))
            for place, one in enumerate(self.chosen_configurations)
        ]

    def tuning(self) -> list[Tried]:
        """Return the searches that decide the tuned values; none if nothing is tuned."""
        combinations = [
            dict(zip(self.tune, values, strict=True)) for values in itertools.product(*self.tune.values())
        ]
        return [
            Tried(place, values, self._search(self._with(one, values), for_tuning=True))
            for place, one in enumerate(self.chosen_configurations)
            for values in (combinations if self.tune else [])
        ]

    def _with(self, one: Configuration, values: Mapping[str, Any]) -> Configuration:
        return one.with_(**nested(values)) if values else one

    def _search(self, one: Configuration, *, for_tuning: bool = False) -> Search:
        settings, fields = self.settings(), one.model_dump(exclude_unset=True)
        if for_tuning:
            width = max(self.width, TUNING_WIDTH)
            settings |= {"width": width, "budget": self._tuning_budget, "keep_weights": 0}
            fields["seed"] = (one.seed + TUNING_SEED) % (MOST_SEED + 1)
        return Search(**fields, **settings)

    @property
    def _tuning_budget(self) -> str:
        """The budget for one tuned value: at least a round, and never more than that of a reported search."""
        trainings, _ = Budget.of(self.budget)
        if trainings is None:
            return self.budget
        return str(min(trainings, max(TUNING_BUDGET, self.groups * self.repetitions)))


def parameters_of(configuration: Configuration) -> int:
    """Return the number of weights of a network at the shortest length of the task."""
    return configuration.weight_count(configuration.make_task().least_length)


def hidden_for(configuration: Configuration, wanted: int) -> int:
    """Return the hidden size whose number of parameters is nearest to `wanted`; of two, the smaller.

    Sizes that the factory of a model refuses are left out.

    Raises
    ------
    InvalidArgument
        If even the smallest network has more than twice as many, or the number does not grow with the hidden size.
    """

    @cache
    def taken(hidden: int) -> tuple[int, int]:
        """The first size from `hidden` on that the model takes, and its number of parameters."""
        return _taken(configuration, hidden)

    def count(hidden: int) -> int:
        return taken(hidden)[1]

    if count(1) > 2 * wanted:
        raise InvalidArgument("parameter_count", f"at least {count(1)} for {configuration.cell}", wanted)
    most = 1
    while count(most) < wanted:
        if most > MOST // 4:  # room for the sizes left out
            rule = "one with more weights for more hidden units, so that equal numbers of weights can be chosen"
            found = f"{count(1)} weights for hidden {taken(1)[0]} and {count(most)} for hidden {taken(most)[0]:,}"
            raise InvalidArgument(f"The cell {configuration.cell}", rule, found)
        most *= 2
    least = most // 2
    while most - least > 1:  # count(least) < wanted <= count(most)
        middle = (least + most) // 2
        least, most = (middle, most) if count(middle) < wanted else (least, middle)
    return taken(min((max(least, 1), most), key=lambda hidden: abs(count(hidden) - wanted)))[0]


def _taken(configuration: Configuration, hidden: int) -> tuple[int, int]:
    """Return the first hidden size from `hidden` on that the model takes, and its number of parameters."""
    refused: FaultyModel | None = None
    for size in range(hidden, hidden + SIZES_TRIED):
        try:
            return size, parameters_of(configuration.with_(hidden=size))
        except FaultyModel as error:
            refused = refused or error
    rule = f"one that takes a hidden size from {hidden} to {hidden + SIZES_TRIED - 1}"
    hint = "; give hidden, and leave out equal"
    raise InvalidArgument(f"The cell {configuration.cell}", rule, f"for {hidden}: {refused}".rstrip("."), hint)
