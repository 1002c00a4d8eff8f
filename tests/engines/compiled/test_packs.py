import numpy as np
import pytest
from numba import njit
from numba.core.errors import TypingError

from memspan.engines.compiled.packs import SCOPES, add, load, load_updated, new_rows, store, store_updated

WIDTH = 48
MANY = 2 * SCOPES + 3  # more rows than there are scopes for
each_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])
each_number = pytest.mark.parametrize("number", [0, 1, 2, 5, MANY])


@njit
def move(source, offsets, copied, updated, sums, rows):
    """Copy each row, leave in `updated` twice what was there, and add up in the first row of `sums`."""
    to_next = source.shape[1]
    for b in range(rows):
        new_rows()
        row = b * to_next
        for h in range(WIDTH):
            values, before = load(source, row + h, offsets), load_updated(updated, row + h, offsets)
            store(copied, row + h, offsets, values)
            store_updated(updated, row + h, offsets, before)
            add(updated, row + h, offsets, before)
            add(sums, h, offsets, values)


@each_dtype
@each_number
def test_what_is_moved(number, dtype):
    """Against NumPy, whole numbers, with rows of one kind between those of another."""
    rng, rows, shape = np.random.default_rng(0), 3, (3, max(number, 1) * WIDTH + 7)
    source, updated = (rng.integers(-9, 10, shape).astype(dtype) for _ in range(2))
    copied, sums, twice = np.zeros(shape, dtype), np.zeros((1, shape[1]), dtype), updated.copy()
    move(source, tuple(WIDTH * k for k in range(number)), copied, updated, sums, rows)
    columns = number * WIDTH
    twice[:, :columns] *= 2
    np.testing.assert_array_equal(updated, twice)
    np.testing.assert_array_equal(copied[:, :columns], source[:, :columns])
    np.testing.assert_array_equal(sums[0, :columns], source[:, :columns].sum(axis=0))
    assert not copied[:, columns:].any()
    assert not sums[:, columns:].any()


@njit
def put(array, offsets, values):
    store(array, 0, offsets, values)


def test_a_cells_literal_takes_the_dtype_of_the_array():
    array = np.ones(3, np.float32)
    put(array, (0, 2), (0.0, 0.1))
    np.testing.assert_array_equal(array, np.array([0, 1, 0.1], np.float32))


@pytest.mark.parametrize("values", [(), (1.0,), (1.0, 2.0, 3.0)])
def test_as_many_values_as_names(values):
    with pytest.raises(TypingError, match=rf"returns {len(values)} values but names 2"):
        put(np.ones(3), (0, 2), values)


@njit
def swap(array, offsets, rows):
    """In place; the rows of each number lie between those of the other."""
    for b in range(rows):
        new_rows()
        row = b * array.shape[1]
        for h in range(WIDTH):
            x, y = load_updated(array, row + h, offsets)
            store_updated(array, row + h, offsets, (y, x))


@njit
def swap_without_promise(array, offsets, rows):
    first, second = offsets
    for b in range(rows):
        for h in range(WIDTH):
            x, y = array[b, first + h], array[b, second + h]
            array[b, first + h], array[b, second + h] = y, x


def test_llvm_makes_vectors_and_asks_nothing():
    """What it would ask, before all rows at once, is answered with no, and then nothing is a vector any more."""
    array, offsets = np.arange(4.0 * 2 * WIDTH, dtype=np.float32).reshape(4, 2 * WIDTH), (0, WIDTH)
    swapped = np.roll(array, WIDTH, axis=1)
    swap(array, offsets, 4)
    np.testing.assert_array_equal(array, swapped)
    (code,) = swap.inspect_llvm().values()
    assert " x float>" in code
    assert "conflict" not in code  # what LLVM calls the outcome of its questions
    swap_without_promise(array, offsets, 4)
    (code,) = swap_without_promise.inspect_llvm().values()
    assert " x float>" not in code or "conflict" in code
