"""Tuples of any length in kernels: Numba needs their length to be written out.

`VIEWS[n](row, width)` cuts a row into n parts, `LOAD[n](parts, h)` takes element h of each, `STORE[n](parts, h,
values)` writes them, `ADD[n]` adds to them. (Only written out like this do the loops over h vectorise: with an index
that is computed, `row[g * width + h]`, Numba must ask whether it is negative.)
"""

from typing import Any

Row = Any
Parts = tuple[Any, ...]


def _views0(row: Row, width: int) -> Parts:
    return ()


def _views1(row: Row, width: int) -> Parts:
    return (row[:width],)


def _views2(row: Row, width: int) -> Parts:
    return (row[:width], row[width : 2 * width])


def _views3(row: Row, width: int) -> Parts:
    return (row[:width], row[width : 2 * width], row[2 * width : 3 * width])


def _views4(row: Row, width: int) -> Parts:
    return (row[:width], row[width : 2 * width], row[2 * width : 3 * width], row[3 * width : 4 * width])


def _views5(row: Row, width: int) -> Parts:
    return (
        row[:width],
        row[width : 2 * width],
        row[2 * width : 3 * width],
        row[3 * width : 4 * width],
        row[4 * width : 5 * width],
    )


def _load0(parts: Parts, h: int) -> Parts:
    return ()


def _load1(parts: Parts, h: int) -> Parts:
    return (parts[0][h],)


def _load2(parts: Parts, h: int) -> Parts:
    return (parts[0][h], parts[1][h])


def _load3(parts: Parts, h: int) -> Parts:
    return (parts[0][h], parts[1][h], parts[2][h])


def _load4(parts: Parts, h: int) -> Parts:
    return (parts[0][h], parts[1][h], parts[2][h], parts[3][h])


def _load5(parts: Parts, h: int) -> Parts:
    return (parts[0][h], parts[1][h], parts[2][h], parts[3][h], parts[4][h])


def _store0(parts: Parts, h: int, values: Parts) -> None:
    pass


def _store1(parts: Parts, h: int, values: Parts) -> None:
    parts[0][h] = values[0]


def _store2(parts: Parts, h: int, values: Parts) -> None:
    parts[0][h] = values[0]
    parts[1][h] = values[1]


def _store3(parts: Parts, h: int, values: Parts) -> None:
    parts[0][h] = values[0]
    parts[1][h] = values[1]
    parts[2][h] = values[2]


def _store4(parts: Parts, h: int, values: Parts) -> None:
    parts[0][h] = values[0]
    parts[1][h] = values[1]
    parts[2][h] = values[2]
    parts[3][h] = values[3]


def _store5(parts: Parts, h: int, values: Parts) -> None:
    parts[0][h] = values[0]
    parts[1][h] = values[1]
    parts[2][h] = values[2]
    parts[3][h] = values[3]
    parts[4][h] = values[4]


def _add0(parts: Parts, h: int, values: Parts) -> None:
    pass


def _add1(parts: Parts, h: int, values: Parts) -> None:
    parts[0][h] += values[0]


def _add2(parts: Parts, h: int, values: Parts) -> None:
    parts[0][h] += values[0]
    parts[1][h] += values[1]


def _add3(parts: Parts, h: int, values: Parts) -> None:
    parts[0][h] += values[0]
    parts[1][h] += values[1]
    parts[2][h] += values[2]


def _add4(parts: Parts, h: int, values: Parts) -> None:
    parts[0][h] += values[0]
    parts[1][h] += values[1]
    parts[2][h] += values[2]
    parts[3][h] += values[3]


def _add5(parts: Parts, h: int, values: Parts) -> None:
    parts[0][h] += values[0]
    parts[1][h] += values[1]
    parts[2][h] += values[2]
    parts[3][h] += values[3]
    parts[4][h] += values[4]


VIEWS = (_views0, _views1, _views2, _views3, _views4, _views5)
LOAD = (_load0, _load1, _load2, _load3, _load4, _load5)
STORE = (_store0, _store1, _store2, _store3, _store4, _store5)
ADD = (_add0, _add1, _add2, _add3, _add4, _add5)
