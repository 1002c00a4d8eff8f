"""Checkpoints: saving a learner and continuing exactly where it stopped.

A checkpoint is one safetensors file with arrays and, as metadata, a JSON header that describes them. The file
contains no code. The reader trusts nothing: it validates the header and compares every array with the header
before it uses the array. The header contains a checksum of the header and all arrays, which detects a damaged
file. Format 1 had no checksum and is read without one.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveInt, ValidationError

from memspan._version import __version__
from memspan.cells import CELLS, Cell
from memspan.engines.parameters import Layout
from memspan.errors import InvalidArgument, UnreadableFile, invalid
from memspan.losses import LOSSES, Loss, MeanLoss
from memspan.network import ACTIVATIONS, GRU, LSTM, RNN, Network
from memspan.runtime.files import replaced, special
from memspan.shapes import Array
from memspan.tasks import TASKS, Batch, Batches, Counted, Task, get_task, parameters_of
from memspan.training.checkpoint_arrays import checksum_of, expect, history_of, optimizer_state
from memspan.training.history import History
from memspan.training.member import Stream, as_stream, held_out_of
from memspan.training.optimizers import CLIPS, RULES, Chain


@dataclass
class Checkpoint:
    """All parts of a learner.

    Attributes
    ----------
    model, loss, optimizer
        The network, its loss and its optimiser.
    state : named tuple
        The state of the optimiser.
    batches, evaluation : Stream
        The training and the held-out batches. Both can be the same object.
    task : Task
        The task, which decides which answers are correct.
    history : History
        The numbers of every update and evaluation.
    updates : int
        The number of updates so far.
    threshold : float
        The accuracy that solves the task.
    """

    model: Network
    loss: Loss
    optimizer: Chain
    state: Any
    batches: Stream
    evaluation: Stream
    task: Task
    history: History
    updates: int
    threshold: float


class Substitutes(NamedTuple):
    """Parts that the caller passes to replace those in a file. A file names parts but does not contain them."""

    cell: Cell | None = None
    loss: Loss | None = None
    optimizer: Chain | None = None
    batches: Iterator[Batch] | None = None
    evaluation: Iterator[Batch] | None = None
    task: Task | None = None


NOTHING = Substitutes()

FORMAT = "memspan learner 2"
Size = Annotated[int, Field(gt=0, le=10**9)]
"""A batch size or a length. memspan cannot have written larger ones."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Named(_Strict):
    """An entry of one of memspan's dictionaries. The name is empty for an object that is not in them."""

    name: str
    parameters: dict[str, bool | int | float | None] = {}


class _Stream(_Strict):
    """The position of a `Batches` (fields task to held_out), or of another iterator (drawn and digest)."""

    task: _Named | None = None
    length: Size = 1
    batch: Size = 1
    dtype: Literal["float32", "float64"] = "float64"
    rng: dict[str, Any] = {}
    held_out: bool = False
    drawn: Annotated[int, Field(ge=0, le=10**9)] = 0
    digest: str = ""


class _Header(_Strict):
    format: Literal["memspan learner 1", "memspan learner 2"] = "memspan learner 2"
    version: str = __version__
    kind: Literal["Network", "RNN", "LSTM", "GRU"]
    cell: str
    input_size: PositiveInt
    hidden_size: PositiveInt
    output_size: PositiveInt
    dtype: Literal["float32", "float64"]
    output_steps: PositiveInt | None = None
    loss: _Named
    clips: list[_Named]
    rule: _Named
    batches: _Stream
    evaluation: _Stream | None
    task: _Named
    updates: NonNegativeInt
    threshold: float = Field(gt=0, le=1)
    checksum: str = ""


def write(path: str | Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint to a new file, which then replaces `path` in one step."""
    from safetensors.numpy import save

    header = _describe(checkpoint)
    arrays = {"parameters": checkpoint.model.parameters}
    arrays |= {f"optimizer.{name}": np.asarray(part) for name, part in checkpoint.state._asdict().items()}
    arrays |= {f"history.{name}": array for name, array in checkpoint.history.arrays().items()}
    checksum = checksum_of(header.model_dump_json(), arrays)
    with replaced(Path(path)) as file:
        file.write(save(arrays, {"memspan": header.model_copy(update={"checksum": checksum}).model_dump_json()}))


def read(path: str | Path, substitutes: Substitutes = NOTHING) -> Checkpoint:
    """Read a checkpoint.

    Raises
    ------
    UnreadableFile
        If the file is truncated, damaged, or not a checkpoint.
    InvalidArgument
        If the file names a part that must be passed as a substitute.
    """
    header, arrays = _contents(Path(path))
    model = _network(Path(path), header, arrays, substitutes.cell)
    loss = _build("loss", LOSSES, header.loss) if substitutes.loss is None else substitutes.loss
    optimizer = substitutes.optimizer
    if optimizer is None:
        clips = [_build("optimizer", CLIPS, clip) for clip in header.clips]
        optimizer = Chain(*clips, _build("optimizer", RULES, header.rule))
    task = _task(header.task) if substitutes.task is None else substitutes.task
    batches, evaluation = _streams(Path(path), header, substitutes, task)
    state = optimizer_state(Path(path), arrays, optimizer.init(model.parameters))
    history = history_of(
        Path(path), arrays, header.updates, own_loss=not header.loss.name, own_task=not header.task.name
    )
    parts = (model, loss, optimizer, state, batches, evaluation, task)
    return Checkpoint(*parts, history, header.updates, header.threshold)


def _describe(checkpoint: Checkpoint) -> _Header:
    model, shared = checkpoint.model, checkpoint.evaluation is checkpoint.batches
    if type(model) not in (Network, RNN, LSTM, GRU):
        raise InvalidArgument("model", "a Network, RNN, LSTM or GRU, to be saved", type(model).__name__)
    return _Header(
        kind=type(model).__name__,
        cell=_cell_name(model.cell),
        input_size=model.input_size,
        hidden_size=model.hidden_size,
        output_size=model.output_size,
        dtype=model.dtype.name,
        output_steps=model.output_steps,
        loss=_name(LOSSES, checkpoint.loss),
        clips=[_name(CLIPS, clip) for clip in checkpoint.optimizer.clips],
        rule=_name(RULES, checkpoint.optimizer.rule),
        batches=_position("batches", checkpoint.batches),
        evaluation=None if shared else _position("evaluation", checkpoint.evaluation),
        task=_task_name(checkpoint.task),
        updates=checkpoint.updates,
        threshold=checkpoint.threshold,
    )


def _cell_name(cell: Cell) -> str:
    """Return the cell's name, marked as foreign if it computes something else than memspan's cell of that name.

    Fields that affect only the initial weights are ignored.
    """
    known = CELLS.get(cell.name)
    if known is None:
        return cell.name
    alike = (
        replace(cell, bias=known.bias, init=known.init, unit_init=known.unit_init, source=known.source) == known
    )
    return cell.name if alike else f"another {cell.name}"  # so that `load` does not use memspan's cell


def _name(registry: dict[str, Any], thing: Any) -> _Named:
    for name, kind in registry.items():
        if type(thing) is kind:
            return _Named(name=name, parameters=_parameters(thing))
    return _Named(name="")


def _parameters(thing: Any) -> dict[str, Any]:
    if isinstance(thing, MeanLoss):
        return {"masked": thing.masked}
    return asdict(thing) if hasattr(thing, "__dataclass_fields__") else {}


def _task_name(task: Task) -> _Named:
    known = TASKS.get(getattr(task, "name", ""))
    if type(task) is not type(known):
        return _Named(name="")
    return _Named(name=task.name, parameters=parameters_of(task))


def _task(named: _Named) -> Task:
    if named.name not in TASKS:
        raise InvalidArgument("task", "passed, because the saved task is not one of memspan's", "None")
    return get_task(named.name, **named.parameters)


def _position(name: str, stream: Stream) -> _Stream:
    if isinstance(stream, Counted):
        return _Stream(drawn=stream.drawn, digest=stream.digest())
    if type(stream) is not Batches:
        raise InvalidArgument(name, "Batches or a generator, to be saved", type(stream).__name__)
    rng = stream.position
    if rng["bit_generator"] != "PCG64":
        raise InvalidArgument(f"{name}.rng", "a PCG64 generator, to be saved", rng["bit_generator"])
    dtype = np.dtype(stream.dtype).name
    task = _task_name(stream.task)
    held_out = stream.task != stream.task.for_training
    return _Stream(task=task, length=stream.length, batch=stream.batch, dtype=dtype, rng=rng, held_out=held_out)


def _contents(path: Path) -> tuple[_Header, dict[str, Array]]:
    from safetensors import SafetensorError, safe_open

    path.stat()  # a missing file raises FileNotFoundError
    if kind := special(path):
        raise UnreadableFile(f"{path} is {kind}, not a saved learner.")
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            if "memspan" not in metadata:
                raise UnreadableFile(f"{path} is a safetensors file, but not a saved learner.")
            text = metadata["memspan"]
            header = _Header.model_validate_json(text)
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            if header.checksum or header.format == FORMAT:
                _demand_checksum(path, header.checksum, text, arrays)
            return header, arrays
    except ValidationError as error:
        raise UnreadableFile(f"The header of {path} is invalid: {invalid(error)}") from None
    except (SafetensorError, OSError, ValueError, TypeError, AttributeError) as error:  # dtypes unknown to NumPy
        raise UnreadableFile(f"{path} is not a complete safetensors file: {error}") from None


def _demand_checksum(path: Path, checksum: str, header: str, arrays: dict[str, Array]) -> None:
    without = header.replace(f'"{checksum}"', '""') if checksum else header
    if checksum != checksum_of(without, arrays):
        raise UnreadableFile(f"{path} is damaged: its content does not match its checksum.")


def _network(path: Path, header: _Header, arrays: dict[str, Array], given: Cell | None) -> Network:
    cell = CELLS.get(header.cell) if given is None else given
    if cell is None:
        raise InvalidArgument("cell", f"passed, because {header.cell!r} is not one of memspan's cells", "None")
    size = Layout(cell, header.input_size, header.hidden_size, header.output_size).size
    # Check the array first: the header could claim any size, and a network of it would fill the memory.
    parameters = expect(path, arrays, "parameters", (size,), header.dtype)
    if not np.isfinite(parameters).all():
        raise UnreadableFile(f"{path} contains weights that are not finite.")
    model = _network_of(header, cell)
    if model is not None and given is not None and model.cell != given:
        raise InvalidArgument(
            "cell", f"omitted, because a saved {header.kind} always has its own cell", given.name
        )
    if model is None:
        raise UnreadableFile(f"{path} describes a {header.kind!r} with the cell {cell.name}, which is impossible.")
    model.parameters[:] = parameters
    return model


def _network_of(header: _Header, cell: Cell) -> Network | None:
    """Make a network of the saved class and sizes; return None if the class does not have that cell."""
    sizes = header.input_size, header.hidden_size, header.output_size
    activation = next((name for name, its in ACTIVATIONS.items() if its.name == cell.name), None)
    options: dict[str, Any] = {"dtype": header.dtype, "output_steps": header.output_steps, "rng": 0}
    match header.kind:
        case "Network":
            return Network(cell, *sizes, **options)
        case "RNN" if activation is not None:
            return RNN(*sizes, activation=activation, **options)
        case "LSTM" if cell.name == "lstm":
            return LSTM(*sizes, forget_bias=cell.bias.get("f", 0.0), **options)
        case "GRU" if cell.name == "gru":
            return GRU(*sizes, **options)
    return None


def _build(argument: str, registry: dict[str, Any], named: _Named) -> Any:
    if named.name not in registry:
        raise InvalidArgument(argument, f"passed, because the saved {argument} is not one of memspan's", "None")
    try:
        return registry[named.name](**named.parameters)
    except TypeError as error:
        raise InvalidArgument(argument, f"passed, because the saved {named.name} cannot be built", error) from None


def _streams(path: Path, header: _Header, given: Substitutes, task: Task) -> tuple[Stream, Stream]:
    """Return the training and the held-out batches: the saved streams, or those passed in their place."""
    batches = _stream(path, "batches", header.batches, given.batches, task)
    if header.evaluation is None:
        return batches, batches if given.evaluation is None else as_stream(given.evaluation, "evaluation")
    other_batches = given.batches is not None and header.batches.task is not None
    if other_batches and given.evaluation is None:  # the saved evaluation may be of another task or length
        return batches, held_out_of(batches)
    return batches, _stream(path, "evaluation", header.evaluation, given.evaluation, task)


def _stream(path: Path, argument: str, saved: _Stream, given: Iterator[Batch] | None, task: Task) -> Stream:
    if saved.task is None:
        if given is None:
            raise InvalidArgument(
                argument, "passed as a new generator, because the saved batches came from one", "None"
            )
        counted = given if isinstance(given, Counted) else Counted(given, argument)
        counted.skip_to(saved.drawn, saved.digest)
        return counted
    if given is not None:
        return as_stream(given, argument)
    task = _task(saved.task) if saved.task.name else task
    task = task.for_evaluation if saved.held_out else task
    batches = Batches(task, saved.length, saved.batch, 0, saved.dtype)
    try:
        batches.position = saved.rng
        if saved.rng["state"]["inc"] % 2 == 0:
            raise ValueError("the increment of PCG64 must be odd")
    except (TypeError, ValueError, KeyError, OverflowError) as error:
        raise UnreadableFile(f"{path} contains an invalid position of {argument}: {error}") from None
    return batches
