"""The type checker that `--jaxtyping-packages` uses: beartype, for annotations of arrays alone.

Other annotations are mypy's affair. Here they must not be enforced: the tests give the public functions wrong
arguments, to see that memspan refuses them in its own words.
"""

import functools
from typing import get_args

from beartype import beartype
from jaxtyping import AbstractArray, config

CALLS = 200
"""So many are checked in each test: one that trains calls the same few functions again and again."""

left = CALLS


def begin():
    """Check the calls of the next test."""
    global left
    left = CALLS
    config.update("jaxtyping_disable", False)


def mentions_an_array(annotation):
    """Whether there is an array with axes anywhere in it."""
    if isinstance(annotation, type) and issubclass(annotation, AbstractArray):
        return True
    return any(mentions_an_array(part) for part in get_args(annotation))


def arrays_only(function):
    """Check what `function` takes and returns where that is an array with axes."""
    function.__annotations__ = {
        name: annotation for name, annotation in function.__annotations__.items() if mentions_an_array(annotation)
    }
    checked = beartype(function) if function.__annotations__ else function

    @functools.wraps(checked)
    def counted(*arguments, **keywords):
        global left
        left -= 1
        if left == 0:
            config.update("jaxtyping_disable", True)
        return checked(*arguments, **keywords)

    return counted
