"""What a study is: every choice, validated, before anything runs."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from cyclopts import Parameter
from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError, field_validator, model_validator

from memspan.cells import CELLS
from memspan.errors import InvalidArgument, invalid
from memspan.network import Network
from memspan.optimizers import RULES, Chain, ClipByNorm
from memspan.starts import STARTS
from memspan.tasks import TASKS, Task, get_task, whole_numbers

if TYPE_CHECKING:
    CellName = str
    StartName = str
    RuleName = str
    TaskName = str
else:  # the choices are what the dictionaries hold
    CellName, StartName, RuleName = Literal[*CELLS], Literal[*STARTS], Literal[*RULES]
    TaskName = Literal[*TASKS]

Lengths = Annotated[tuple[PositiveInt, ...], Parameter(consume_multiple=True, negative="")]


class Study(BaseModel):
    """Lengths times repetitions of one network on one task.

    The defaults are the first study of the README: the assignment's tanh network on the memory task, from lengths
    that it always solves over the cliff to lengths that it never does. Of the lengths, if none are given, those
    are left out that the task does not have.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    task: TaskName = Field("recall", description="The task, with its variant: `memspan tasks` lists them.")
    parameters: dict[str, float] = Field(
        {}, description="Of the task, if not its own, such as --parameters.tolerance 0.05."
    )
    cell: CellName = Field("rnn", description="The recurrent cell.")
    start: Annotated[StartName | None, Parameter(show_default=False)] = Field(
        None, description="Initial weights [default: the cell's own; identity with --cell rnn-relu is the IRNN]."
    )
    gain: float = Field(1.0, gt=0, description="Multiplies the initial weights (R alone: orthogonal, identity).")
    hidden: PositiveInt = Field(32, description="Hidden units H.")
    optimizer: RuleName = Field("adam", description="The optimiser.")
    learning_rate: float = Field(1e-2, gt=0, description="Its learning rate.")
    clip: float = Field(1.0, ge=0, description="Largest norm of the gradient; 0 for no clipping.")
    batch: PositiveInt = Field(64, description="Sequences in a training batch B.")
    updates: PositiveInt = Field(1500, description="Most updates of a trial; it ends sooner when solved.")
    lengths: Lengths = Field((5, 10, 15, 20, 25, 30, 40), description="Sequence lengths T, such as 5 10 20.")
    repetitions: PositiveInt = Field(10, description="Networks trained at each length.")
    seed: int = Field(0, ge=0, description="Root of every random number.")
    threshold: float = Field(0.9, gt=0, le=1, description="Accuracy on fresh batches that solves a length.")
    dtype: Literal["float32", "float64"] = Field("float32", description="Precision of training.")

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise invalid(error) from None

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth_values(cls, value: Any) -> Any:
        """True would pass as 1."""
        if any(isinstance(part, bool) for part in (value.values() if isinstance(value, dict) else (value,))):
            raise ValueError("a number or a name, not a truth value")
        return value

    @field_validator("parameters")
    @classmethod
    def _whole(cls, parameters: dict[str, float]) -> dict[str, float]:
        return whole_numbers(parameters)

    @field_validator("lengths", mode="before")
    @classmethod
    def _split(cls, lengths: Any) -> Any:
        """Admit `5,10,20` for `5 10 20`, a single length, and anything that gives lengths, such as a range."""
        items = lengths if isinstance(lengths, Iterable) and not isinstance(lengths, str) else [lengths]
        return [part for item in items for part in (item.split(",") if isinstance(item, str) else [item])]

    @field_validator("lengths")
    @classmethod
    def _ascending(cls, lengths: tuple[int, ...]) -> tuple[int, ...]:
        if not lengths:
            raise ValueError("at least one length")
        if len(set(lengths)) < len(lengths):
            raise ValueError("different from each other")
        return tuple(sorted(lengths))

    @model_validator(mode="after")
    def _of_the_task(self) -> Self:
        task = self.new_task()
        if "lengths" not in self.model_fields_set:
            usual = tuple(length for length in self.lengths if length >= task.least_length)
            if not usual:
                rule = f"given for {task.name}, whose shortest is {task.least_length}"
                raise InvalidArgument("lengths", rule, f"the usual ones, {self.lengths}")
            object.__setattr__(self, "lengths", usual)
        for length in self.lengths:
            task.checked_length(length, "lengths")
        return self

    def __hash__(self) -> int:
        return hash(self.model_dump_json())

    @property
    def keys(self) -> list[tuple[int, int]]:
        """Every trial's (length, repetition), the longest first: they take longest."""
        return [(length, k) for length in reversed(self.lengths) for k in range(self.repetitions)]

    def new_task(self) -> Task:
        """The task, with its parameters."""
        return get_task(self.task, **self.parameters)

    def new_optimizer(self) -> Chain:
        """The clip and the rule."""
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
        """One line for headings."""
        start = self.start or CELLS[self.cell].start
        rule = f"{self.optimizer} {self.learning_rate:g}" + (f", clip {self.clip:g}" if self.clip else "")
        return f"{self.cell}, {self.hidden} hidden, {start} start, {rule}, batch {self.batch}"

    def with_(self, **changes: Any) -> Self:
        """The same study but for these fields, as `study.with_(cell="lstm")`."""
        return type(self)(**{**self.model_dump(exclude_unset=True), **changes})
