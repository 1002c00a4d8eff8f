"""Lines for people on standard error, where there is one."""

import sys
from contextlib import suppress


def say(line: str) -> None:
    """Print a line on standard error. Work does not end because nobody can read it.

    A program may have no standard error (`2>&-`, or `pythonw`), its disk may be full, its terminal closed.
    """
    if sys.stderr is not None:
        with suppress(OSError, ValueError):
            print(line, file=sys.stderr, flush=True)
