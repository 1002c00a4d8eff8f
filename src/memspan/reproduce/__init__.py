"""Published numbers, run again: each with a rule that says what agrees."""

import time

from memspan.errors import InvalidArgument
from memspan.reproduce import assignment, bai2018, capacity, hs97
from memspan.reproduce.base import Finding, Options, Reproduction, Verdict
from memspan.reproduce.page import Page

_ALL = (
    assignment.REPRODUCTION,
    hs97.ADDING,
    hs97.ORDER,
    bai2018.COPYING,
    bai2018.CURVE,
    capacity.REPRODUCTION,
)
REPRODUCTIONS: dict[str, Reproduction] = {reproduction.name: reproduction for reproduction in _ALL}
"""Every reproduction by name."""


def reproduce(name: str, options: Options = Options()) -> Page:  # noqa: B008  (frozen)
    """Run a reproduction.

    Parameters
    ----------
    name : str
        One of `REPRODUCTIONS`.
    options : Options

    Returns
    -------
    Page
        The published numbers, ours, and a verdict on each.
    """
    if name not in REPRODUCTIONS:
        raise InvalidArgument("name", "one of " + ", ".join(REPRODUCTIONS), repr(name))
    begin = time.perf_counter()
    measured = REPRODUCTIONS[name].measure(options)
    return Page.made(REPRODUCTIONS[name], options, measured, time.perf_counter() - begin)


__all__ = ["REPRODUCTIONS", "Finding", "Options", "Page", "Reproduction", "Verdict", "reproduce"]
