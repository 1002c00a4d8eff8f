"""Lines for people on standard error, where there is one."""

import sys
import zlib
from contextlib import suppress
from typing import Any

MARKS = 64
"""Different lines that `say_once` can tell apart; later ones stay unsaid."""


def say(line: str) -> None:
    """Print a line on standard error. Work does not end because nobody can read it.

    A program may have no standard error (`2>&-`, or `pythonw`), its disk may be full, its terminal closed.
    """
    if sys.stderr is not None:
        with suppress(OSError, ValueError):
            print(line, file=sys.stderr, flush=True)


def say_once(line: str) -> None:
    """Say a line unless this process has said it, or another one with which it shares its marks."""
    mark = zlib.crc32(line.encode()) + 1
    for place, found in enumerate(_here.marks):
        if found == mark:
            return
        if not found:
            _here.marks[place] = mark
            say(line)
            return


def share_marks(marks: Any) -> None:
    """Take shared memory, `MARKS` whole numbers, for these marks: the processes of a run speak as one."""
    _here.marks = marks


class _Here:
    """What this process knows of the lines that were said."""

    marks: Any = [0] * MARKS


_here = _Here()
