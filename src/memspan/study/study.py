"""What a study is: every choice, validated, before anything runs."""

import itertools
import math
import tomllib
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    NonNegativeInt,
    PositiveInt,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import CoreSchema, PydanticCustomError, SchemaValidator, core_schema

from memspan.cells import CELLS
from memspan.cells.initializers import STARTS
from memspan.errors import InvalidArgument, invalid
from memspan.network import Network
from memspan.tasks import TASKS, Task, get_task, whole_numbers
from memspan.training.optimizers import RULES, Chain, ClipByNorm

if TYPE_CHECKING:
    CellName = str
    StartName = str
    RuleName = str
    TaskName = str
else:  # the choices are what the dictionaries hold
    CellName, StartName, RuleName = Literal[*CELLS], Literal[*STARTS], Literal[*RULES]
    TaskName = Literal[*TASKS]

MOST_TRIALS = 10_000_000
LONGEST_NAME = 1000


class Key(NamedTuple):
    """Which trial: the configuration's place in `Study.configurations`, the length, and the repetition."""

    configuration: int
    length: int
    repetition: int


class _Several:
    """Of a field that may be one value or a list of them: `"lstm"`, `["lstm", "gru"]`, or `"lstm,gru"`.

    One value is kept as it is, whether it came in a list or not; several become a tuple.
    """

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        item = handler(source)
        one = SchemaValidator(item, core_schema.CoreConfig(allow_inf_nan=False))

        def validate(value: Any, several: Any) -> Any:
            items = _split(value)
            return one.validate_python(items[0]) if len(items) == 1 else _different(several(items))

        listed = core_schema.plain_serializer_function_ser_schema(lambda v: list(v) if isinstance(v, tuple) else v)
        several = core_schema.tuple_variable_schema(item)
        return core_schema.no_info_wrap_validator_function(validate, several, serialization=listed)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        several = handler(schema) | {"minItems": 1, "uniqueItems": True}
        return {"anyOf": [several["items"], several]}


def _split(value: Any) -> list[Any]:
    """`5,10,20` for `5 10 20`, a single value, and anything that gives values, such as a range."""
    single = isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable)
    items: list[Any] = []
    for item in [value] if single else value:
        items += item.split(",") if isinstance(item, str) else [item]
    if any(isinstance(item, bool) for item in items):
        raise PydanticCustomError("truth_value", "a number or a name, not a truth value")
    if not items:
        raise PydanticCustomError("nothing", "at least one value")
    return items


def _different(items: tuple[Any, ...]) -> tuple[Any, ...]:
    if len(set(items)) < len(items):
        raise PydanticCustomError("twice", "different from each other")
    return items


SEVERAL = _Several()
Above0 = Annotated[float, Field(gt=0)]


class Study(BaseModel):
    """Lengths times repetitions of one network on one task, or of several.

    Every field but the last four may be a list: then each combination is a *configuration*, and the study runs all
    lengths and repetitions of every one of them. `configurations` are studies themselves, with single values.

    The defaults are the first study of the README: the assignment's tanh network on the memory task, from lengths
    that it always solves over the cliff to lengths that it never does. Of the lengths, if none are given, those
    are left out that a task does not have.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, title="memspan study")

    task: Annotated[TaskName, SEVERAL] = Field(
        "recall", description="The task, with its variant: `memspan tasks` lists them."
    )
    parameters: dict[str, Annotated[float, SEVERAL]] = Field(
        {}, description="Of the task, if not its own, such as --parameters.tolerance 0.05."
    )
    cell: Annotated[CellName, SEVERAL] = Field("rnn", description="The recurrent cell.")
    start: Annotated[StartName, SEVERAL] | None = Field(
        None, description="Initial weights, if not the cell's own; identity with the cell rnn-relu is the IRNN."
    )
    gain: Annotated[Above0, SEVERAL] = Field(
        1.0, description="Multiplies the initial weights (R alone: orthogonal, identity)."
    )
    hidden: Annotated[PositiveInt, SEVERAL] = Field(32, description="Hidden units H.")
    optimizer: Annotated[RuleName, SEVERAL] = Field("adam", description="The optimiser.")
    learning_rate: Annotated[Above0, SEVERAL] = Field(1e-2, description="Its learning rate.")
    clip: Annotated[Annotated[float, Field(ge=0)], SEVERAL] = Field(
        1.0, description="Largest norm of the gradient; 0 for no clipping."
    )
    batch: Annotated[PositiveInt, SEVERAL] = Field(64, description="Sequences in a training batch B.")
    updates: Annotated[PositiveInt, SEVERAL] = Field(
        1500, description="Most updates of a trial; it ends sooner when solved."
    )
    threshold: Annotated[Annotated[float, Field(gt=0, le=1)], SEVERAL] = Field(
        0.9, description="Accuracy on fresh batches that solves a length."
    )
    evaluate_every: Annotated[PositiveInt, SEVERAL] = Field(50, description="Updates between two evaluations.")
    evaluation_batches: Annotated[PositiveInt, SEVERAL] = Field(
        20, description="Fresh batches that decide at the end whether the length is solved."
    )
    evaluation_samples: Annotated[PositiveInt, SEVERAL] = Field(500, description="Sequences in each of these.")
    dtype: Annotated[Literal["float32", "float64"], SEVERAL] = Field(
        "float32", description="Precision of training."
    )
    seed: Annotated[NonNegativeInt, SEVERAL] = Field(0, description="Root of every random number.")
    lengths: tuple[PositiveInt, ...] = Field(
        (5, 10, 15, 20, 25, 30, 40), description="Sequence lengths T, such as 5,10,20.", min_length=1
    )
    repetitions: PositiveInt = Field(10, description="Networks trained at each length.")
    weights: NonNegativeInt = Field(
        1, description="Repetitions, from the first, of which the trained weights are kept in the store."
    )
    name: str | None = Field(
        None,
        description="What the study is called in its store, if not by its task, cell and a checksum.",
        min_length=1,
        max_length=LONGEST_NAME,
    )

    def __init__(self, /, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise invalid(error, known=type(self).model_fields) from None

    @classmethod
    def read(cls, path: str | Path, **changes: Any) -> Self:
        """The study in a TOML file, with some fields changed.

        Raises
        ------
        InvalidArgument
            When the file cannot be read, is not TOML in UTF-8, or not a study.
        """
        try:
            with Path(path).open("rb") as file:
                found = tomllib.load(file)
        except OSError as error:
            raise InvalidArgument("the study file", "one that can be read", f"{path}: {error.strerror}") from None
        except (ValueError, RecursionError) as error:  # no UTF-8, no TOML, or numbers and lists beyond measure
            raise InvalidArgument("the study file", "TOML in UTF-8", f"{path}: {error}") from None
        if isinstance(found.get("parameters"), dict) and isinstance(changes.get("parameters"), dict):
            changes = changes | {"parameters": found["parameters"] | changes["parameters"]}
        return cls(**{**found, **changes})

    @field_validator("parameters")
    @classmethod
    def _whole(cls, parameters: dict[str, Any]) -> dict[str, Any]:
        def whole(name: str, value: float) -> float | int:
            return whole_numbers({name: value})[name]

        return {
            name: tuple(whole(name, one) for one in value) if isinstance(value, tuple) else whole(name, value)
            for name, value in parameters.items()
        }

    @field_validator("name")
    @classmethod
    def _storable(cls, name: str | None) -> str | None:
        """Databases count bytes."""
        if name is not None and len(name.encode()) > LONGEST_NAME:
            raise PydanticCustomError("long", f"a text of at most {LONGEST_NAME:,} bytes in UTF-8")
        return name

    @field_validator("repetitions", "weights", mode="before")
    @classmethod
    def _no_truth_value(cls, value: Any) -> Any:
        """True would pass as 1; and from the command line comes a list."""
        items = _split(value)
        return items[0] if len(items) == 1 else value

    @field_validator("lengths", mode="before")
    @classmethod
    def _listed(cls, lengths: Any) -> Any:
        return _split(lengths)

    @field_validator("lengths")
    @classmethod
    def _ascending(cls, lengths: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(sorted(_different(lengths)))

    @model_validator(mode="after")
    def _possible(self) -> Self:
        """Of the right size, and with tasks that take these parameters and have these lengths."""
        if self.size > MOST_TRIALS:
            raise InvalidArgument("the study", f"of at most {MOST_TRIALS:,} trials", f"{self.size:,}")
        tasks = self._tasks()
        if "lengths" not in self.model_fields_set:
            hardest = max(tasks, key=lambda task: task.least_length)
            usual = tuple(length for length in self.lengths if length >= hardest.least_length)
            if not usual:
                rule = f"given for {hardest.name}, whose shortest is {hardest.least_length}"
                raise InvalidArgument("lengths", rule, f"the usual ones, {self.lengths}")
            object.__setattr__(self, "lengths", usual)
        for task, length in itertools.product(tasks, self.lengths):
            task.checked_length(length, "lengths")
        return self

    def __getstate__(self) -> dict[Any, Any]:
        """The fields alone: a worker gets one with each order, and not the keys of the whole study."""
        state = super().__getstate__()
        fields = {name: value for name, value in state["__dict__"].items() if name in type(self).model_fields}
        return {**state, "__dict__": fields}

    def __hash__(self) -> int:
        return hash(self.model_dump_json())

    def __eq__(self, other: object) -> bool:
        """Whether every field is equal; what has been looked up meanwhile does not count."""
        return isinstance(other, Study) and self.model_dump() == other.model_dump()

    @cached_property
    def configurations(self) -> tuple[Self, ...]:
        """Each combination of the values, as a study of its own; of a study without lists, itself alone."""
        choices = self._choices()
        if all(len(values) == 1 for values in choices.values()):
            return (self,)
        given = {name: getattr(self, name) for name in self.model_fields_set}
        return tuple(
            type(self)(**given | nested(dict(zip(choices, values, strict=True))) | {"lengths": self.lengths})
            for values in itertools.product(*choices.values())
        )

    @property
    def size(self) -> int:
        """How many trials it has."""
        return math.prod(map(len, self._choices().values())) * len(self.lengths) * self.repetitions

    @property
    def varying(self) -> tuple[str, ...]:
        """The fields in which the configurations differ; a task's parameter as `parameters.items`."""
        return tuple(name for name, values in self._choices().items() if len(values) > 1)

    @cached_property
    def keys(self) -> list[Key]:
        """Every trial's key, the longest lengths first: they take longest."""
        return [
            Key(configuration, length, k)
            for length in reversed(self.lengths)
            for configuration in range(len(self.configurations))
            for k in range(self.repetitions)
        ]

    def new_task(self) -> Task:
        """The task, with its parameters."""
        self.demand_one()
        return get_task(self.task, **self.parameters)

    def new_optimizer(self) -> Chain:
        """The clip and the rule."""
        self.demand_one()
        clips = [ClipByNorm(self.clip)] if self.clip else []
        return Chain(*clips, RULES[self.optimizer](self.learning_rate))

    def new_network(self, length: int, rng: Any) -> Network:
        """A network for that length, with fresh weights from `rng`."""
        _, features, outputs, read_out = self.new_task().shape(length)
        return Network(
            self.cell,
            features,
            self.hidden,
            outputs,
            init=self.start,
            gain=self.gain,
            dtype=self.dtype,
            read_out=read_out,
            rng=rng,
        )

    def describe(self) -> str:
        """One line for headings; where there are several configurations, their number."""
        if len(self.configurations) > 1:
            varying = ", ".join(self.varying).replace("_", " ")
            return f"{len(self.configurations)} configurations of {varying}"
        start = self.start or CELLS[self.cell].start
        rule = f"{self.optimizer} {self.learning_rate:g}" + (f", clip {self.clip:g}" if self.clip else "")
        return f"{self.cell}, {self.hidden} hidden, {start} start, {rule}, batch {self.batch}"

    def label(self, configuration: int) -> str:
        """What sets a configuration apart from the others: `cell lstm, hidden 32`; empty if it is the only one."""
        own = self.configurations[configuration]._choices()
        names = {name: name.removeprefix("parameters.").replace("_", " ") for name in self.varying}
        return ", ".join(f"{shown} {own[name][0]}" for name, shown in names.items())

    def values(self) -> dict[str, tuple[Any, ...]]:
        """The values of every field that takes several, the lengths among them."""
        return self._choices() | {"lengths": self.lengths}

    def with_(self, **changes: Any) -> Self:
        """The same study but for these fields, as `study.with_(cell="lstm")`."""
        return type(self)(**{**self.model_dump(exclude_unset=True), **changes})

    def _choices(self) -> dict[str, tuple[Any, ...]]:
        """The values of every field that may be a list; each parameter of the task by itself."""
        fields = {name: getattr(self, name) for name in type(self).model_fields if name not in NOT_LISTS}
        fields |= {f"parameters.{name}": value for name, value in self.parameters.items()}
        return {name: value if isinstance(value, tuple) else (value,) for name, value in fields.items()}

    def _tasks(self) -> list[Task]:
        """Every task that there is in the study."""
        own = {name: values for name, values in self._choices().items() if name.startswith("parameters.")}
        return [
            get_task(name, **nested(dict(zip(own, values, strict=True))).get("parameters", {}))
            for name in self._choices()["task"]
            for values in itertools.product(*own.values())
        ]

    def demand_one(self) -> None:
        """Raise InvalidArgument if there are several configurations."""
        if len(self.configurations) > 1:
            got = f"{len(self.configurations)}, which differ in {', '.join(self.varying)}"
            raise InvalidArgument("study", "of one configuration, such as one of its `configurations`", got)


NOT_LISTS = ("parameters", "lengths", "repetitions", "weights", "name")
"""Fields that are no part of a configuration; the parameters are, each by itself."""


def nested(flat: dict[str, Any]) -> dict[str, Any]:
    """`parameters.items` as an item of `parameters`."""
    nested: dict[str, Any] = {}
    for name, value in flat.items():
        if name.startswith("parameters."):
            nested.setdefault("parameters", {})[name.removeprefix("parameters.")] = value
        else:
            nested[name] = value
    return nested
