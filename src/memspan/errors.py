"""What can go wrong, by name, and the few checks that say so the same way everywhere.

Every message names the argument, the rule and the value got.
"""

import math
import operator
import reprlib
from collections.abc import Iterable
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pydantic import ValidationError


class MemspanError(Exception):
    """The root of every error that memspan raises on purpose."""


class InvalidArgument(MemspanError, ValueError):
    """An argument breaks a rule; nothing was computed, allocated or written."""

    def __init__(self, name: str, rule: str, got: object) -> None:
        super().__init__(name, rule, str(got))  # unpickling, in another process, passes these here again
        self.name = name

    def __str__(self) -> str:
        return "{} must be {}, got {}".format(*self.args)


class NotReady(MemspanError, RuntimeError):
    """A method was called before the one that it depends on."""


class UnreadableFile(MemspanError):
    """A file is truncated, damaged, or was not written by memspan."""


def invalid(error: "ValidationError") -> InvalidArgument:
    """The first complaint of a pydantic validation in memspan's form: argument, rule, value got."""
    first = error.errors()[0]
    cause = first.get("ctx", {}).get("error")
    if isinstance(cause, InvalidArgument):  # raised inside the validation, and in the right form already
        return cause
    plain = {"extra_forbidden": "left out, as no such thing is known", "missing": "given"}
    rule = first["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
    place = ".".join(map(str, first["loc"])) or "the input"
    return InvalidArgument(place, plain.get(first["type"], rule), reprlib.repr(first["input"]))


def whole_number(name: str, value: Any, *, least: int = 1) -> int:
    """Return `value` as an `int` of at least `least`; booleans and floats are refused."""
    try:
        number = None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = None
    if number is None or number < least:
        raise InvalidArgument(name, f"a whole number of at least {least}", repr(value))
    return number


def real_number(
    name: str,
    value: Any,
    *,
    above: float = -math.inf,
    least: float = -math.inf,
    below: float = math.inf,
    most: float = math.inf,
) -> float:
    """Return `value` as a finite `float` inside the open (`above`, `below`) or closed (`least`, `most`) bounds."""
    try:
        number = float(value) if isinstance(value, Real) and not isinstance(value, bool) else math.nan
    except OverflowError:
        number = math.nan
    if not (math.isfinite(number) and number > above and least <= number <= most and number < below):
        bounds = [f"above {above:g}"] * (above > -math.inf)
        bounds += [f"of at least {least:g}"] * (least > -math.inf)
        bounds += [f"below {below:g}"] * (below < math.inf)
        bounds += [f"of at most {most:g}"] * (most < math.inf)
        raise InvalidArgument(name, " ".join(["a finite number", " and ".join(bounds)]).strip(), repr(value))
    return number


def generator(name: str, value: Any) -> np.random.Generator:
    """Return a `Generator` itself, or one from a `SeedSequence`, from a seed, or for None from fresh entropy."""
    try:
        return np.random.default_rng(value)
    except (TypeError, ValueError):
        rule = "a Generator, a SeedSequence or a whole number of at least 0"
        raise InvalidArgument(name, rule, repr(value)) from None


def one_of(name: str, value: Any, choices: Iterable[str]) -> str:
    """Return `value` if it is one of `choices`."""
    names = list(choices)
    if value not in names:
        raise InvalidArgument(name, "one of " + ", ".join(names), repr(value))
    return str(value)


def one_dtype(name: str, value: Any, choices: Iterable[str]) -> np.dtype[Any]:
    """Return `value` as a dtype if its name is one of `choices`."""
    try:
        got = np.dtype(value).name
    except (TypeError, ValueError, SyntaxError):
        got = str(value)
    return np.dtype(one_of(name, got, choices))
