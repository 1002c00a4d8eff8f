"""Messages on standard error, if the program has one."""

import sys
import zlib
from contextlib import suppress
from typing import Any

MARKS = 64
"""The number of different lines that `say_once` remembers; it prints no others."""


def say(line: str) -> None:
    """Print a line on standard error, and ignore failures, so that they do not end the computation.

    A program may have no standard error (`2>&-`, or `pythonw`), the disk may be full, the terminal closed.
    """
    if sys.stderr is not None:
        with suppress(OSError, ValueError):
            print(line, file=sys.stderr, flush=True)


def say_once(line: str) -> None:
    """Print a line unless this process, or one that shares its marks, has already printed it."""
    mark = zlib.crc32(line.encode()) + 1
    for place, found in enumerate(_here.marks):
        if found == mark:
            return
        if not found:
            _here.marks[place] = mark
            say(line)
            return


def share_marks(marks: Any) -> None:
    """Keep the marks in shared memory (`MARKS` integers), so that several processes print a line only once."""
    _here.marks = marks


class _Here:
    """The marks (checksums) of the lines that `say_once` has printed."""

    marks: Any = [0] * MARKS


_here = _Here()
