"""Tuples of any length in kernels, written out: Numba has no loop over them.

`LOAD[n](array, at, width)` takes the elements `at`, `at + width`, ... of an array as if it had one axis;
`STORE[n]` writes them. Both tell LLVM what it could only find out by asking before every row: that what is stored
is nowhere loaded from (`memspan.kernels.processor.load`). Within a row of a loop over units this must be so.
`LOAD_OWN[n]` may load where `STORE_OWN[n]` stores, at the same index. `ADD[n]` adds, and promises nothing.
"""

from typing import Any

from memspan.kernels.processor import load, load_own, store

Values = tuple[Any, ...]


def _load0(array: Any, at: int, width: int) -> Values:
    return ()


def _load_own0(array: Any, at: int, width: int) -> Values:
    return ()


def _store_own0(array: Any, at: int, width: int, values: Values) -> None:
    pass


def _store0(array: Any, at: int, width: int, values: Values) -> None:
    pass


def _add0(array: Any, at: int, width: int, values: Values) -> None:
    pass


def _load1(array: Any, at: int, width: int) -> Values:
    return (load(array, at),)


def _load_own1(array: Any, at: int, width: int) -> Values:
    return (load_own(array, at),)


def _store_own1(array: Any, at: int, width: int, values: Values) -> None:
    store(array, at, values[0], 0)


def _store1(array: Any, at: int, width: int, values: Values) -> None:
    store(array, at, values[0], 5)


def _add1(array: Any, at: int, width: int, values: Values) -> None:
    array[at] += values[0]


def _load2(array: Any, at: int, width: int) -> Values:
    return (load(array, at), load(array, at + width))


def _load_own2(array: Any, at: int, width: int) -> Values:
    return (load_own(array, at), load_own(array, at + width))


def _store_own2(array: Any, at: int, width: int, values: Values) -> None:
    store(array, at, values[0], 0)
    store(array, at + width, values[1], 1)


def _store2(array: Any, at: int, width: int, values: Values) -> None:
    store(array, at, values[0], 5)
    store(array, at + width, values[1], 6)


def _add2(array: Any, at: int, width: int, values: Values) -> None:
    array[at] += values[0]
    array[at + width] += values[1]


def _load3(array: Any, at: int, width: int) -> Values:
    return (load(array, at), load(array, at + width), load(array, at + 2 * width))


def _load_own3(array: Any, at: int, width: int) -> Values:
    return (load_own(array, at), load_own(array, at + width), load_own(array, at + 2 * width))


def _store_own3(array: Any, at: int, width: int, values: Values) -> None:
    store(array, at, values[0], 0)
    store(array, at + width, values[1], 1)
    store(array, at + 2 * width, values[2], 2)


def _store3(array: Any, at: int, width: int, values: Values) -> None:
    store(array, at, values[0], 5)
    store(array, at + width, values[1], 6)
    store(array, at + 2 * width, values[2], 7)


def _add3(array: Any, at: int, width: int, values: Values) -> None:
    array[at] += values[0]
    array[at + width] += values[1]
    array[at + 2 * width] += values[2]


def _load4(array: Any, at: int, width: int) -> Values:
    return (load(array, at), load(array, at + width), load(array, at + 2 * width), load(array, at + 3 * width))


def _load_own4(array: Any, at: int, width: int) -> Values:
    return (
        load_own(array, at),
        load_own(array, at + width),
        load_own(array, at + 2 * width),
        load_own(array, at + 3 * width),
    )


def _store_own4(array: Any, at: int, width: int, values: Values) -> None:
    store(array, at, values[0], 0)
    store(array, at + width, values[1], 1)
    store(array, at + 2 * width, values[2], 2)
    store(array, at + 3 * width, values[3], 3)


def _store4(array: Any, at: int, width: int, values: Values) -> None:
    store(array, at, values[0], 5)
    store(array, at + width, values[1], 6)
    store(array, at + 2 * width, values[2], 7)
    store(array, at + 3 * width, values[3], 8)


def _add4(array: Any, at: int, width: int, values: Values) -> None:
    array[at] += values[0]
    array[at + width] += values[1]
    array[at + 2 * width] += values[2]
    array[at + 3 * width] += values[3]


def _load5(array: Any, at: int, width: int) -> Values:
    return (
        load(array, at),
        load(array, at + width),
        load(array, at + 2 * width),
        load(array, at + 3 * width),
        load(array, at + 4 * width),
    )


def _load_own5(array: Any, at: int, width: int) -> Values:
    return (
        load_own(array, at),
        load_own(array, at + width),
        load_own(array, at + 2 * width),
        load_own(array, at + 3 * width),
        load_own(array, at + 4 * width),
    )


def _store_own5(array: Any, at: int, width: int, values: Values) -> None:
    store(array, at, values[0], 0)
    store(array, at + width, values[1], 1)
    store(array, at + 2 * width, values[2], 2)
    store(array, at + 3 * width, values[3], 3)
    store(array, at + 4 * width, values[4], 4)


def _store5(array: Any, at: int, width: int, values: Values) -> None:
    store(array, at, values[0], 5)
    store(array, at + width, values[1], 6)
    store(array, at + 2 * width, values[2], 7)
    store(array, at + 3 * width, values[3], 8)
    store(array, at + 4 * width, values[4], 9)


def _add5(array: Any, at: int, width: int, values: Values) -> None:
    array[at] += values[0]
    array[at + width] += values[1]
    array[at + 2 * width] += values[2]
    array[at + 3 * width] += values[3]
    array[at + 4 * width] += values[4]


LOAD = (_load0, _load1, _load2, _load3, _load4, _load5)
LOAD_OWN = (_load_own0, _load_own1, _load_own2, _load_own3, _load_own4, _load_own5)
STORE = (_store0, _store1, _store2, _store3, _store4, _store5)
STORE_OWN = (_store_own0, _store_own1, _store_own2, _store_own3, _store_own4, _store_own5)
ADD = (_add0, _add1, _add2, _add3, _add4, _add5)
