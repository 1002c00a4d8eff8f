import numpy as np
import pytest
from numba import njit

from memspan.engines.compiled.products import BLOCK, product, transposed_product

SIZES = (
    *((1, 1, 1), (1, 5, 3), (4, 1, 7), (3, 5, 1), (16, 48, 2), (33, 31, 17)),
    *((84, 84, 84), (85, 85, 85)),  # just below BLOCK, and just above
    *((1, 700, 1001), (2003, 16, 64), (7, 2003, 91), (101, 103, 307)),  # each axis is cut
)
"""m, n and k."""

each_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])


@njit
def multiply(A, B, one, beta, C):
    product(A, B, one, beta, C)


@njit
def multiply_transposed(A, B, one, beta, C):
    transposed_product(A, B, one, beta, C)


def part_of(rows, columns, rng, dtype):
    """Whole numbers, whose products and sums are exact in any order; a part of a wider matrix, and that matrix."""
    whole = rng.integers(-8, 9, (rows + 2, columns + 5)).astype(dtype)
    return whole[1 : rows + 1, 3 : columns + 3], whole


def test_the_sizes_lie_on_both_sides_of_the_block():
    assert 84**3 < BLOCK < 85**3


@each_dtype
@pytest.mark.parametrize("beta", [0, 1])
@pytest.mark.parametrize(("m", "n", "k"), SIZES)
def test_product_of_parts_of_matrices(m, n, k, beta, dtype):
    rng = np.random.default_rng(m + n + k)
    (A, _), (B, _), (C, around) = (part_of(*shape, rng, dtype) for shape in ((m, k), (k, n), (m, n)))
    if beta == 0:
        C[:] = np.nan  # what is there must not be read
    expected = around.copy()
    expected[1 : m + 1, 3 : n + 3] = A @ B + C if beta else A @ B
    multiply(A, B, np.ones(1, dtype), np.full(1, beta, dtype), C)
    np.testing.assert_array_equal(around, expected)


@each_dtype
@pytest.mark.parametrize("beta", [0, 1])
@pytest.mark.parametrize(("m", "n", "k"), SIZES)
def test_transposed_product_of_parts_of_matrices(m, n, k, beta, dtype):
    rng = np.random.default_rng(m + n + k)
    (A, _), (B, _), (C, around) = (part_of(*shape, rng, dtype) for shape in ((k, m), (k, n), (m, n)))
    if beta == 0:
        C[:] = np.nan
    expected = around.copy()
    expected[1 : m + 1, 3 : n + 3] = A.T @ B + C if beta else A.T @ B
    multiply_transposed(A, B, np.ones(1, dtype), np.full(1, beta, dtype), C)
    np.testing.assert_array_equal(around, expected)


@each_dtype
def test_product_of_whole_matrices(dtype):
    rng = np.random.default_rng(0)
    A, B, C = (rng.integers(-8, 9, shape).astype(dtype) for shape in ((9, 200), (200, 500), (9, 500)))
    expected = C + A @ B
    multiply(A, B, np.ones(1, dtype), np.ones(1, dtype), C)
    np.testing.assert_array_equal(C, expected)
    multiply_transposed(np.ascontiguousarray(A.T), B, np.ones(1, dtype), np.zeros(1, dtype), C)
    np.testing.assert_array_equal(C, A @ B)


def test_nothing_is_done_outside_kernels():
    one, A = np.ones(1), np.ones((2, 2))
    for function in (product, transposed_product):
        with pytest.raises(NotImplementedError):
            function(A, A, one, one, A)
