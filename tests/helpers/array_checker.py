"""The checks of `--jaxtyping-packages`: in the first calls of a test, arrays have the axes of their annotations.

jaxtyping's own decorator wraps every function, and compiles its checks when a module is imported. That took a
fifth of the time of the tests. The decorator here wraps only functions that take or return arrays with axes,
compiles the checks at the first call, and checks nothing after `CALLS` calls.

mypy checks all other annotations. They must not be enforced here, because tests pass wrong arguments to public
functions and check memspan's own error messages.
"""

import functools
import inspect
from dataclasses import is_dataclass
from types import FunctionType, SimpleNamespace
from typing import get_args

import jaxtyping
from beartype import beartype

CALLS = 100
"""Calls that are checked in each test. Training calls the same few functions again and again."""

budget = SimpleNamespace(left=CALLS)
compile_checks = jaxtyping.jaxtyped


def begin():
    """Start checking again, for the next test."""
    budget.left = CALLS


def mentions_an_array(annotation):
    """Whether an annotation contains an array with axes."""
    if isinstance(annotation, type) and issubclass(annotation, jaxtyping.AbstractArray):
        return True
    return any(mentions_an_array(part) for part in get_args(annotation))


def annotations_of(function):
    """The annotations of a function; those in quotation marks as far as their names are known."""
    for annotation in function.__annotations__.values():
        if not isinstance(annotation, str):
            yield annotation
            continue
        try:
            yield eval(annotation, function.__globals__)
        except Exception:  # a name that only mypy imports; jaxtyping takes it for Any, too
            continue


def arrays_only(function):
    """Check the arguments and results of `function` that are arrays with axes."""
    function.__annotations__ = {
        name: annotation for name, annotation in function.__annotations__.items() if mentions_an_array(annotation)
    }
    return beartype(function) if function.__annotations__ else function


def jaxtyped(*, typechecker):
    """Return the decorator below; the import hook calls it by this name."""
    return functools.partial(in_first_calls, typechecker=typechecker)


def in_first_calls(of, typechecker):
    """Return a function that checks the first calls, or a dataclass whose `__init__` does."""
    if inspect.isclass(of):
        if is_dataclass(of) and not hasattr(of.__init__, "__wrapped__"):
            of.__init__ = in_first_calls(of.__init__, typechecker)
        return of
    if not any(map(mentions_an_array, annotations_of(of))):
        return of
    make, counted, checked = functools.partial(compile_checks, typechecker=typechecker), budget, None

    def checked_at_first(*arguments, **keywords):
        __tracebackhide__ = True
        nonlocal checked
        if counted.left <= 0:
            return of(*arguments, **keywords)
        counted.left -= 1
        if checked is None:
            checked = make(of)
        return checked(*arguments, **keywords)

    # As if it came from a library: `memspan.study.fingerprint` looks through such decorators.
    its = checked_at_first
    return functools.wraps(of)(FunctionType(its.__code__, vars(jaxtyping), closure=its.__closure__))


jaxtyping.jaxtyped = jaxtyped
