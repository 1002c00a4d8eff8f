"""What a kernel works with: sizes, weights, buffers and data, as named tuples, which Numba understands."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Inexact, Int

Offsets = tuple[int, ...]
"""Where in a row the columns of each gate, or of each state, begin."""


class Sizes(NamedTuple):
    """Lengths of axes, and where the columns of gates and states begin; no more than kernels use, at every call.

    `width` is H, padded. `segment` is how many steps are traced at once, `block` how many one product for the
    gradients takes. Of the states R reads the first `read` columns, and R itself has `recurrent`. Of the
    pre-activations, R feeds the columns `first` to `last` from the states, and those from `last` on from q, which
    is column `q` of the residuals. The rest are offsets, one for each gate, state and so on; `early` are the gates
    before `last`.
    """

    time: int
    batch: int
    output_steps: int
    hidden: int
    width: int
    segment: int
    block: int
    read: int
    recurrent: int
    first: int
    last: int
    q: int
    gates: Offsets
    early: Offsets
    states: Offsets
    residuals: Offsets
    unit_weights: Offsets
    constants: Offsets


class Data(NamedTuple):
    """Batches and answers of some models."""

    x: Inexact[np.ndarray, "models time batch features+1"]
    y: Inexact[np.ndarray, "models output_steps batch outputs"]
    y_hat: Inexact[np.ndarray, "models output_steps batch outputs"]
    d_y_hat: Inexact[np.ndarray, "models output_steps batch outputs"]


# Three tuples, and not one of all their arrays: where a field is taken out of a tuple Numba has LLVM read all of
# it, and a function that is called gets all of it.


class Model(NamedTuple):
    """The weights of one model, padded with zeros; and numbers that BLAS and the cell want in the dtype.

    The last row of W is the bias: the last column of every x is 1. The matrices are parts of `padded`; for `runs`
    see `memspan.engines.compiled.packing`.
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
    """What a forward pass writes: rows are steps times batch, columns gates or states of `width` side by side."""

    states: Inexact[np.ndarray, "(segment+1)*batch states*width"]
    residuals: Inexact[np.ndarray, "segment*batch residuals*width"]
    checkpoints: Inexact[np.ndarray, "segments*batch states*width"]
    s: Inexact[np.ndarray, "batch gates*width"]
    q: Inexact[np.ndarray, "batch width"]


class Gradient(NamedTuple):
    """What a backward pass writes, in rows and columns as `Tape` has them; and first R and V turned over."""

    padded: Inexact[np.ndarray, "padded"]
    d_W: Inexact[np.ndarray, "features+1 gates*width"]
    d_R: Inexact[np.ndarray, "reads*width recurrent*width"]
    d_V: Inexact[np.ndarray, "width outputs"]
    d_U: Inexact[np.ndarray, "1 unit_weights*width"]
    d_by: Inexact[np.ndarray, "1 outputs"]
    d_s: Inexact[np.ndarray, "block*batch gates*width"]
    d_state: Inexact[np.ndarray, "batch states*width"]
    R_T: Inexact[np.ndarray, "recurrent*width reads*width"]
    V_T: Inexact[np.ndarray, "outputs width"]
