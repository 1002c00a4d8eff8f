"""The roofline: a lower bound on the time of a pass, from its operations and the best rates of the processor.

A pass computes matrix products with R, and for each gate one tanh forward and one backward. Both rates are
measured under the best conditions: a product of two matrices of 1024 x 1024 in the BLAS that the kernels call, and
the kernels' tanh over numbers in the cache.
"""

import numpy as np
from numba import njit
from scipy.linalg.blas import sgemm

from memspan.bench.case import Case, Pass, Passes
from memspan.cells.activations import tanh
from memspan.engines.compiled.compiling import OPTIONS
from memspan.engines.compiled.processor import prefer_widest_vectors
from memspan.shapes import Array

WIDTH = 1024  # rows and columns of the matrices
COUNT = 2**14  # numbers in one call of tanh


def each_tanh(x: Array, out: Array) -> None:
    """Apply the kernels' tanh to an array. Numba compiles this function."""
    prefer_widest_vectors()
    for i in range(x.size):
        out[i] = tanh(x[i])


def roofline(case: Case) -> Passes:
    """Return the two parts of the roofline. A call counts as the number of models that have its operations."""
    rng = np.random.default_rng(0)
    A, B, C = (np.asfortranarray(rng.standard_normal((WIDTH, WIDTH), np.float32)) for _ in range(3))
    x = rng.standard_normal(COUNT, np.float32)
    out, compiled = np.empty_like(x), njit(**OPTIONS)(each_tanh)
    passes = {"tanh": Pass(lambda: compiled(x, out), models=COUNT / case.transcendentals)}
    if case.product_operations:
        share = 2 * WIDTH**3 / case.product_operations
        passes["products"] = Pass(lambda: sgemm(1, A, B, 0, C, overwrite_c=True), models=share)
    return passes
