"""The fields of a configuration. In a study each field may hold several values."""

import math
import re
from collections.abc import Iterable, Mapping
from itertools import product
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import CoreSchema, PydanticCustomError, SchemaValidator, core_schema

from memspan.cells import CELLS, INITIALIZERS, Cell, known_cell
from memspan.cells.initializers import CRITICAL
from memspan.errors import MOST, MOST_SEED, InvalidArgument, invalid, shown
from memspan.runtime.imports import PATH, is_factory, is_path, loaded, name_of
from memspan.runtime.renamed import with_new_names
from memspan.tasks import TASKS, whole
from memspan.training.optimizers import RULES


class PartName(str):
    """The type of a field that takes the name of a part, its import path, or the part itself. It becomes a name.

    The import path is not imported here, so that a store with the parts of others can be read.
    """

    kind: ClassVar[str]
    known: ClassVar[Mapping[str, Any]]

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(lambda part: name_of(cls.kind, part, cls.known))

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"anyOf": [{"enum": list(cls.known)}, {"type": "string", "pattern": f"^{PATH.pattern}$"}]}


if TYPE_CHECKING:
    CellName = str
    InitializerName = str
    InitName = str
    RuleName = str
    TaskName = str
else:  # pydantic takes the names that the dictionaries hold

    class CellName(PartName):
        """The name or import path of a cell."""

        kind, known = "cell", CELLS

    class TaskName(PartName):
        """The name or import path of a task."""

        kind, known = "task", TASKS

    InitializerName, RuleName = Literal[*INITIALIZERS], Literal[*RULES]
    InitName = Literal[*INITIALIZERS, CRITICAL]

RENAMED = {
    "parameters": "task_parameters",
    "start": "init",
    "evaluation_batches": "final_batches",
    "weights": "keep_weights",
}
"""The names of fields in memspan 0.1, and today's."""
DEVICE = re.compile(r"[a-z]+(:[0-9]+)?")
TABLES = ("task_parameters", "options")
"""The fields with several items, each of which counts as a field: `task_parameters.items`."""
NO_OPTIONS = {
    "hidden": "the field hidden is the number of hidden units",
    "features": "the task gives the number of features",
    "outputs": "the task gives the number of outputs",
    "key": "the seed gives the key",
}
"""The arguments that memspan itself passes to a factory, and where their values come from."""


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


def device_name(name: str) -> str:
    """Return the name of a device, checked for its form only: whether it is there, its library tells later."""
    if not DEVICE.fullmatch(name):
        raise PydanticCustomError("device", "the name of a device, such as cpu, cuda or cuda:1")
    return name


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
        "recall",
        description="Task and variant, or the import path of a task of your own. `memspan tasks` lists them.",
    )
    task_parameters: dict[str, Annotated[float, SEVERAL]] = Field(
        {}, description="Parameters of the task by name, such as --task-parameters.tolerance 0.05."
    )
    cell: Annotated[CellName, SEVERAL] = Field(
        "rnn",
        description="Recurrent cell, or the import path of a cell of your own. `memspan cells` lists them.",
    )
    options: dict[str, Annotated[float | str, SEVERAL]] = Field(
        {}, description="Options of a cell of your own by name, such as --options.layers 2: numbers or texts."
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
    device: Annotated[Annotated[str, AfterValidator(device_name)], SEVERAL] = Field(
        "cpu",
        description="Device that computes a PyTorch or JAX model, such as cuda:1. memspan's cells take cpu.",
    )
    seed: Annotated[Seed, SEVERAL] = Field(0, description="Seed of all random numbers.")

    def __init__(self, /, **values: Any) -> None:
        try:
            super().__init__(**with_new_names(values, RENAMED))
        except ValidationError as error:
            raise invalid(error, known=type(self).model_fields) from None

    @field_validator("task_parameters", "options")
    @classmethod
    def _whole(cls, parameters: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        def checked(name: str, value: Any) -> Any:
            if info.field_name == "options":
                return option(name, value)
            return number(f"{info.field_name}.{name}", value)

        return {
            name: tuple(checked(name, one) for one in value) if isinstance(value, tuple) else checked(name, value)
            for name, value in sorted(parameters.items())
        }

    @model_validator(mode="after")
    def _recurrent(self) -> Self:
        """Check what depends on the cells, as far as they are known (`known_cell`)."""
        values = self.values()
        self._demand_options(values["cell"])
        self._demand_device(values)
        self._demand_own_weights(values)
        for cell in self.known_cells():
            for gain in values["recurrent_gain"]:
                cell.checked_recurrent_gain(gain)
            if CRITICAL in values["init"]:
                demand_recurrent(cell)
        return self

    def _demand_options(self, cells: Iterable[str]) -> None:
        """Raise unless the options belong to a cell of the user's own; one of memspan's has none."""
        own = [cell for cell in cells if is_path(cell)]
        others = [cell for cell in cells if not is_path(cell)]
        if self.options and not own:
            raise InvalidArgument("options", f"left out for {', '.join(others)}, which takes none", self.options)
        for name, values in self.values().items():
            if others and name.startswith("options.") and len(values) > 1:
                rule = f"one value beside {', '.join(others)}, which takes no options"
                raise InvalidArgument(name, rule, shown(values))

    def _demand_device(self, values: Mapping[str, tuple[Any, ...]]) -> None:
        """Raise unless a device other than the CPU is for a model of another library. Others ignore it."""
        wanted = next((one for one in values["device"] if one != "cpu"), None)
        others = [name for name in values["cell"] if not is_path(name)]
        numpy = others if len(others) == len(values["cell"]) else [*filter(_is_cell, values["cell"])]
        if wanted and numpy:
            raise InvalidArgument("device", f"cpu for {', '.join(numpy)}, which memspan computes itself", wanted)
        if others and len(values["device"]) > 1:
            rule = f"one value beside {', '.join(others)}, which memspan computes itself on the cpu"
            raise InvalidArgument("device", rule, shown(values["device"]))

    def _demand_own_weights(self, values: Mapping[str, tuple[Any, ...]]) -> None:
        """Raise if memspan is to choose the initial weights of a model that draws its own."""
        own = (name for name in values["cell"] if is_path(name))
        drawn = [name for name in own if is_factory(loaded("cell", name))]
        for field in ("init", "gain", "recurrent_gain") if drawn else ():
            if values[field] != (Choices.model_fields[field].default,):
                rule = f"left out for {drawn[0]}, a model that chooses its own initial weights"
                raise InvalidArgument(field, rule, shown(getattr(self, field)))

    def known_cells(self) -> list[Cell]:
        """Return each cell, once for each combination of its options; those not imported yet are left out."""
        found = (known_cell(name, **options) for name, options in self.cells())
        return [cell for cell in found if cell is not None]

    def cells(self) -> list[tuple[str, dict[str, Any]]]:
        """Return the name of each cell, once for each combination of the options that it takes."""
        values = self.values()
        chosen = product(*(values[f"options.{name}"] for name in self.options))
        each = [dict(zip(self.options, options, strict=True)) for options in chosen]
        return [(name, one) for name in values["cell"] for one in (each if is_path(name) else [{}])]

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
        """The values of each field, as tuples. Each item of a table is a field, as `task_parameters.items`."""
        fields = {name: getattr(self, name) for name in Choices.model_fields if name not in TABLES}
        for table in TABLES:
            fields |= {f"{table}.{name}": value for name, value in getattr(self, table).items()}
        return {name: value if isinstance(value, tuple) else (value,) for name, value in fields.items()}

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """The same as `with_`, because pydantic's own method checks neither names nor values."""
        return self.with_(**update) if update else super().model_copy(deep=deep)

    def with_(self, **changes: Any) -> Self:
        """Return a copy with some fields changed, as in `study.with_(cell="lstm")`."""
        return type(self)(**{**self.model_dump(exclude_unset=True), **with_new_names(changes, RENAMED)})


def _is_cell(name: str) -> bool:
    """Whether an import path is known to be that of a cell in NumPy; its module may not be imported yet."""
    part = loaded("cell", name) if is_path(name) else None
    return part is not None and not is_factory(part)


def demand_recurrent(cell: Cell) -> None:
    """Raise `InvalidArgument` if a cell has no R, so that the initializer `critical` means nothing."""
    if not cell.recurrent_gates:
        rule = f"another than {CRITICAL} for the cell {cell.name}, which has no R"
        raise InvalidArgument("init", rule, repr(CRITICAL))


def option(name: str, value: Any) -> Any:
    """Return the value of an option; raise if memspan itself passes the argument of this name to the factory."""
    found = number(f"options.{name}", value)
    if name in NO_OPTIONS:
        raise InvalidArgument(f"options.{name}", "left out", found, f"; {NO_OPTIONS[name]}")
    return found


def number(name: str, value: Any) -> Any:
    """Return a number, which may be written as a text, as an int if it is whole. Other texts stay.

    `name` is that of the option. The texts true and false are refused, because Python takes both for true.
    """
    if isinstance(value, str) and value.lower() in ("true", "false"):
        raise InvalidArgument(name, "a number or a name, not a truth value (write 1 or 0)", value)
    try:
        found = float(value)
    except ValueError:
        return value
    return whole(found) if math.isfinite(found) else value


def nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Return `flat` with each `task_parameters.NAME` as the item NAME of a dictionary `task_parameters`."""
    found: dict[str, Any] = {}
    for name, value in flat.items():
        table, _, item = name.partition(".")
        if item:
            found.setdefault(table, {})[item] = value
        else:
            found[name] = value
    return found
