"""Checkpoints: saving a learner and continuing exactly where it stopped.

A checkpoint is a file of arrays with a header (`memspan.runtime.tensors`). It names the parts of the learner and
contains their numbers. Format 1 had no checksum and is read without one.

A model of another library is code, which is not in the file. The caller passes a model of the same sizes, with the
same fixed numbers (frozen parameters and buffers), and it gets the saved weights.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from pydantic import Field, NonNegativeInt

from memspan.cells import Cell
from memspan.engines.parameters import Layout
from memspan.errors import MOST, InvalidArgument, UnreadableFile, shown
from memspan.losses import LOSSES, Loss, MeanLoss
from memspan.network import Model, Network
from memspan.network.files import Description, described, description_of, restored
from memspan.runtime import tensors
from memspan.runtime.tensors import Header, Strict, checksum_of, expect
from memspan.shapes import Array, Flat
from memspan.tasks import TASKS, Batch, Batches, Counted, Task, get_task, parameters_of
from memspan.training.checkpoint_arrays import history_of, optimizer_state
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
    truncate : int or None
        The number of steps through which the gradient of each output goes back; None for all.
    """

    model: Model
    loss: Loss
    optimizer: Chain
    state: Any
    batches: Stream
    evaluation: Stream
    task: Task
    history: History
    updates: int
    threshold: float
    truncate: int | None


class Substitutes(NamedTuple):
    """Parts that the caller passes to replace those in a file. A file names parts but does not contain them."""

    model: Model | None = None
    cell: Cell | None = None
    loss: Loss | None = None
    optimizer: Chain | None = None
    batches: Iterator[Batch] | None = None
    evaluation: Iterator[Batch] | None = None
    task: Task | None = None


NOTHING = Substitutes()

WITHOUT_CHECKSUM = "memspan learner 1"
Size = Annotated[int, Field(gt=0, le=10**9)]
"""A batch size or a length. memspan cannot have written larger ones."""


class _Named(Strict):
    """An entry of one of memspan's dictionaries. The name is empty for an object that is not in them."""

    name: str
    parameters: dict[str, bool | int | float | None] = Field(default_factory=dict)


class _Stream(Strict):
    """The position of a `Batches` (fields task to held_out), or of another iterator (drawn and digest)."""

    task: _Named | None = None
    length: Size = 1
    batch: Size = 1
    dtype: Literal["float32", "float64"] = "float64"
    rng: dict[str, Any] = Field(default_factory=dict)
    held_out: bool = False
    drawn: Annotated[int, Field(ge=0, le=10**9)] = 0
    digest: str = ""


class _Header(Header, Description):
    format: Literal["memspan learner 1", "memspan learner 2"] = "memspan learner 2"
    loss: _Named
    clips: list[_Named]
    rule: _Named
    batches: _Stream
    evaluation: _Stream | None
    task: _Named
    updates: NonNegativeInt
    threshold: float = Field(gt=0, le=1)
    truncate: Annotated[int, Field(gt=0, le=MOST)] | None = None
    # Of a model of another library: the shapes of its weights, and a checksum of the numbers that are not trained.
    shapes: tuple[tuple[str, tuple[int, ...]], ...] = ()
    fixed: str = ""


def write(path: str | Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint to a new file, which then replaces `path` in one step."""
    arrays = {"parameters": checkpoint.model.parameters}
    arrays |= {f"optimizer.{name}": np.asarray(part) for name, part in checkpoint.state._asdict().items()}
    arrays |= {f"history.{name}": array for name, array in checkpoint.history.arrays().items()}
    tensors.write(Path(path), _describe(checkpoint), arrays)


def read(path: str | Path, substitutes: Substitutes = NOTHING) -> Checkpoint:
    """Read a checkpoint.

    Raises
    ------
    UnreadableFile
        If the file is truncated, damaged, or not a checkpoint.
    InvalidArgument
        If the file names a part that must be passed as a substitute.
    """
    header, arrays = tensors.read(Path(path), _Header, "learner", unchecked=WITHOUT_CHECKSUM)

    model = _model(Path(path), header, arrays, substitutes)
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
    return Checkpoint(*parts, history, header.updates, header.threshold, header.truncate)


def _describe(checkpoint: Checkpoint) -> _Header:
    shared = checkpoint.evaluation is checkpoint.batches
    return _Header(
        **_model_parts(checkpoint.model),
        loss=_name(LOSSES, checkpoint.loss),
        clips=[_name(CLIPS, clip) for clip in checkpoint.optimizer.clips],
        rule=_name(RULES, checkpoint.optimizer.rule),
        batches=_position("batches", checkpoint.batches),
        evaluation=None if shared else _position("evaluation", checkpoint.evaluation),
        task=_task_name(checkpoint.task),
        updates=checkpoint.updates,
        threshold=checkpoint.threshold,
        truncate=checkpoint.truncate,
    )


def _model_parts(model: Model) -> dict[str, Any]:
    """Return what a header says about a model."""
    if isinstance(model, Network):
        return described("model", model).model_dump()
    return {
        **description_of("model", model, "Model", model.name).model_dump(),
        "shapes": tuple(model.layout.shapes.items()),
        "fixed": checksum_of("", model.fixed_arrays()),
    }


def _model(path: Path, header: _Header, arrays: dict[str, Array], given: Substitutes) -> Model:
    """Return the saved model. One of another library is the caller's, which gets the saved weights."""

    def weights(layout: Layout) -> Flat:
        return expect(path, arrays, "parameters", (layout.size,), header.dtype)

    if header.kind != "Model":
        if given.model is not None:
            rule = "left out, because the file says all about the saved network"
            raise InvalidArgument("model", rule, shown(given.model))
        return restored(path, header, given.cell, weights)
    model = given.model
    if not isinstance(model, Model) or isinstance(model, Network):
        rule = f"passed, because the file has the weights of {header.cell}, but not its code"
        raise InvalidArgument("model", rule, shown(model))
    for name, found in _model_parts(model).items():
        if found != (wanted := getattr(header, name)):
            raise _unlike(name, wanted, found)
    parameters = expect(path, arrays, "parameters", (model.layout.size,), header.dtype)
    if not np.isfinite(parameters).all():
        raise UnreadableFile(f"{path} contains weights that are not finite.")
    model.set_weights(model.layout.by_name(parameters))
    return model


def _unlike(name: str, wanted: Any, found: Any) -> InvalidArgument:
    """The error for a model that is not like the saved one."""
    if name == "fixed":
        rule = "like the saved one, with the same frozen parameters and buffers, as if built with the same seed"
        return InvalidArgument("model", rule, "others")
    called = {"cell": "name", "shapes": "weights"}.get(name, name)
    return InvalidArgument("model", f"like the saved one, with {called} {shown(wanted)}", shown(found))


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
