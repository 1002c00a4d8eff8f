"""Waiting for processes, looking whether they are gone, and reading what they said."""

import os
import time


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def gone(group):
    """Whether no process of that group is left."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    return False


OCCASIONAL = ("memspan: compiling ", "memspan: loading ", "memspan: made the folder ")
"""How lines begin that are said at the first run alone."""


def without_compiling(err):
    """Standard error without the lines that say that a kernel is compiled, which slow machines alone have."""
    return "".join(line for line in err.splitlines(keepends=True) if not line.startswith(OCCASIONAL))
