"""Solved share against length, a line for each configuration: which of them reaches further."""

from collections.abc import Mapping
from dataclasses import dataclass
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np

from memspan.figures.style import BLACK, BLUE, GREEN, GREY, ORANGE, new_figure, tidy
from memspan.span import SolvedShare

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_CONFIGURATIONS = 8
"""Lines that can be told apart; of more each is grey, and the table has the numbers."""
COLOURS = (BLUE, ORANGE, GREEN, "#CC79A7", "#56B4E9", "#E69F00", BLACK, GREY)
MARKERS = "os^Dv<>P"


@dataclass(frozen=True)
class SharesByLength:
    """How many repetitions of each configuration solved each length.

    Attributes
    ----------
    title : str
    shares : mapping of str to mapping of int to SolvedShare
        By what sets a configuration apart, and by length.
    """

    title: str
    shares: Mapping[str, Mapping[int, SolvedShare]]

    columns = ("configuration", "length", "repetitions", "solved", "share", "wilson low", "wilson high")

    def rows(self) -> list[tuple[Any, ...]]:
        """What is drawn."""
        return [
            (label, length, share.trials, share.solved, share.share, share.low, share.high)
            for label, shares in self.shares.items()
            for length, share in shares.items()
        ]


def draw_shares(record: SharesByLength) -> "Figure":
    """One line each; a little apart, so that intervals do not lie on one another."""
    figure = new_figure(9.4, 5.0)
    ax = figure.subplots()
    drawn = {label: shares for label, shares in record.shares.items() if shares}
    lengths = sorted({length for shares in drawn.values() for length in shares})
    distinct = len(drawn) <= MOST_CONFIGURATIONS
    step = 0.006 * (lengths[-1] - lengths[0] or lengths[-1]) if distinct else 0.0
    for k, (label, shares) in enumerate(drawn.items()):
        at = np.array([*shares]) + step * (k - (len(drawn) - 1) / 2)
        middle = np.array([share.share for share in shares.values()])
        if not distinct:
            ax.plot(at, middle, color=GREY, alpha=0.5, linewidth=1)
            continue
        low, high = (np.array([getattr(share, end) for share in shares.values()]) for end in ("low", "high"))
        reach = np.clip([middle - low, high - middle], 0, None)
        look: dict[str, Any] = {
            "color": COLOURS[k],
            "marker": MARKERS[k],
            "linewidth": 1.5,
            "elinewidth": 0.8,
            "capsize": 2,
        }
        ax.errorbar(at, middle, reach, markersize=5, label=fill(label, 40), **look)
    ax.axhline(0.5, color=BLACK, linestyle=":", linewidth=1, label="half of the repetitions")
    ax.set(xlabel="sequence length T (time steps)", ylabel="share that solved", ylim=(-0.05, 1.05))
    ax.set_title(fill(record.title + ("; bars: 95 % Wilson interval" if distinct else ""), 90))
    ax.legend(frameon=False, fontsize="small", loc="upper left", bbox_to_anchor=(1.0, 1.0))
    tidy(ax)
    return figure
