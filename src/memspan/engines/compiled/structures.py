"""The arguments of a kernel: sizes, weights, buffers and data, as named tuples, which Numba can compile."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Inexact, Int


class Sizes(NamedTuple):
    """Lengths of axes, and first columns; only those that kernels use, to keep calls fast.

    `truncate` is the number of steps through which the gradient of an output goes back, at most T. `windows` is
    the largest number of gradients that go back through the same step but end at different steps, and are
    therefore kept apart.
    `width` is H, padded. `segment` is the number of steps whose trace is kept at once, and `block` the number of
    steps in one product for the gradients. R reads the first `read` columns of the states and has `recurrent`
    columns. The gates have `columns` columns of the pre-activations. R feeds those from `first` to `last` from the
    states, and those from `last` on from q, which begins at column `q` of the residuals.
    """

    time: int
    batch: int
    output_steps: int
    truncate: int
    windows: int
    hidden: int
    width: int
    segment: int
    block: int
    read: int
    recurrent: int
    columns: int
    first: int
    last: int
    q: int


Columns = tuple[int, ...]
"""The first column of each gate, or of each state, in a row."""


class Offsets(NamedTuple):
    """The first columns of all gates, states and so on. `early` are the gates that q does not feed.

    Their numbers depend on the cell, and so does the type of this tuple. A function that takes it is compiled for
    each cell again, which takes time. `Sizes` has the same type for all cells.
    """

    gates: Columns
    early: Columns
    states: Columns
    residuals: Columns
    unit_weights: Columns
    constants: Columns


def first_step(time: int, output_steps: int, truncate: int) -> int:
    """The first step that contributes to the gradient: the last `output_steps` go back `truncate` steps each."""
    return max(0, time - output_steps - truncate + 1)


class Data(NamedTuple):
    """Batches and predictions of several models."""

    x: Inexact[np.ndarray, "models time batch features+1"]
    y: Inexact[np.ndarray, "models output_steps batch outputs"]
    y_hat: Inexact[np.ndarray, "models output_steps batch outputs"]
    d_y_hat: Inexact[np.ndarray, "models output_steps batch outputs"]


class Norms(NamedTuple):
    """‖dL/da[t]‖ of every sample, and for each model the row of `values` that receives it, -1 for none."""

    values: Float[np.ndarray, "measured time batch"]
    places: Int[np.ndarray, "models"]


# Three tuples instead of one, because reading a field makes Numba load the whole tuple, and a call passes all of
# it.


class Model(NamedTuple):
    """The weights of one model, padded with zeros, and the constants of BLAS and the cell in the engine's dtype.

    The last row of W is the bias: the last column of every x is 1. The matrices are parts of `padded`.
    `memspan.engines.compiled.packing` explains `runs`.
    """

    padded: Inexact[np.ndarray, "padded"]
    W: Inexact[np.ndarray, "features+1 gates*width"]
    R: Inexact[np.ndarray, "reads*width recurrent*width"]
    V: Inexact[np.ndarray, "width outputs"]
    U: Inexact[np.ndarray, "1 unit_weights*width"]
    by: Inexact[np.ndarray, "1 outputs"]
    runs: Int[np.ndarray, "runs 3"]
    one: Inexact[np.ndarray, "1"]
    zero: Inexact[np.ndarray, "1"]
    constants: Inexact[np.ndarray, "constants"]


class Tape(NamedTuple):
    """The arrays of a forward pass: rows are steps times batch, columns are gates or states of `width` each."""

    states: Inexact[np.ndarray, "(segment+1)*batch states*width"]
    residuals: Inexact[np.ndarray, "segment*batch residuals*width"]
    checkpoints: Inexact[np.ndarray, "segments*batch states*width"]
    s: Inexact[np.ndarray, "batch gates*width"]
    q: Inexact[np.ndarray, "batch width"]


class Gradient(NamedTuple):
    """The arrays of a backward pass, with rows and columns as in `Tape`; R_T and V_T are R and V transposed."""

    padded: Inexact[np.ndarray, "padded"]
    d_W: Inexact[np.ndarray, "features+1 gates*width"]
    d_R: Inexact[np.ndarray, "reads*width recurrent*width"]
    d_V: Inexact[np.ndarray, "width outputs"]
    d_U: Inexact[np.ndarray, "1 unit_weights*width"]
    d_by: Inexact[np.ndarray, "1 outputs"]
    d_s: Inexact[np.ndarray, "block*batch gates*width"]
    d_state: Inexact[np.ndarray, "windows*batch states*width"]
    R_T: Inexact[np.ndarray, "recurrent*width reads*width"]
    V_T: Inexact[np.ndarray, "outputs width"]
