"""Renamed and unknown names.

An old name works for one more version, and warns with the new name. The error for an unknown name suggests a known
one.
"""

import functools
import inspect
import warnings
from collections.abc import Callable, Container, Mapping
from typing import Any, ParamSpec, TypeVar

from memspan.errors import InvalidArgument, UnknownField, shown

P = ParamSpec("P")
R = TypeVar("R")

UNTIL = "0.3"
"""The version in which the old names stop working."""


class RenamedWarning(FutureWarning):
    """An old name was used."""


def warn_renamed(old: str, new: str, *, stacklevel: int = 2) -> None:
    """Warn that `old` is now `new`, in one line."""
    message = f"{old} is now {new}; the old name stops working in memspan {UNTIL}"
    warnings.warn(message, RenamedWarning, stacklevel=stacklevel + 1)


def with_new_names(
    given: Mapping[str, Any],
    names: Mapping[str, str],
    *,
    where: str = "",
    warned: Container[str] = (),
    stacklevel: int = 2,
) -> dict[str, Any]:
    """Return `given` with new names in place of old ones, and warn about each old name.

    Parameters
    ----------
    given : mapping
        Values by name.
    names : mapping of str to str
        The new name of each old one.
    where : str
        The file that contains the names, for the messages.
    warned : container of str
        Old names without a warning.
    stacklevel : int
        As in `warnings.warn`.

    Raises
    ------
    InvalidArgument
        If an old name is given together with its new one.
    """
    found = {}
    for name, value in given.items():
        new = names.get(name, name)
        if new != name:
            placed = f"{where}: {name}" if where else name
            refuse_both(placed, new, value, given)
            if name not in warned:
                warn_renamed(placed, new, stacklevel=stacklevel + 1)
        found[new] = value
    return found


def refuse_both(old: str, new: str, value: Any, given: Container[str]) -> None:
    """Refuse an old name that is given together with its new one, because their values may differ."""
    if new in given:
        rule = f"left out, because it is the old name of {new}, which is also given"
        raise InvalidArgument(old, rule, shown(value))


def checked_keywords(**names: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let a function also take its old keywords, and suggest a known keyword for an unknown one.

    Use `@checked_keywords(old="new")`, or `@checked_keywords()` if no keyword has changed. On a class, it checks
    the keywords of `__init__`. The decorated function raises `UnknownField` for an unknown keyword.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        if not isinstance(function, type):
            return _checked(function, names)
        function.__init__ = _checked(function.__init__, names)  # type: ignore[misc]
        return function

    return decorate


def _checked(function: Callable[P, R], names: Mapping[str, str]) -> Callable[P, R]:
    known = frozenset(inspect.signature(function).parameters)

    @functools.wraps(function)
    def call(*arguments: P.args, **keywords: P.kwargs) -> R:
        if keywords.keys() <= known:
            return function(*arguments, **keywords)
        new = with_new_names(keywords, names, stacklevel=2)
        for name in new.keys() - known:
            raise _unknown(name, function, arguments)
        return function(*arguments, **new)

    return call


def _unknown(name: str, function: Callable[..., Any], arguments: tuple[Any, ...]) -> UnknownField:
    known = [one for one in inspect.signature(function).parameters if one not in ("self", "cls")]
    owner = type(arguments[0]).__name__ if function.__name__ == "__init__" else function.__qualname__
    return UnknownField.among(name, known, owner.removesuffix(".__new__"))


class RenamedAttribute:
    """A renamed attribute under its old name: it reads and writes the new one, and warns."""

    def __init__(self, new: str) -> None:
        self.new = new

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, instance: Any, owner: type) -> Any:
        if instance is None:
            return self
        warn_renamed(f"{owner.__name__}.{self.name}", self.new)
        return getattr(instance, self.new)

    def __set__(self, instance: Any, value: Any) -> None:
        warn_renamed(f"{type(instance).__name__}.{self.name}", self.new)
        setattr(instance, self.new, value)
