"""The type checker that `--jaxtyping-packages` uses: beartype, for annotations of arrays alone.

Other annotations are mypy's affair. Here they must not be enforced: the tests give the public functions wrong
arguments, to see that memspan refuses them in its own words.
"""

from typing import get_args

from beartype import beartype
from jaxtyping import AbstractArray


def mentions_an_array(annotation):
    """Whether there is an array with axes anywhere in it."""
    if isinstance(annotation, type) and issubclass(annotation, AbstractArray):
        return True
    return any(mentions_an_array(part) for part in get_args(annotation))


def arrays_only(function):
    """Check what `function` takes and returns where that is an array with axes."""
    kept = {name: of for name, of in function.__annotations__.items() if mentions_an_array(of)}
    function.__annotations__ = kept
    return beartype(function) if kept else function
