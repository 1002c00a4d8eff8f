"""What can go wrong, by name, and the few checks that say so the same way everywhere.

Every message names the argument, the rule and the value got.
"""

import math
import operator
import os
import re
import reprlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from memspan.suggestions import nearest

if TYPE_CHECKING:
    from pydantic import ValidationError


MOST = 2**31 - 1
"""The largest size or count that memspan takes: a store on PostgreSQL keeps counts in 32 bits."""
MOST_SEED = 2**128 - 1
"""The largest seed; NumPy's own have 128 bits."""
LONGEST_TEXT = 1000  # letters of a value in a message


class MemspanError(Exception):
    """The root of every error that memspan raises on purpose."""


class InvalidArgument(MemspanError, ValueError):
    """An argument breaks a rule; nothing was computed, allocated or written."""

    def __init__(self, name: str, rule: str, got: object, hint: str = "") -> None:
        text = got if isinstance(got, str) else shown(got)
        text = text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}..."
        super().__init__(name, rule, text, hint)  # unpickling, in another process, passes these here again
        self.name = name

    def __str__(self) -> str:
        return "{} must be {}, got {}{}".format(*self.args)


class LossTooLarge(InvalidArgument):
    """The loss of finite numbers is infinite. In training this is no error: the network has diverged."""


class WrongType(InvalidArgument):
    """An argument takes values of another type; the rule names these in the plural, such as integers."""

    def __str__(self) -> str:
        return "{} takes {}, got {}{}.".format(*self.args)


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
        return (f"Unknown argument {shown(name)} of {owner}." if owner else f"Unknown field {shown(name)}.") + hint


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
    kind, place, got, limits = first["type"], _place(first["loc"]), first["input"], first.get("ctx", {})
    if kind == "extra_forbidden":
        return UnknownField.among(place, known)
    if kind == "literal_error":
        return not_among(place, got, re.findall("'(.*?)'", limits["expected"]))
    if kind == "missing":
        return InvalidArgument(place, "given", "nothing")
    if kind.startswith("float_") and isinstance(got, int) and not isinstance(got, bool):
        kind = "finite_number"  # one beyond the range of floats
    wanted = next((text for begin, text in TYPES.items() if kind.startswith(begin)), None)
    if wanted in ("integers", "numbers") and isinstance(got, list | tuple):
        wanted = f"one {wanted.removesuffix('s')}"
    if wanted is not None:
        return WrongType(re.sub(r"(\[\d+\])+$", "", place), wanted, shown(got))
    if kind in RULES:
        return InvalidArgument(place, RULES[kind].format(**{k: _limit(v) for k, v in limits.items()}), shown(got))
    rule = first["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
    return InvalidArgument(place, rule, shown(got))


TYPES = {
    "int_parsing_size": "integers with fewer digits",
    "int_": "integers",
    "float_": "numbers",
    "decimal_": "numbers",
    "bool_": "True or False",
    "string_type": "text",
    "string_sub_type": "text",
    "string_unicode": "text",
    "bytes_": "bytes",
    "dict_": "a table of names and values",
    "mapping_": "a table of names and values",
    "model_": "a table of names and values",
    "list_type": "a list",
    "tuple_type": "a list",
    "set_type": "a list",
    "iterable_type": "a list",
}
"""What a field takes, by how the error of pydantic begins that says it got something else."""
RULES = {
    "greater_than": "above {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "below {lt}",
    "less_than_equal": "at most {le}",
    "finite_number": "a finite number",
    "too_short": "at least {min_length} values",
    "too_long": "at most {max_length} values",
    "string_too_short": "a text of at least {min_length} characters",
    "string_too_long": "a text of at most {max_length} characters",
    "json_invalid": "JSON",
    "invalid_key": "a name",
}
"""The rule of a field, by the error of pydantic."""


class _Shown(reprlib.Repr):
    """`repr`, but short, whatever the value is."""

    def __init__(self) -> None:
        super().__init__()
        self.maxstring = self.maxother = 100
        self.maxlist = self.maxtuple = self.maxset = self.maxdict = 8
        self.maxlevel = 4

    def repr_int(self, number: int, level: int) -> str:
        """Python refuses to write an integer of more than 4300 digits."""
        if number.bit_length() <= 256:
            return repr(number)
        return f"an integer of about {int(number.bit_length() * math.log10(2)) + 1:,} digits"

    def repr_ndarray(self, array: np.ndarray, level: int) -> str:
        """Its numbers, if they are few."""
        few = array.size <= 8 and array.dtype.kind in "biufc"
        return repr(array) if few else f"an array of shape {array.shape}, {array.dtype}"


shown = _Shown().repr
"""`shown(value)`: a value as a message has it, in a bounded text; no value makes it fail."""


def _limit(value: Any) -> str:
    """A bound as a rule states it: `2,147,483,647`, `2**128 - 1`, `0.5`."""
    if not isinstance(value, int):
        return f"{value:g}" if isinstance(value, float) else str(value)
    return f"{value:,}" if value < 10**12 else f"2**{value.bit_length()} - 1"


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
    return InvalidArgument(name, "one of " + ", ".join(choices), shown(value), did_you_mean(value, choices))


def whole_number(name: str, value: Any, *, least: int = 1, most: int = MOST) -> int:
    """Return `value` as an `int` from `least` to `most`; booleans and floats are refused."""
    try:
        number = None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = None
    if number is None or number < least:
        raise InvalidArgument(name, f"a whole number of at least {least}", shown(value))
    if number > most:
        raise InvalidArgument(name, f"at most {_limit(most)}", shown(value))
    return number


def whole_seed(name: str, value: Any) -> int:
    """Return `value` as an `int` from which random numbers can start."""
    return whole_number(name, value, least=0, most=MOST_SEED)


def truth(name: str, value: Any) -> bool:
    """Return `value` as a `bool`; numbers and texts are refused."""
    if not isinstance(value, bool | np.bool):
        raise InvalidArgument(name, "True or False", shown(value))
    return bool(value)


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
        raise InvalidArgument(name, " ".join(["a finite number", " and ".join(bounds)]).strip(), shown(value))
    return number


def a_path(name: str, value: Any) -> Path:
    """Return `value` as a `Path`."""
    if not isinstance(value, str | os.PathLike):
        raise InvalidArgument(name, "the path of a file, as a text or a Path", shown(value))
    return Path(value)


def generator(name: str, value: Any, purpose: str) -> np.random.Generator:
    """Return a `Generator` itself, or one from a `SeedSequence`, from a seed, or for None from fresh entropy.

    A seed gives each `purpose` a stream of its own: the weights of `Network(rng=0)` and the sequences of
    `Batches(rng=0)` have nothing in common. Generators and SeedSequences are taken as they are.
    """
    if value is None or isinstance(value, np.random.Generator | np.random.BitGenerator | np.random.SeedSequence):
        return np.random.default_rng(value)
    if isinstance(value, int | np.integer) and not isinstance(value, bool) and value >= 0:
        seed = whole_seed(name, value)
        return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=tuple(purpose.encode())))
    raise InvalidArgument(name, "a Generator, a SeedSequence or a whole number of at least 0", shown(value))


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
    """Whether it is a masked array, or a list that holds one."""
    if isinstance(value, list | tuple):
        return any(map(_masked, value))
    return isinstance(value, np.ma.MaskedArray)


def one_of(name: str, value: Any, choices: Iterable[str]) -> str:
    """Return `value` if it is one of `choices`."""
    names = list(choices)
    if not isinstance(value, str) or value not in names:
        raise not_among(name, value, names)
    return str(value)


def one_dtype(name: str, value: Any, choices: Iterable[str]) -> np.dtype[Any]:
    """Return `value` as a dtype if its name is one of `choices`."""
    try:
        got = np.dtype(value).name
    except (TypeError, ValueError, SyntaxError):
        got = str(value)
    return np.dtype(one_of(name, got, choices))
