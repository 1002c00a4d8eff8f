"""The exceptions of memspan, and checks of arguments that raise them.

The message about a wrong value names the argument, the rule and the value.
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
"""The largest size or count that memspan accepts, because a PostgreSQL store has columns of 32 bits."""
MOST_SEED = 2**128 - 1
"""The largest seed. NumPy's own random entropy also has 128 bits."""
ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
LONGEST_TEXT = 1000  # characters of a value in a message


class MemspanError(Exception):
    """The base class of all errors that memspan raises on purpose."""


class InvalidArgument(MemspanError, ValueError):
    """An argument breaks a rule. Nothing was computed, allocated or written.

    Parameters
    ----------
    name : str
        The argument.
    rule : str
        What it must be, such as "a whole number of at least 1".
    got : object
        The value; a string is printed as it is.
    hint : str
        Text to append to the message.
    """

    def __init__(self, name: str, rule: str, got: object, hint: str = "") -> None:
        text = got if isinstance(got, str) else shown(got)
        text = text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}..."
        super().__init__(name, rule, text, hint)  # unpickling in another process calls __init__ with these again
        self.name = name

    def __str__(self) -> str:
        return "{} must be {}, got {}{}".format(*self.args)

    def at(self, place: str) -> Self:
        """Return the same error with the place of the value inside the argument: `cell[1]` for `cell`."""
        if place.startswith(f"{self.name}["):
            self.name, self.args = place, (place, *self.args[1:])
        return self


class LossTooLarge(InvalidArgument):
    """The loss of finite predictions is infinite. In training this is not an error: the network has diverged."""


class WrongType(InvalidArgument):
    """An argument has the wrong type. Its rule names the right one in the plural, such as "integers"."""

    def __str__(self) -> str:
        return "{} takes {}, got {}{}.".format(*self.args)


class UnknownField(InvalidArgument, TypeError):
    """An unknown field or argument. The message suggests the most similar known one.

    It is also a `TypeError`, which Python raises for an unknown argument.
    """

    def __init__(self, name: str, hint: str = "", owner: str = "") -> None:
        super().__init__(name, "", "", hint)
        self.args = (name, hint, owner)  # unpickling calls __init__ with these

    @classmethod
    def among(cls, name: str, known: Iterable[str], owner: str = "") -> Self:
        """Make the error with a suggestion, for an argument of the function `owner`, or for a field if empty."""
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
    """A store, study or file does not exist. The message says what to do next."""


class Conflict(MemspanError, ValueError):
    """An argument contradicts another one or existing data. The message names both, and says what to do next."""


class FaultyPart(MemspanError, RuntimeError):
    """A task or a cell, perhaps the user's, raised an error or returned a wrong value. The message names it.

    Attributes
    ----------
    cause : str
        The usual cause, if there is one.
    """

    def __init__(self, message: str = "", cause: str = "") -> None:
        super().__init__(message, cause)  # unpickling in another process calls __init__ with these again
        self.cause = cause

    def __str__(self) -> str:
        return str(self.args[0])


class NotReady(MemspanError, RuntimeError):
    """A method was called before another one that must come first."""


class UnreadableFile(MemspanError):
    """A file is truncated or damaged, or memspan did not write it."""


class MachineFailed(MemspanError):
    """The machine failed: a full disk, for example, or a server that has ended. All finished results are kept."""


def told(error: BaseException | None) -> str:
    """Return the sentence of an error of memspan's, and that of another error with the name of its class."""
    return str(error) if isinstance(error, MemspanError) else f"{type(error).__name__}: {error}"


@contextmanager
def naming(part: str) -> Iterator[None]:
    """Name the part, such as "The cell mine", in errors that its code raises inside the `with` block.

    Raises
    ------
    FaultyPart
        If the block raises an error that is not memspan's own.
    """
    try:
        yield
    except MemspanError:
        raise
    except Exception as error:
        raise FaultyPart(f"{part} failed with {type(error).__name__}: {error}") from error


def invalid(error: "ValidationError", *, known: Iterable[str] = ()) -> InvalidArgument:
    """Convert the first error of a pydantic validation to memspan's form: argument, rule, value.

    Parameters
    ----------
    error : ValidationError
    known : iterable of str
        The names of all fields, from which a suggestion for an unknown one is chosen.
    """
    first = error.errors()[0]
    cause = first.get("ctx", {}).get("error")
    if isinstance(cause, InvalidArgument):  # memspan's own validator raised it
        return cause.at(_place(first["loc"]))
    kind, place, got, limits = first["type"], _place(first["loc"]), first["input"], first.get("ctx", {})
    if kind == "extra_forbidden":
        return UnknownField.among(place, known)
    if kind == "literal_error":
        return not_among(place, got, re.findall("'(.*?)'", limits["expected"]))
    if kind == "missing":
        return InvalidArgument(place, "given", "nothing")
    if kind.startswith("float_") and isinstance(got, int) and not isinstance(got, bool):
        kind = "finite_number"  # an integer beyond the range of floats
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
"""The type that a field takes, by the beginning of the type of pydantic's error."""
RULES = {
    "greater_than": "above {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "below {lt}",
    "less_than_equal": "at most {le}",
    "finite_number": "a finite number",
    "too_short": "at least {min_length} values",
    "too_long": "at most {max_length} values",
    "string_too_short": "a text of at least {min_length} character",
    "string_too_long": "a text of at most {max_length} characters",
    "json_invalid": "JSON",
    "invalid_key": "a name",
}
"""The rule that a field breaks, by the type of pydantic's error."""


class _Shown(reprlib.Repr):
    """A `repr` of bounded length, without addresses in memory, which tell nothing and differ in each process."""

    def __init__(self) -> None:
        super().__init__()
        self.maxstring = self.maxother = 100
        self.maxlist = self.maxtuple = self.maxset = self.maxdict = 8
        self.maxlevel = 4

    def repr_function(self, function: Any, level: int) -> str:
        """Name a function as it is called in its module."""
        return f"<function {function.__name__}>"

    def repr_instance(self, value: Any, level: int) -> str:
        """Leave out the address before a long text is cut, which may go through it."""
        try:
            text = ADDRESS.sub("", repr(value))
        except Exception:  # a class of the user's
            return f"<{type(value).__name__} instance>"
        cut = (self.maxother - 3) // 2
        return text if len(text) <= self.maxother else f"{text[:cut]}...{text[-cut:]}"

    def repr_int(self, number: int, level: int) -> str:
        """Describe large integers in words, because Python refuses to print more than 4300 digits."""
        if number.bit_length() <= 256:
            return repr(number)
        return f"an integer of about {int(number.bit_length() * math.log10(2)) + 1:,} digits"

    def repr_ndarray(self, array: np.ndarray, level: int) -> str:
        """Print the numbers of a small array, and the shape and dtype of a large one."""
        few = array.size <= 8 and array.dtype.kind in "biufc"
        return repr(array) if few else f"an array of shape {array.shape}, {array.dtype}"


shown = _Shown().repr
"""`shown(value)` is the text of a value in a message. Its length is bounded, and it never raises."""


def _limit(value: Any) -> str:
    """Return a bound as text: `2,147,483,647`, `2**128 - 1`, `0.5`."""
    if not isinstance(value, int):
        return f"{value:g}" if isinstance(value, float) else str(value)
    return f"{value:,}" if value < 10**12 else f"2**{value.bit_length()} - 1"


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """Return a suggestion to append to a message about an unknown name; empty if no known name is similar."""
    near = nearest(name, known)
    return f"; did you mean {near!r}?" if near else ""


def _place(location: tuple[int | str, ...]) -> str:
    """Return pydantic's location of a field as text: `lengths[1]`, `parameters.items`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    return text.removeprefix(".") or "the input"


def not_among(name: str, value: Any, choices: list[str]) -> InvalidArgument:
    """Return the error for a value that is not one of the choices, with a suggestion."""
    return InvalidArgument(name, "one of " + ", ".join(choices), shown(value), did_you_mean(value, choices))


def whole_number(name: str, value: Any, *, least: int = 1, most: int = MOST) -> int:
    """Return `value` as an `int`; raise unless it is an integer from `least` to `most`, and not a boolean."""
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
    """Return `value` as an `int`; raise unless it is a seed from 0 to `MOST_SEED`."""
    return whole_number(name, value, least=0, most=MOST_SEED)


def truth(name: str, value: Any) -> bool:
    """Return `value` as a `bool`; raise unless it is True or False."""
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
    """Return `value` as a `float`; raise unless it is finite and within the bounds.

    `above` and `below` are open bounds; `least` and `most` are closed ones.
    """
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
    """Return `value` as a `Path`; raise unless it is a string or a path."""
    if not isinstance(value, str | os.PathLike):
        raise InvalidArgument(name, "the path of a file, as a string or a Path", shown(value))
    return Path(value)


def generator(name: str, value: Any, purpose: str) -> np.random.Generator:
    """Return a `Generator` for an argument `rng`.

    Parameters
    ----------
    name : str
        The argument, for the message.
    value : Generator, BitGenerator, SeedSequence, int or None
        A whole number is a seed. None draws new entropy from the operating system.
    purpose : str
        With the same seed, each purpose gets an independent stream. So the weights of `Network(rng=0)` and the
        sequences of `Batches(rng=0)` are independent. The other kinds of `value` are used as they are.
    """
    if value is None or isinstance(value, np.random.Generator | np.random.BitGenerator | np.random.SeedSequence):
        return np.random.default_rng(value)
    if isinstance(value, int | np.integer) and not isinstance(value, bool) and value >= 0:
        seed = whole_seed(name, value)
        return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=tuple(purpose.encode())))
    raise InvalidArgument(name, "a Generator, a SeedSequence or a whole number of at least 0", shown(value))


def plain_array(name: str, value: Any) -> np.ndarray[Any, Any]:
    """Return `value` as an array; raise if it is a masked array, whose mask NumPy would silently drop."""
    if _masked(value):
        hint = "; pass its .filled(), or .filled(np.nan) if it holds the labels of a masked loss"
        raise InvalidArgument(name, "an array without a mask", "a numpy.ma.MaskedArray", hint)
    try:
        return np.asarray(value)
    except ValueError:  # lists of different lengths
        raise InvalidArgument(name, "a rectangular array", type(value).__name__) from None


def float_array(name: str, value: Any) -> np.ndarray[Any, Any]:
    """Return `value` as an array; raise unless it holds real floating-point numbers, without a mask."""
    values = plain_array(name, value)
    if values.dtype.kind != "f":
        raise InvalidArgument(name, "an array of real floating-point numbers", f"dtype {values.dtype}")
    return values


def _masked(value: Any) -> bool:
    """Whether a value is a masked array or a list that contains one."""
    if isinstance(value, list | tuple):
        return any(map(_masked, value))
    return isinstance(value, np.ma.MaskedArray)


def one_of(name: str, value: Any, choices: Iterable[str]) -> str:
    """Return `value`; raise unless it is one of `choices`."""
    names = list(choices)
    if not isinstance(value, str) or value not in names:
        raise not_among(name, value, names)
    return str(value)


def one_dtype(name: str, value: Any, choices: Iterable[str]) -> np.dtype[Any]:
    """Return `value` as a dtype; raise unless its name is one of `choices`."""
    try:
        got = np.dtype(value).name
    except (TypeError, ValueError, SyntaxError):
        got = str(value)
    return np.dtype(one_of(name, got, choices))
