"""Checks of the arguments of an ensemble."""

from collections.abc import Iterator, Sequence
from typing import Any

from memspan.errors import InvalidArgument, shown
from memspan.losses import Loss, MeanLoss
from memspan.network import Model, Network
from memspan.tasks import Batches, Recall, Task
from memspan.training.member import Stream, as_stream


def check_alike(models: Sequence[Model]) -> None:
    """Check that all models are networks of real numbers that differ only in their weights."""
    if not isinstance(models, Sequence):
        raise InvalidArgument("models", "a list of networks", repr(models))
    for model in models:
        if not isinstance(model, Model) or model.dtype.kind != "f":  # type: ignore[redundant-expr]
            raise InvalidArgument("model", "a Network of float32 or float64", shown(model))
    if not models or len({id(model) for model in models}) < len(models):
        raise InvalidArgument("models", "at least one network, and each only once", f"{len(models)} networks")
    for model in models[1:]:
        if type(model) is not type(models[0]) and not isinstance(model, Network):
            kinds = f"{type(model).__name__} and {type(models[0]).__name__}"
            raise InvalidArgument("models", "networks of the same kind", kinds)
        for name in ("layout", "dtype", "output_steps"):
            if getattr(model, name) != getattr(models[0], name):
                got = f"{getattr(model, name)} and {getattr(models[0], name)}"
                raise InvalidArgument("models", f"networks with the same {name}", got)


def check_fit(model: Model, stream: Stream) -> None:
    """Check that the model fits the task of `Batches`; the task of another iterator is unknown."""
    if not isinstance(stream, Batches):
        return
    needed = stream.task.shape(stream.length)
    pairs = (
        ("input_size", model.input_size, needed.features),
        ("output_size", model.output_size, needed.outputs),
        ("output_steps", model.output_steps, needed.output_steps),
    )
    for name, got, right in pairs:
        if got != right:
            raise InvalidArgument(f"model.{name}", f"{right} for {stream.task.name} at T = {stream.length}", got)


def chosen_task(task: Any, stream: Stream) -> Task:
    """Return `task`, or by default the task of the batches, or the memory task."""
    if task is None:
        task = getattr(stream, "task", None) or Recall()
    if not isinstance(task, Task):
        raise InvalidArgument("task", "a Task, for example get_task('adding/any')", repr(task))
    return task


def check_mask(loss: Loss, task: Task) -> None:
    """Check that one of memspan's losses is masked if the task marks missing labels with NaN."""
    if isinstance(loss, MeanLoss) and not loss.masked and task.make_loss().masked:
        raise InvalidArgument("loss", f"masked for {task.name}, as {task.make_loss()!r} is", shown(loss))


def check_plain(models: Sequence[Network]) -> None:
    """Check that no model overrides the methods that the compiled engine would not call."""
    for model in models:
        for name in ("forward", "predict", "backpropagate", "inputs"):
            if getattr(type(model), name) is not getattr(Network, name):
                rule = f"'readable' for a network that overrides {name}"
                raise InvalidArgument("engine", rule, f"'compiled' and {type(model).__name__}")


def checked_streams(name: str, streams: Sequence[Iterator[Any]], count: int) -> list[Stream]:
    """Check that each network has its own stream, and wrap plain iterators in `Counted`."""
    if not isinstance(streams, Sequence):
        raise InvalidArgument(name, "a list of iterators, one for each model", repr(streams))
    different = len({id(stream) for stream in streams})
    if len(streams) != count or different < count:
        rule = f"{count} different iterators, one for each model"
        raise InvalidArgument(name, rule, f"{len(streams)} ({different} different)")
    return [as_stream(stream, name) for stream in streams]


def check_held_out(streams: Sequence[Stream], held_out: Sequence[Stream]) -> None:
    """Check that no network is scored on its training sequences, as two streams with the same seed would do."""
    for one, other in zip(streams, held_out, strict=True):
        if not isinstance(one, Batches) or not isinstance(other, Batches):
            continue
        if one.rng is not other.rng and str(one.position) == str(other.position):  # some contain arrays
            rule = "a stream with another seed than batches"
            raise InvalidArgument("evaluation", rule, "one with the same sequences as batches")
