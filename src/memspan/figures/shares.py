"""Solved shares with their intervals: as cells of a table, and as points with bars."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from memspan.shapes import Array
from memspan.span import SolvedShare

INTERVALS = ("wilson low", "wilson high", "clopper-pearson low", "clopper-pearson high")
"""The columns of `intervals`."""


def intervals(share: SolvedShare) -> tuple[float, float, float, float]:
    """Return the ends of both 95 % intervals of a share."""
    return (share.low, share.high, *share.exact)


def draw_intervals(ax: Any, at: Sequence[float] | Array, shares: Sequence[SolvedShare], **look: Any) -> None:
    """Draw shares as points, with the Wilson intervals as bars; `look` is that of `Axes.errorbar`."""
    middle = np.array([share.share for share in shares])
    low, high = (np.array([getattr(share, end) for share in shares]) for end in ("low", "high"))
    # Rounding may put the Wilson interval of 0/n slightly above 0, and error bars must not be negative.
    ax.errorbar(at, middle, np.clip([middle - low, high - middle], 0, None), **look)
