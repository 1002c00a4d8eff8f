"""The solved share of several configurations against length."""

from collections.abc import Mapping
from dataclasses import dataclass
from textwrap import fill, shorten
from typing import TYPE_CHECKING, Any

import numpy as np

from memspan.figures.shares import INTERVALS, draw_intervals, intervals
from memspan.figures.style import BLACK, BLUE, GREEN, GREY, ORANGE, mark_lengths, new_figure, tidy
from memspan.span import SolvedShare

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_CONFIGURATIONS = 8
"""The maximum number of lines. More configurations are drawn as a map with a row for each."""
MOST_ROWS = 60  # labels on the axis of a map
COLOURS = (BLUE, ORANGE, GREEN, "#CC79A7", "#56B4E9", "#E69F00", BLACK, GREY)
MARKERS = "os^Dv<>P"


@dataclass(frozen=True)
class SharesByLength:
    """The share of repetitions that solved each length, by configuration.

    Attributes
    ----------
    title : str
    shares : mapping of str to mapping of int to SolvedShare
        The shares by label of the configuration and by length.
    """

    title: str
    shares: Mapping[str, Mapping[int, SolvedShare]]

    columns = ("configuration", "length", "repetitions", "solved", "share", *INTERVALS)

    def rows(self) -> list[tuple[Any, ...]]:
        """Return the drawn numbers."""
        return [
            (label, length, share.trials, share.solved, share.share, *intervals(share))
            for label, shares in self.shares.items()
            for length, share in shares.items()
        ]


def draw_shares(record: SharesByLength) -> "Figure":
    """Draw lines with intervals, or a map if there are many configurations."""
    drawn = {label: shares for label, shares in record.shares.items() if shares}
    lengths = sorted({length for shares in drawn.values() for length in shares})
    draw = _draw_lines if len(drawn) <= MOST_CONFIGURATIONS else _draw_map
    return draw(record.title, drawn, lengths)


def _draw_lines(title: str, drawn: Mapping[str, Mapping[int, SolvedShare]], lengths: list[int]) -> "Figure":
    """Draw one line per configuration, shifted a little so that the intervals do not overlap."""
    figure = new_figure(9.4, 4.6, f"{title}\nBars: 95 % Wilson interval")
    ax = figure.subplots()
    width = lengths[-1] - lengths[0] or lengths[-1]
    for k, (label, shares) in enumerate(drawn.items()):
        at = np.array([*shares]) + 0.008 * width * (k - (len(drawn) - 1) / 2)
        look: dict[str, Any] = {"color": COLOURS[k], "marker": MARKERS[k], "linewidth": 1.5, "elinewidth": 0.8}
        draw_intervals(ax, at, [*shares.values()], markersize=5, capsize=2, label=fill(label, 40), **look)
    ax.axhline(0.5, color=BLACK, linestyle=":", linewidth=1, label="half of the repetitions")
    ax.set(xlabel="sequence length T (time steps)", ylabel="share that solved", ylim=(-0.05, 1.05))
    mark_lengths(ax, lengths)
    ax.legend(frameon=False, fontsize="small", loc="upper left", bbox_to_anchor=(1.0, 1.0))
    tidy(ax)
    return figure


def _draw_map(title: str, drawn: Mapping[str, Mapping[int, SolvedShare]], lengths: list[int]) -> "Figure":
    """Draw one row per configuration: darker means a larger share, white means no trials."""
    table = np.array(
        [[row[n].share if n in row else np.nan for n in lengths] for row in drawn.values()], np.float64
    )
    figure = new_figure(
        min(max(7.0, 5.5 + 0.35 * len(lengths)), 14.0), 1.3 + 0.2 * min(len(drawn), MOST_ROWS), title
    )
    ax = figure.subplots()
    colours = ax.imshow(table, cmap="viridis_r", vmin=0, vmax=1, aspect="auto", interpolation="nearest")
    every = -(-len(drawn) // MOST_ROWS)
    rows = range(0, len(drawn), every)
    labels = [*drawn]
    ax.set_yticks(rows, [shorten(labels[k], 50, placeholder=" ...") for k in rows], fontsize="small")
    columns = range(0, len(lengths), -(-len(lengths) // 25))
    ax.set_xticks(columns, [str(lengths[k]) for k in columns])
    ax.set(xlabel="sequence length T (time steps)")
    figure.colorbar(colours, ax=ax, label="share that solved")
    return figure
