"""The arrays of a checkpoint, and checks that training can have produced the numbers."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from memspan.errors import UnreadableFile
from memspan.runtime.tensors import expect
from memspan.shapes import Array
from memspan.training.history import History


def optimizer_state(path: Path, arrays: dict[str, Array], template: Any) -> Any:
    """Read the optimiser's state, which must have the shapes and dtypes of `template`."""
    found = {
        name: expect(path, arrays, f"optimizer.{name}", like.shape, like.dtype.name)
        for name, like in template._asdict().items()
    }
    if any((array < 0).any() for array in found.values() if array.dtype.kind == "i"):
        raise UnreadableFile(f"{path} contains a negative number of steps.")
    for name, array in found.items():
        if not np.isfinite(array).all() or (name == "square" and (array < 0).any()):
            raise UnreadableFile(f"{path} contains impossible numbers in optimizer.{name}.")
    return type(template)(**found)


def history_of(path: Path, arrays: dict[str, Array], updates: int, *, own_loss: bool, own_task: bool) -> History:
    """Read the history of `updates` updates. A user's own loss or task may have produced any numbers."""
    evaluations = arrays.get("history.evaluated_at", np.zeros(0)).size
    history = History()
    for item in fields(History):
        length = updates if item.name in ("loss", "norm", "clipped_norm") else evaluations
        series = expect(path, arrays, f"history.{item.name}", (length,), "float64")
        if not _is_possible(item.name, series, own_loss=own_loss, own_task=own_task):
            raise UnreadableFile(f"{path} contains impossible numbers in history.{item.name}.")
        setattr(history, item.name, series.tolist())
    if not set(history.evaluated_at) <= set(range(updates + 1)):
        raise UnreadableFile(f"{path} has {updates} updates, but an evaluation at another time.")
    history.evaluated_at = [int(at) for at in history.evaluated_at]
    return history


def _is_possible(name: str, series: Array, *, own_loss: bool, own_task: bool) -> bool:
    """Whether training can have produced these numbers. Divergence ends training before it appends any."""
    match name:
        case "loss":
            return bool(np.isfinite(series).all()) and (own_loss or bool((series >= 0).all()))
        case "norm" | "clipped_norm":
            return bool((np.isfinite(series) & (series >= 0)).all())
        case "evaluation_loss":
            return own_loss or not (series < 0).any()
        case "accuracy":
            return own_task or not ((series < 0) | (series > 1)).any()
    return bool((np.diff(series) >= 0).all())  # evaluated_at
