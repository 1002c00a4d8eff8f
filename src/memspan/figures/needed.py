"""The updates to the end of the plateau against the sequence length, for one or several configurations."""

from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np

from memspan.errors import InvalidArgument
from memspan.figures.configurations import COLOURS, MARKERS
from memspan.figures.style import BLACK, GREY, mark_lengths, new_figure, plain_ticks, tidy
from memspan.span import SpanEstimate

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class NeededByLength:
    """The updates after which the networks of a configuration leave the plateau, by length.

    Attributes
    ----------
    label : str
    lengths : sequence of int
        In ascending order.
    low, median, high : sequence of float
        The quartiles over the networks, at each length; infinity where they are too large to be known.
    given : int
        The updates given.
    estimate : SpanEstimate or None
        The length at which half of the networks leave the plateau in time; None if it is not known.
    by_noise : bool
        Whether networks leave it by noise, with no help of the label.
    """

    label: str
    lengths: Sequence[int]
    low: Sequence[float]
    median: Sequence[float]
    high: Sequence[float]
    given: int
    estimate: SpanEstimate | None
    by_noise: bool = False


@dataclass(frozen=True)
class NeededUpdates:
    """The same for several configurations."""

    title: str
    configurations: Sequence[NeededByLength]

    columns = ("configuration", "length", "low", "median", "high", "given")

    def rows(self) -> list[tuple[Any, ...]]:
        """Return one row per configuration and length."""
        return [
            (one.label, *numbers, one.given)
            for one in self.configurations
            for numbers in zip(one.lengths, one.low, one.median, one.high, strict=True)
        ]


def demand_few(count: int) -> None:
    """Raise `InvalidArgument` if there are more configurations than colours."""
    if count > len(COLOURS):
        raise InvalidArgument("configurations", f"at most {len(COLOURS)} in one figure", count)


def draw_needed(record: NeededUpdates) -> "Figure":
    """Draw median and quartiles of the updates, on logarithmic axes, and the updates given as lines.

    Lines are dotted where networks leave the plateau by noise. A triangle at the upper edge stands for a median
    that is too large to be known.
    """
    figure = new_figure(8.6, 4.4, record.title)
    ax = figure.subplots()
    finite = [n for one in record.configurations for n in (*one.median, one.given) if np.isfinite(n)]
    top, bottom = 3 * max(finite), 0.7 * min(finite)
    for one, colour, marker in zip(record.configurations, COLOURS, MARKERS, strict=False):
        _draw_one(ax, one, colour, marker, top)
    for given in sorted({one.given for one in record.configurations}):
        ax.axhline(given, color=BLACK, linestyle="--", linewidth=1)
        place: Any = {"xycoords": ("axes fraction", "data"), "xytext": (4, 3), "textcoords": "offset points"}
        shade = {"boxstyle": "square,pad=0.1", "facecolor": "white", "edgecolor": "none", "alpha": 0.8}
        ax.annotate(f"{given:,} updates given", (0, given), **place, va="bottom", fontsize="small", bbox=shade)
    ax.set(xscale="log", yscale="log", ylim=(bottom, top))
    ax.set(xlabel="sequence length T (time steps, log scale)", ylabel=f"updates {_what(record)} (log scale)")
    plain_ticks(ax, "{:,.0f}".format)
    mark_lengths(ax, sorted({length for one in record.configurations for length in one.lengths}))
    ax.legend(
        handles=_legend(ax, record),
        loc="upper left",
        bbox_to_anchor=(1.0, 1.0),
        frameon=False,
        fontsize="small",
    )
    tidy(ax)
    return figure


def _what(record: NeededUpdates) -> str:
    """What the updates lead to."""
    kinds = {one.by_noise for one in record.configurations}
    if len(kinds) > 1:
        return "to the end of the plateau"
    return "until noise throws R" if True in kinds else "needed"


def _draw_one(ax: "Axes", one: NeededByLength, colour: str, marker: str, top: float) -> None:
    lengths, median = np.array(one.lengths), np.array(one.median)
    low, high = (np.minimum(values, top) for values in (one.low, one.high))
    known = np.isfinite(median)
    ax.fill_between(lengths, low, high, color=colour, alpha=0.15, linewidth=0)
    line = marker + (":" if one.by_noise else "-")
    ax.plot(lengths[known], median[known], line, color=colour, ms=4.5, label=fill(one.label, 30))
    ax.plot(lengths[~known], np.full((~known).sum(), 0.85 * top), "^", color=colour, ms=6, mfc="none")
    if one.estimate is not None and (span := one.estimate.span) is not None:
        ends = one.estimate.low, one.estimate.high
        widths = [[abs(span - (span if end is None else end))] for end in ends]
        ax.errorbar(span, one.given, xerr=widths, color=colour, capsize=4, zorder=3)
        ax.plot(span, one.given, "D", color=colour, ms=7, mec=BLACK, zorder=4)


def _legend(ax: "Axes", record: NeededUpdates) -> list["Artist"]:
    """The configurations, and what the other marks mean that occur in the figure."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Artist] = [line for line in ax.get_lines() if not str(line.get_label()).startswith("_")]
    handles.append(Patch(color=GREY, alpha=0.3, linewidth=0, label="quartiles"))
    if any(one.by_noise for one in record.configurations):
        handles.append(Line2D([], [], color=GREY, linestyle=":", label="noise throws R,\nwith no label"))
    if any(one.estimate is not None and one.estimate.span is not None for one in record.configurations):
        meaning = "half of the networks\nleave in time (95 %)"
        handles.append(Line2D([], [], marker="D", color=GREY, ms=7, mec=BLACK, label=meaning))
    if not all(np.isfinite(one.median).all() for one in record.configurations):
        meaning = "median too large\nto be known"
        handles.append(Line2D([], [], marker="^", color=GREY, ms=6, mfc="none", linestyle="", label=meaning))
    return handles
