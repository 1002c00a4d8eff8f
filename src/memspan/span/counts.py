"""Counts of solved trainings, checked and merged."""

from typing import Any

import numpy as np

from memspan.errors import InvalidArgument, plain_array


def merged_counts(lengths: Any, solved: Any, trials: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Check counts; return them as floats, sorted by length, one for each length that has trials.

    Raises
    ------
    InvalidArgument
        If they are no counts, or if there are no trials at all.
    """
    lengths = _row("lengths", lengths)
    solved, trials = (
        _whole(name, value, len(lengths)) for name, value in (("solved", solved), ("trials", trials))
    )
    if not np.all((lengths > 0) & np.isfinite(lengths)):
        raise InvalidArgument("lengths", "finite numbers above 0", lengths)
    if np.any(solved > trials):
        wrong = int(np.argmax(solved > trials))
        got = f"{solved[wrong]:g} of {trials[wrong]:g} at length {lengths[wrong]:g}"
        raise InvalidArgument("solved", "at most the trials of each length", got)
    if not np.any(trials):
        raise InvalidArgument("trials", "at least 1 at some length", "none")
    tried, place = np.unique(lengths[trials > 0], return_inverse=True)
    counts = (np.bincount(place, count[trials > 0]) for count in (solved, trials))
    return tried, *counts  # type: ignore[return-value]


def _row(name: str, value: Any) -> np.ndarray:
    """Return `value` as floats; raise unless it is a row of numbers."""
    values = plain_array(name, value)
    if values.ndim != 1 or values.dtype.kind not in "iuf":
        got = value if values.ndim != 1 or values.dtype.kind not in "OSU" else f"dtype {values.dtype}"
        raise InvalidArgument(name, "a one-dimensional array of numbers", got)
    return values.astype(float)


def _whole(name: str, value: Any, count: int) -> np.ndarray:
    """Return `value` as floats; raise unless it is a whole number of at least 0 for each length."""
    values = plain_array(name, value)
    values = _row(name, np.full(count, values) if name == "trials" and values.ndim == 0 else value)
    if len(values) != count:
        raise InvalidArgument(name, f"{count} numbers, one for each length", f"{len(values)}")
    if not np.all((values >= 0) & (values == np.floor(values)) & np.isfinite(values)):
        raise InvalidArgument(name, "whole numbers of at least 0", values)
    return values
