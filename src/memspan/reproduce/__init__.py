"""Reproductions of published experiments. A rule decides whether each number agrees with the published one."""

import time

from memspan.errors import InvalidArgument, shown
from memspan.reproduce import assignment, atlas, bai2018, capacity, dependency_length, horizon, hs97
from memspan.reproduce.base import Finding, Options, Reproduction, Verdict
from memspan.reproduce.page import Page

_ALL = (
    assignment.REPRODUCTION,
    hs97.ADDING,
    hs97.ORDER,
    bai2018.COPYING,
    bai2018.CURVE,
    capacity.REPRODUCTION,
    dependency_length.REPRODUCTION,
    atlas.REPRODUCTION,
    horizon.REPRODUCTION,
)
REPRODUCTIONS: dict[str, Reproduction] = {reproduction.name: reproduction for reproduction in _ALL}
"""All reproductions, by name."""


def reproduce(name: str, options: Options = Options()) -> Page:  # noqa: B008  (frozen)
    """Repeat a published experiment and compare its results with the published ones.

    Parameters
    ----------
    name : str
        A key of `REPRODUCTIONS`.
    options : Options
        The length of the run, the number of processes, the seed and the display of progress.

    Returns
    -------
    Page
        The published numbers, the measured ones, and a verdict on each.

    Raises
    ------
    InvalidArgument
        If no reproduction has this name.
    """
    if name not in REPRODUCTIONS:
        raise InvalidArgument("name", "one of " + ", ".join(REPRODUCTIONS), shown(name))
    begin = time.perf_counter()
    measured = REPRODUCTIONS[name].measure(options)
    return Page.made(REPRODUCTIONS[name], options, measured, time.perf_counter() - begin)


__all__ = ["REPRODUCTIONS", "Finding", "Options", "Page", "Reproduction", "Verdict", "reproduce"]
