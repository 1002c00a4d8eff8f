"""The fields of a configuration. In a study each field may hold several values."""

from collections.abc import Iterable, Mapping
from itertools import product
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import CoreSchema, PydanticCustomError, SchemaValidator, core_schema

from memspan.cells import CELLS, INITIALIZERS
from memspan.cells.initializers import CRITICAL
from memspan.errors import MOST, MOST_SEED, InvalidArgument, invalid, shown
from memspan.runtime.renamed import with_new_names
from memspan.tasks import TASKS, whole_numbers
from memspan.training.optimizers import RULES

if TYPE_CHECKING:
    CellName = str
    InitializerName = str
    InitName = str
    RuleName = str
    TaskName = str
else:  # pydantic takes the names that the dictionaries hold
    CellName, InitializerName, RuleName = Literal[*CELLS], Literal[*INITIALIZERS], Literal[*RULES]
    InitName = Literal[*INITIALIZERS, CRITICAL]
    TaskName = Literal[*TASKS]

RENAMED = {
    "parameters": "task_parameters",
    "start": "init",
    "evaluation_batches": "final_batches",
    "weights": "keep_weights",
}
"""The names of fields in memspan 0.1, and today's."""


class _Several:
    """The annotation of a field that takes one value or a list: `"lstm"`, `["lstm", "gru"]`, or `"lstm,gru"`.

    A single value is kept as it is, even if it came in a list. Several values become a tuple.
    """

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        item = handler(source)
        one = SchemaValidator(item, core_schema.CoreConfig(allow_inf_nan=False))

        def validate(value: Any, several: Any) -> Any:
            items = split(value)
            return one.validate_python(items[0]) if len(items) == 1 else different(several(items))

        listed = core_schema.plain_serializer_function_ser_schema(lambda v: list(v) if isinstance(v, tuple) else v)
        several = core_schema.tuple_variable_schema(item)
        return core_schema.no_info_wrap_validator_function(validate, several, serialization=listed)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        several = handler(schema) | {"minItems": 1, "uniqueItems": True}
        return {"anyOf": [several["items"], several]}


def split(value: Any) -> list[Any]:
    """Return the values of a field as a list: of one value, of a text such as `5,10,20`, or of an iterable."""
    single = isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable)
    items: list[Any] = []
    for item in [value] if single else value:
        items += item.split(",") if isinstance(item, str) else [item]
    if any(isinstance(item, bool) for item in items):
        raise PydanticCustomError("truth_value", "a number or a name, not a truth value")
    if not items:
        raise PydanticCustomError("nothing", "at least one value")
    return items


def different(items: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return `items` if no two of them are equal."""
    if len(set(items)) < len(items):
        raise PydanticCustomError("twice", "different from each other")
    return items


SEVERAL = _Several()
Above0 = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1, le=MOST)]
Seed = Annotated[int, Field(ge=0, le=MOST_SEED)]


class Choices(BaseModel):
    """Everything that the result of a trial depends on, except its length and repetition.

    A `Configuration` has one value in each field. In a `Study` each field may hold several.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    task: Annotated[TaskName, SEVERAL] = Field(
        "recall", description="Task and variant. `memspan tasks` lists them."
    )
    task_parameters: dict[str, Annotated[float, SEVERAL]] = Field(
        {}, description="Parameters of the task by name, such as --task-parameters.tolerance 0.05."
    )
    cell: Annotated[CellName, SEVERAL] = Field(
        "rnn", description="Recurrent cell of the network. `memspan cells` lists them."
    )
    init: Annotated[InitName, SEVERAL] | None = Field(
        None,
        description="Initializer of the weights; by default the cell's own. rnn-relu with identity is the IRNN. "
        "critical is the cell's own with the gain of R at which the task's label is kept best at the length.",
    )
    gain: Annotated[Above0, SEVERAL] = Field(
        1.0, description="Factor that multiplies the initial weights; with orthogonal and identity only R."
    )
    recurrent_gain: Annotated[Above0, SEVERAL] = Field(
        1.0, description="Factor that multiplies the initial recurrent weights R only, for every initializer."
    )
    hidden: Annotated[Count, SEVERAL] = Field(32, description="Number of hidden units H.")
    optimizer: Annotated[RuleName, SEVERAL] = Field("adam", description="Optimiser that updates the weights.")
    learning_rate: Annotated[Above0, SEVERAL] = Field(1e-2, description="Learning rate of the optimiser.")
    clip: Annotated[Annotated[float, Field(ge=0)], SEVERAL] = Field(
        1.0, description="Norm to which a larger gradient is clipped; 0 turns clipping off."
    )
    truncate: Annotated[Count, SEVERAL] | None = Field(
        None,
        description="Number of steps k through which the gradient of each output goes back; by default to the "
        "beginning. The forward pass does not change.",
    )
    batch: Annotated[Count, SEVERAL] = Field(64, description="Number of sequences B in a training batch.")
    updates: Annotated[Count, SEVERAL] = Field(
        1500, description="Largest number of updates of a trial. A trial ends earlier when it solves its length."
    )
    threshold: Annotated[Annotated[float, Field(gt=0, le=1)], SEVERAL] = Field(
        0.9, description="Accuracy on held-out batches at or above which a length counts as solved."
    )
    evaluate_every: Annotated[Count, SEVERAL] = Field(50, description="Number of updates between two evaluations.")
    final_batches: Annotated[Count, SEVERAL] = Field(
        20, description="Number of held-out batches that decide after training whether the length is solved."
    )
    evaluation_samples: Annotated[Count, SEVERAL] = Field(
        500, description="Number of sequences in a held-out batch."
    )
    dtype: Annotated[Literal["float32", "float64"], SEVERAL] = Field(
        "float32", description="Floating-point type of the weights and of all training arithmetic."
    )
    seed: Annotated[Seed, SEVERAL] = Field(0, description="Seed of all random numbers.")

    def __init__(self, /, **values: Any) -> None:
        try:
            super().__init__(**with_new_names(values, RENAMED))
        except ValidationError as error:
            raise invalid(error, known=type(self).model_fields) from None

    @field_validator("task_parameters")
    @classmethod
    def _whole(cls, parameters: dict[str, Any]) -> dict[str, Any]:
        def whole(name: str, value: float) -> float | int:
            return whole_numbers({name: value})[name]

        return {
            name: tuple(whole(name, one) for one in value) if isinstance(value, tuple) else whole(name, value)
            for name, value in parameters.items()
        }

    @model_validator(mode="after")
    def _recurrent(self) -> Self:
        values = self.values()
        for cell, gain in product(values["cell"], values["recurrent_gain"]):
            CELLS[cell].checked_recurrent_gain(gain)
        if CRITICAL in values["init"]:
            demand_recurrent(values["cell"])
        return self

    def __repr__(self) -> str:
        """The constructor call with the fields that were set."""
        given = ((name, getattr(self, name)) for name in type(self).model_fields if name in self.model_fields_set)
        return f"{type(self).__name__}({', '.join(f'{name}={shown(value)}' for name, value in given)})"

    __str__ = __repr__

    def __hash__(self) -> int:
        return hash(self.model_dump_json())

    def __eq__(self, other: object) -> bool:
        """Whether every field is equal. Cached properties do not count."""
        return type(self) is type(other) and self.model_dump() == other.model_dump()

    def values(self) -> dict[str, tuple[Any, ...]]:
        """The values of each field, as tuples. Each task parameter is a field, such as `task_parameters.items`."""
        fields = {name: getattr(self, name) for name in Choices.model_fields if name != "task_parameters"}
        fields |= {f"task_parameters.{name}": value for name, value in self.task_parameters.items()}
        return {name: value if isinstance(value, tuple) else (value,) for name, value in fields.items()}

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """The same as `with_`, because pydantic's own method checks neither names nor values."""
        return self.with_(**update) if update else super().model_copy(deep=deep)

    def with_(self, **changes: Any) -> Self:
        """Return a copy with some fields changed, as in `study.with_(cell="lstm")`."""
        return type(self)(**{**self.model_dump(exclude_unset=True), **with_new_names(changes, RENAMED)})


def demand_recurrent(cells: Iterable[str]) -> None:
    """Raise `InvalidArgument` if one of these cells has no R, so that the initializer `critical` means nothing."""
    for cell in cells:
        if not CELLS[cell].recurrent_gates:
            rule = f"another than {CRITICAL} for the cell {cell}, which has no R"
            raise InvalidArgument("init", rule, repr(CRITICAL))


def nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Return `flat` with each `task_parameters.NAME` as the item NAME of a dictionary `task_parameters`."""
    found: dict[str, Any] = {}
    for name, value in flat.items():
        if name.startswith("task_parameters."):
            found.setdefault("task_parameters", {})[name.removeprefix("task_parameters.")] = value
        else:
            found[name] = value
    return found
