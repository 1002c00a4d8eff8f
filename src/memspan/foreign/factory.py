"""Calling the user's factory of models: the checks of its arguments and their messages."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from memspan.errors import InvalidArgument, shown
from memspan.foreign.faulty import FaultyModel, raised

JAX_TAKES_KEY = "the factory of a JAX model takes an argument key"
"""The hint for a factory that returns no PyTorch module: without `key`, memspan takes it for a PyTorch factory."""

Y_ALONE = "a model that returns y alone; those of Steps and Sequence return the state too"
"""The usual cause if a model does not return a pair."""


def name_of(factory: Any) -> str:
    """Return the name of a factory in messages, such as `mypkg.cells:mine`."""
    module, qualified = getattr(factory, "__module__", None), getattr(factory, "__qualname__", None)
    return f"{module}:{qualified}" if module and qualified else shown(factory)


def check_call(factory: Callable[..., Any], sizes: tuple[int, int], arguments: Mapping[str, Any]) -> None:
    """Check that a factory can be called with these arguments."""
    if not callable(factory):
        raise InvalidArgument(
            "factory", "a function (features, outputs, hidden=32) that returns a model", shown(factory)
        )
    try:
        signature = inspect.signature(factory)
    except (TypeError, ValueError):  # a builtin; the call will tell
        return
    try:
        signature.bind(*sizes, **arguments)
    except TypeError as error:
        called = f"(features, outputs, {', '.join(f'{one}=...' for one in arguments)})"
        rule, found = f"must be callable as {called}", f"its signature is {signature}: {error}"
        raise FaultyModel(f"The factory {name_of(factory)}", rule, found) from None


def called(factory: Callable[..., Any], sizes: tuple[int, int], arguments: Mapping[str, Any]) -> Any:
    """Return what a factory makes.

    Raises
    ------
    FaultyModel
        If it raises an error.
    """
    try:
        return factory(*sizes, **arguments)
    except (Exception, SystemExit) as error:  # a script may call sys.exit
        raise FaultyModel(f"The factory {name_of(factory)}", "must return a model", raised(error)) from error
