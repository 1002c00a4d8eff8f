"""Copy the weights of a model from the flat vector into padded matrices, and the gradient back.

In the flat vector of `memspan.engines.parameters.Layout` a row has H numbers for each gate; in a padded matrix it
has `width`. The padded matrices are also parts of one vector. Unpacking therefore copies runs of numbers from one
vector to the other, and `runs_of` lists the runs. (Loops over the matrices in the kernel would take a second to
compile.)
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Inexact, Int

from memspan.engines.compiled.structures import Gradient, Model, Sizes
from memspan.engines.parameters import Layout
from memspan.shapes import Array, Flat

Runs = Int[np.ndarray, "runs 3"]
"""For each run its start in the flat vector, its start in the padded vector, and its length."""


class Padded(NamedTuple):
    """The padded matrices, as parts of one vector; the last row of W is the bias."""

    W: Inexact[np.ndarray, "features+1 gates*width"]
    R: Inexact[np.ndarray, "reads*width recurrent*width"]
    V: Inexact[np.ndarray, "width outputs"]
    U: Inexact[np.ndarray, "1 unit_weights*width"]
    by: Inexact[np.ndarray, "1 outputs"]


def padded(vector: Array, shapes: Sequence[tuple[int, ...]]) -> Padded:
    """Return matrices of the given shapes as views into `vector`."""
    ends = np.cumsum([np.prod(shape, dtype=int) for shape in shapes])
    parts = np.split(vector, ends[:-1])
    return Padded(*(part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)))


def runs_of(layout: Layout, width: int, shapes: Sequence[tuple[int, ...]]) -> Runs:
    """List the runs in the order of the flat vector, for padded matrices of the given shapes."""
    cell, F, H, O = layout.cell, layout.features, layout.hidden, layout.outputs
    places = np.arange(sum(rows * columns for rows, columns in shapes))
    W, R, V, U, by = padded(places, shapes)
    rows_of_R = [read * width + h for read in range(len(cell.reads)) for h in range(H)]
    begins_and_length = (
        (W[:F, : len(cell.input_gates) * width : width], H),
        (R[rows_of_R, : len(cell.recurrent_gates) * width : width], H),
        (W[F:, : len(cell.gates) * width : width], H),
        (V[:H, 0], O),
        (by[:, 0], O),
        (U[:, : len(cell.unit_weights) * width : width], H),
    )
    begins = np.concatenate([begins.ravel() for begins, _ in begins_and_length])
    lengths = np.concatenate([np.full(begins.size, length) for begins, length in begins_and_length])
    return np.stack([np.cumsum(lengths) - lengths, begins, lengths], axis=1)


def unpack(flat: Flat, model: Model, sizes: Sizes) -> None:
    """Copy the flat weights into the padded matrices. Only inside kernels."""
    for run in range(model.runs.shape[0]):
        narrow, wide, length = model.runs[run, 0], model.runs[run, 1], model.runs[run, 2]
        copy(flat[narrow : narrow + length], model.padded[wide : wide + length])
    U, width = model.U, sizes.width
    for begin in range(0, U.shape[1], width):
        for h in range(begin + sizes.hidden, begin + width):
            U[0, h] = U[0, begin]  # a cell may divide by unit weights, and zeros would give NaN


def pack(gradient: Gradient, runs: Runs, flat: Flat) -> None:
    """Copy the padded gradient into the flat gradient. Only inside kernels."""
    for run in range(runs.shape[0]):
        narrow, wide, length = runs[run, 0], runs[run, 1], runs[run, 2]
        copy(gradient.padded[wide : wide + length], flat[narrow : narrow + length])


def copy(numbers: Array, into: Array) -> None:
    """`into[:] = numbers`, in a loop: for the assignment Numba would take seconds to compile an error message."""
    for i in range(numbers.shape[0]):
        into[i] = numbers[i]
