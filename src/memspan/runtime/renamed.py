"""Names that have changed: the old one works for one version more, and warns with the new one."""

import functools
import warnings
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar

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

    Where both names are given, both stay, and whoever reads them refuses the old one.
    """
    found = {}
    for name, value in given.items():
        new = names.get(name)
        if new is None or new in given:
            found[name] = value
        else:
            warn_renamed(name, new, stacklevel=stacklevel + 1)
            found[new] = value
    return found


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
    """An old attribute: reads the new one, and warns."""

    def __init__(self, new: str) -> None:
        self.new = new

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, instance: Any, owner: type) -> Any:
        if instance is None:
            return self
        warn_renamed(f"{owner.__name__}.{self.name}", self.new)
        return getattr(instance, self.new)
