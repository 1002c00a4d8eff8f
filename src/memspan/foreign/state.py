"""The arrays of which the state of a foreign model consists."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from memspan.foreign.gradients import State
from memspan.shapes import Array


def parts_of(state: State) -> list[Array]:
    """Return the arrays `[B, ...]` of floating-point numbers in a state, from the first to the last."""
    if isinstance(state, dict | tuple | list):
        inner = state.values() if isinstance(state, dict) else state
        return [part for one in inner for part in parts_of(one)]
    return [state] if isinstance(state, np.ndarray) and state.dtype.kind in "fc" else []


def with_parts(state: State, parts: Sequence[Array]) -> State:
    """Return a state with `parts` in place of those of `parts_of`; all else is that of `state`."""
    return _filled(state, iter(parts))


def _filled(state: State, parts: Iterator[Array]) -> Any:
    if isinstance(state, dict):
        return {name: _filled(one, parts) for name, one in state.items()}
    if isinstance(state, tuple | list):
        inner = [_filled(one, parts) for one in state]
        return type(state)(*inner) if hasattr(state, "_fields") else type(state)(inner)
    return next(parts) if parts_of(state) else state
