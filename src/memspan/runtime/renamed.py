"""Names that have changed: the old one works for one version more, and warns with the new one."""

import functools
import warnings
from collections.abc import Callable, Container, Mapping
from typing import Any, ParamSpec, TypeVar

from memspan.errors import InvalidArgument

P = ParamSpec("P")
R = TypeVar("R")

UNTIL = "0.3"
"""The version that no longer knows the old names."""


class RenamedWarning(FutureWarning):
    """An old name was used."""


def warn_renamed(old: str, new: str, *, stacklevel: int = 2) -> None:
    """Warn that `old` is now `new`, in one line."""
    message = f"{old} is now {new}; the old name stops working in memspan {UNTIL}"
    warnings.warn(message, RenamedWarning, stacklevel=stacklevel + 1)


def with_new_names(given: Mapping[str, Any], names: Mapping[str, str], *, stacklevel: int = 2) -> dict[str, Any]:
    """`given` with its old names replaced; warn for each.

    Raises
    ------
    InvalidArgument
        For an old name that is given together with the new one.
    """
    found = {}
    for name, value in given.items():
        new = names.get(name, name)
        if new != name:
            refuse_both(name, new, value, given)
            warn_renamed(name, new, stacklevel=stacklevel + 1)
        found[new] = value
    return found


def refuse_both(old: str, new: str, value: Any, given: Container[str]) -> None:
    """Refuse an old name beside the new one: which of the two is meant cannot be told."""
    if new in given:
        raise InvalidArgument(old, f"left out, as it is the old name of {new}, which is given too", repr(value))


def renamed_keywords(**names: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let a function take its old keywords too: `@renamed_keywords(old="new")`."""

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def call(*arguments: P.args, **keywords: P.kwargs) -> R:
            if names.keys() & keywords.keys():
                return function(*arguments, **with_new_names(keywords, names, stacklevel=2))
            return function(*arguments, **keywords)

        return call

    return decorate


class RenamedAttribute:
    """An old attribute: reads and writes the new one, and warns."""

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
