"""Elements of a weight: the gate of an element, and the element where two gradients differ most."""

import numpy as np
from jaxtyping import Float

from memspan.gradcheck.oracle import RECURRENT
from memspan.gradcheck.report import Comparison, relative
from memspan.network import Network
from memspan.shapes import Array


def compare(
    weight: str,
    scope: str,
    analytical: Float[np.ndarray, "*shape"],
    oracle: Float[np.ndarray, "*shape"],
    scale: float,
    allowed: float,
) -> Comparison:
    """Compare two arrays at the element where they differ most."""
    difference = np.abs(analytical - oracle)
    index = index_of(int(difference.argmax()), difference.shape)
    error = float(relative(difference[index], scale))
    return Comparison(
        weight,
        scope,
        bool(error <= allowed),
        error,
        float(allowed),
        index,
        analytical=float(analytical[index]),
        oracle=float(oracle[index]),
    )


def rows_of(name: str, gradient: Array) -> Float[np.ndarray, "time rows columns"]:
    """Return a per-step gradient as `[T, rows, columns]` with the columns of s last; `bs` is transposed."""
    gradient = gradient.astype(np.float64)
    if name == "U":
        return gradient.reshape(len(gradient), 1, -1)
    return gradient.transpose(0, 2, 1) if name == "bs" else gradient


def place_of(name: str, index: tuple[int, ...], model: Network) -> tuple[int, ...]:
    """Convert an index into `rows_of` to an index into the weight."""
    if name == "U":
        return divmod(index[1], model.hidden_size)
    return index[::-1] if name == "bs" else index


def gate_of(model: Network, name: str, index: tuple[int, ...]) -> str | None:
    """Return the gate of a column of W or R or of a row of bs, or the name of a unit weight in U."""
    if name not in RECURRENT or not index:
        return None
    if name == "U":
        return model.cell.unit_weights[index[0]]
    cell = model.cell
    gates = {"W": cell.input_gates, "R": cell.recurrent_gates, "bs": cell.gates}[name]
    return gates[index[0 if name == "bs" else 1] // model.hidden_size]


def index_of(flat: int, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Convert a flat index to an index into an array of the given shape."""
    return tuple(int(i) for i in np.unravel_index(flat, shape))
