"""Waiting for processes, checking that they have ended, and reading their standard error."""

import os
import time


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def gone(group):
    """Whether all processes of a group have ended."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    return False


OCCASIONAL = ("memspan: compiling ", "memspan: loading ", "memspan: created the folder ")
"""The beginnings of lines that only the first run prints."""


def without_compiling(err):
    """Return standard error without the lines that only a first run or a slow machine prints."""
    return "".join(line for line in err.splitlines(keepends=True) if not line.startswith(OCCASIONAL))
