"""What can go wrong, by name, and the few checks that say so the same way everywhere.

Every message names the argument, the rule and the value got.
"""

import math
import operator
import re
import reprlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from numbers import Real
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from memspan.suggestions import nearest

if TYPE_CHECKING:
    from pydantic import ValidationError


class MemspanError(Exception):
    """The root of every error that memspan raises on purpose."""


class InvalidArgument(MemspanError, ValueError):
    """An argument breaks a rule; nothing was computed, allocated or written."""

    def __init__(self, name: str, rule: str, got: object, hint: str = "") -> None:
        super().__init__(name, rule, str(got), hint)  # unpickling, in another process, passes these here again
        self.name = name

    def __str__(self) -> str:
        return "{} must be {}, got {}{}".format(*self.args)


class UnknownField(InvalidArgument, TypeError):
    """A field or argument that memspan does not have; the nearest one that it has is suggested.

    It is a `TypeError` too, as Python raises for an unknown argument.
    """

    def __init__(self, name: str, hint: str = "", owner: str = "") -> None:
        super().__init__(name, "", "", hint)
        self.args = (name, hint, owner)  # what unpickling passes here again

    @classmethod
    def among(cls, name: str, known: Iterable[str], owner: str = "") -> Self:
        """The error for an argument of a function, or without an owner for a field, with a suggestion."""
        names = list(known)
        near = nearest(name, names)
        hint = f" Did you mean {near!r}?" if near else ""
        if owner and not near:
            hint = f" It takes {', '.join(names)}." if names else " It takes no keywords."
        return cls(name, hint, owner)

    def __str__(self) -> str:
        name, hint, owner = self.args
        return (f"Unknown argument {name!r} of {owner}." if owner else f"Unknown field {name!r}.") + hint


class NotFound(MemspanError, LookupError):
    """There is no such store, study or file. The message is a sentence, and says what to do next."""


class Conflict(MemspanError, ValueError):
    """Two arguments contradict each other, or what exists. The message names both, and says what to do next."""


class FaultyPart(MemspanError, RuntimeError):
    """A task or a cell raises an error, or returns what it must not. The message names it."""


class NotReady(MemspanError, RuntimeError):
    """A method was called before the one that it depends on."""


class UnreadableFile(MemspanError):
    """A file is truncated, damaged, or was not written by memspan."""


class MachineFailed(MemspanError):
    """Not the user's fault and not ours: a full disk, a server that is gone. What was finished is kept."""


@contextmanager
def naming(part: str) -> Iterator[None]:
    """Let an error of a part that the user may have written say which part it was.

    Raises
    ------
    FaultyPart
        From the error, unless that is memspan's own.
    """
    try:
        yield
    except MemspanError:
        raise
    except Exception as error:
        raise FaultyPart(f"{part} failed with {type(error).__name__}: {error}") from error


def invalid(error: "ValidationError", *, known: Iterable[str] = ()) -> InvalidArgument:
    """The first complaint of a pydantic validation in memspan's form: argument, rule, value got.

    Parameters
    ----------
    error : ValidationError
    known : iterable of str
        Names of the fields that there are: one like a name that is unknown is suggested.
    """
    first = error.errors()[0]
    cause = first.get("ctx", {}).get("error")
    if isinstance(cause, InvalidArgument):  # raised inside the validation, and in the right form already
        return cause
    place, got = _place(first["loc"]), reprlib.repr(first["input"])
    if first["type"] == "extra_forbidden":
        return UnknownField.among(place, known)
    if first["type"] == "literal_error":
        return not_among(place, first["input"], re.findall("'(.*?)'", first["ctx"]["expected"]))
    rule = first["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
    rule = rule.replace("String should have", "a text of")
    return InvalidArgument(place, "given" if first["type"] == "missing" else rule, got)


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """A question to put behind a message about an unknown name; empty if none of those known is like it."""
    near = nearest(name, known)
    return f"; did you mean {near!r}?" if near else ""


def _place(location: tuple[int | str, ...]) -> str:
    """`lengths[1]`, `parameters.items`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    return text.removeprefix(".") or "the input"


def not_among(name: str, value: Any, choices: list[str]) -> InvalidArgument:
    """The error for a value that is not one of a few names, with the one that was meant."""
    return InvalidArgument(name, "one of " + ", ".join(choices), repr(value), did_you_mean(value, choices))


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
        raise not_among(name, value, names)
    return str(value)


def one_dtype(name: str, value: Any, choices: Iterable[str]) -> np.dtype[Any]:
    """Return `value` as a dtype if its name is one of `choices`."""
    try:
        got = np.dtype(value).name
    except (TypeError, ValueError, SyntaxError):
        got = str(value)
    return np.dtype(one_of(name, got, choices))
