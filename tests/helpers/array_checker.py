"""The type checker for `--jaxtyping-packages`: beartype, restricted to annotations of arrays.

mypy checks the other annotations. They must not be enforced here, because tests pass wrong arguments to public
functions and check memspan's own error messages.
"""

import functools
from typing import get_args

from beartype import beartype
from jaxtyping import AbstractArray, config

CALLS = 200
"""Calls that are checked in each test. Training calls the same few functions again and again."""

left = CALLS


def begin():
    """Start checking again, for the next test."""
    global left
    left = CALLS
    config.update("jaxtyping_disable", False)


def mentions_an_array(annotation):
    """Whether an annotation contains an array with axes."""
    if isinstance(annotation, type) and issubclass(annotation, AbstractArray):
        return True
    return any(mentions_an_array(part) for part in get_args(annotation))


def arrays_only(function):
    """Check the arguments and results of `function` that are arrays with axes."""
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
