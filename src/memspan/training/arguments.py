"""Checks of what an ensemble is made of."""

from collections.abc import Iterator, Sequence
from typing import Any

from memspan.errors import InvalidArgument, shown
from memspan.losses import Loss, MeanLoss
from memspan.network import Network
from memspan.tasks import Counted, Task
from memspan.training.member import Stream


def check_loss(loss: Loss) -> None:
    """It has the two methods of a loss."""
    for name in ("forward", "backward"):
        if not callable(getattr(loss, name, None)):
            raise InvalidArgument("loss", f"an object with a method {name}", shown(loss))


def check_alike(models: Sequence[Network]) -> None:
    """All are real networks that differ in nothing but their weights."""
    for model in models:
        if not isinstance(model, Network) or model.dtype.kind != "f":  # type: ignore[redundant-expr]
            raise InvalidArgument("model", "a Network of float32 or float64", shown(model))
    if not models or len({id(model) for model in models}) < len(models):
        raise InvalidArgument("models", "at least one network, and none of them twice", f"{len(models)} of them")
    for model in models[1:]:
        for name in ("layout", "dtype", "output_steps"):
            if getattr(model, name) != getattr(models[0], name):
                got = f"{getattr(model, name)} and {getattr(models[0], name)}"
                raise InvalidArgument("models", f"of one {name}", got)


def check_mask(loss: Loss, task: Task) -> None:
    """Where the task leaves labels out, as NaN, a loss of memspan's must be masked."""
    if isinstance(loss, MeanLoss) and not loss.masked and task.make_loss().masked:
        raise InvalidArgument("loss", f"masked for {task.name}, as {task.make_loss()!r} is", shown(loss))


def check_plain(models: Sequence[Network]) -> None:
    """The compiled engine does not call a network's methods, so none of these may have been overridden."""
    for model in models:
        for name in ("forward", "predict", "backpropagate", "inputs"):
            if getattr(type(model), name) is not getattr(Network, name):
                rule = f"'readable' for a network with its own {name}"
                raise InvalidArgument("engine", rule, f"'compiled' and {type(model).__name__}")


def checked_streams(name: str, streams: Sequence[Iterator[Any]], count: int) -> list[Stream]:
    """One for each network, none of them twice; a plain iterator is wrapped in `Counted`."""
    different = len({id(stream) for stream in streams})
    if len(streams) != count or different < count:
        rule = f"one iterator for each of the {count} models, and none of them twice"
        raise InvalidArgument(name, rule, f"{len(streams)}, {different} of them different")
    return [stream if isinstance(stream, Stream) else Counted(stream, name) for stream in streams]
