"""What can go wrong, by name, and the few checks that say so the same way everywhere.

Every message names the argument, the rule and the value got.
"""

import difflib
import math
import operator
import os
import re
import reprlib
from collections.abc import Iterable
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

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


class LossTooLarge(InvalidArgument):
    """Finite numbers of which a loss would be infinite. In training that is no error: the network has diverged."""


class UnknownField(InvalidArgument):
    """A field or argument that memspan does not have; the nearest one that it has is suggested."""

    def __init__(self, name: str, hint: str = "") -> None:
        super().__init__(name, "", "", hint)
        self.args = (name, hint)  # what unpickling passes here again

    def __str__(self) -> str:
        name, hint = self.args
        return f"Unknown field {name!r}.{hint}"


class NotFound(MemspanError, LookupError):
    """There is no such store, study or file. The message is a sentence, and says what to do next."""


class Conflict(MemspanError, ValueError):
    """What was asked contradicts what exists. The message names both, and says what to do next."""


class NotReady(MemspanError, RuntimeError):
    """A method was called before the one that it depends on."""


class UnreadableFile(MemspanError):
    """A file is truncated, damaged, or was not written by memspan."""


class MachineFailed(MemspanError):
    """Not the user's fault and not ours: a full disk, a server that is gone. What was finished is kept."""


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
        near = difflib.get_close_matches(place.lower(), list(known), n=1)
        return UnknownField(place, f" Did you mean {near[0]!r}?" if near else "")
    if first["type"] == "literal_error":
        return _not_among(place, first["input"], re.findall("'(.*?)'", first["ctx"]["expected"]))
    rule = first["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
    rule = rule.replace("String should have", "a text of")
    return InvalidArgument(place, "given" if first["type"] == "missing" else rule, got)


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """A question to put behind a message about an unknown name; empty if none of those known is like it."""
    near = difflib.get_close_matches(str(name).lower(), list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _place(location: tuple[int | str, ...]) -> str:
    """`lengths[1]`, `parameters.items`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    return text.removeprefix(".") or "the input"


def _not_among(name: str, value: Any, choices: list[str]) -> InvalidArgument:
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


def true_or_false(name: str, value: Any) -> bool:
    """Return `value` as a `bool`; words and numbers are refused, since "no" would count as true."""
    if not isinstance(value, bool | np.bool):
        raise InvalidArgument(name, "True or False", repr(value))
    return bool(value)


def a_path(name: str, value: Any) -> Path:
    """Return `value` as a `Path`."""
    if not isinstance(value, str | os.PathLike):
        raise InvalidArgument(name, "the path of a file, as a text or a Path", repr(value))
    return Path(value)


def generator(name: str, value: Any, purpose: str) -> np.random.Generator:
    """Return a `Generator` itself, or one from a `SeedSequence`, from a seed, or for None from fresh entropy.

    A seed gives each `purpose` a stream of its own: the weights of `Network(rng=0)` and the sequences of
    `Batches(rng=0)` have nothing in common. Generators and SeedSequences are taken as they are.
    """
    if value is None or isinstance(value, np.random.Generator | np.random.BitGenerator | np.random.SeedSequence):
        return np.random.default_rng(value)
    try:
        seed = whole_number(name, value, least=0)
    except InvalidArgument:
        rule = "a Generator, a SeedSequence or a whole number of at least 0"
        raise InvalidArgument(name, rule, repr(value)) from None
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=tuple(purpose.encode())))


def plain_array(name: str, value: Any) -> np.ndarray[Any, Any]:
    """Return `value` as an array. A masked array is refused, because NumPy would drop its mask without a word."""
    if _masked(value):
        hint = "; take its .filled(), with NaN for labels that a masked loss is to leave out"
        raise InvalidArgument(name, "an array without a mask", "a numpy.ma.MaskedArray", hint)
    try:
        return np.asarray(value)
    except ValueError:  # lists of different lengths
        raise InvalidArgument(name, "a rectangular array", type(value).__name__) from None


def float_array(name: str, value: Any) -> np.ndarray[Any, Any]:
    """Return `value` as an array of real floating-point numbers, without a mask."""
    values = plain_array(name, value)
    if values.dtype.kind != "f":
        raise InvalidArgument(name, "an array of real floating-point numbers", f"dtype {values.dtype}")
    return values


def _masked(value: Any) -> bool:
    """Whether it is a masked array, or a list with one in it."""
    if isinstance(value, list | tuple):
        return any(map(_masked, value))
    return isinstance(value, np.ma.MaskedArray)


def one_of(name: str, value: Any, choices: Iterable[str]) -> str:
    """Return `value` if it is one of `choices`."""
    names = list(choices)
    if not isinstance(value, str) or value not in names:
        raise _not_among(name, value, names)
    return str(value)


def one_dtype(name: str, value: Any, choices: Iterable[str]) -> np.dtype[Any]:
    """Return `value` as a dtype if its name is one of `choices`."""
    try:
        got = np.dtype(value).name
    except (TypeError, ValueError, SyntaxError):
        got = str(value)
    return np.dtype(one_of(name, got, choices))
