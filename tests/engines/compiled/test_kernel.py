import math

import numpy as np
import pytest
from numba import njit

from memspan.engines.compiled.compiling import OPTIONS
from memspan.engines.compiled.kernel import measure_norms

WIDTH = 16


@pytest.fixture(scope="module")
def norms():
    compiled = njit(**OPTIONS)(lambda values, width, found: measure_norms(values, width, found))

    def measure(values):
        """The norms of the rows; a column that does not belong to them is NaN."""
        found = np.empty(len(values))
        compiled(np.pad(values, ((0, 0), (0, 3)), constant_values=np.nan), WIDTH, found)
        return found

    return measure


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_norms_are_exact_for_numbers_of_any_size(norms, dtype):
    """Squares of 1e-30 are 0 in float32, and those of 1e-200 in float64."""
    sizes = [1.0, 1e-30, 1e30, *([1e-200, 1e200, 1e-300] if dtype == np.float64 else [])]
    values = np.random.default_rng(0).normal(size=(len(sizes), WIDTH)) * np.array(sizes)[:, np.newaxis]
    values = values.astype(dtype)
    expected = [math.hypot(*row) for row in values.tolist()]
    np.testing.assert_allclose(norms(values), expected, rtol=1e-14)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_zero_stays_zero_and_what_is_not_finite_stays_so(norms, dtype):
    values = np.zeros((6, WIDTH), dtype)
    values[1, 3] = -2.0
    values[2, 5] = -np.inf
    values[3, 7] = np.nan
    values[4] = np.nan
    values[5, :2] = np.nan, np.inf
    np.testing.assert_array_equal(norms(values), [0, 2, np.inf, np.nan, np.nan, np.nan])
