"""What limits a configuration, by length: solved shares, updates, and the gradient that is left."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from memspan.figures.gradients import ZERO
from memspan.figures.panels import fill, head
from memspan.figures.span import SpanByLength, draw_fit
from memspan.figures.style import BLACK, BLUE, GREY, ORANGE, mark_lengths, new_figure, plain_ticks, tidy
from memspan.shapes import PerStep

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Quartiles = Mapping[int, tuple[float, float, float]]
"""The lower quartile, the median and the upper quartile over networks, by length."""

BEYOND = 1e4
"""The most by which a quartile widens the axis of factors. Bars that are longer end at its edge."""
FACTOR = "‖dL/da‖, first / last step"
COLUMNS = ("panel", "line", "x", "y", "low", "high")
"""The columns of the drawn numbers, of all panels."""


@dataclass(frozen=True)
class Leaving:
    """The updates after which networks leave the plateau.

    Attributes
    ----------
    given : int
        The updates given.
    predicted, measured : mapping of int to (low, median, high)
        Quartiles by length: before training, and in training. Infinity for never. `predicted` may be empty.
    prediction : str
        What is predicted.
    """

    given: int
    predicted: Quartiles
    measured: Quartiles
    prediction: str = "predicted"


@dataclass(frozen=True)
class LimitsByLength:
    """What limits a configuration, by length. A panel without data is a sentence that says why.

    Attributes
    ----------
    title : str
    length : int or None
        The length that the verdict is about, which is marked; None without a verdict.
    span : SpanByLength or str
        The solved shares and the fitted span.
    leaving : Leaving or str
        Updates needed against updates given.
    reach : mapping of str to Quartiles, or str
        The factor by which the gradient changes from the last step to the first one, by length; before training,
        and after it.
    """

    title: str
    length: int | None
    span: SpanByLength | str
    leaving: Leaving | str
    reach: Mapping[str, Quartiles] | str

    columns = COLUMNS

    def rows(self) -> list[tuple[Any, ...]]:
        """Return one row per drawn point.

        x is the length. In the panel `solved` y is the share and its Wilson interval; in `updates` and `reach` it
        is the median between its quartiles.
        """
        found: list[tuple[Any, ...]] = []
        if not isinstance(self.span, str):
            found += [("solved", "share", T, s.share, s.low, s.high) for T, s in self.span.shares.items()]
        if not isinstance(self.leaving, str):
            found.append(("updates", "given", "", self.leaving.given, "", ""))
            for line in ("predicted", "measured"):
                found += _rows_of("updates", line, getattr(self.leaving, line))
        if not isinstance(self.reach, str):
            for line, quartiles in self.reach.items():
                found += _rows_of("reach", line, quartiles)
        return found

    @property
    def lengths(self) -> list[int]:
        """All lengths of the panels, ascending."""
        found: set[int] = {self.length} if self.length else set()
        if not isinstance(self.span, str):
            found |= {*self.span.shares}
        if not isinstance(self.leaving, str):
            found |= {*self.leaving.predicted, *self.leaving.measured}
        if not isinstance(self.reach, str):
            found |= {length for quartiles in self.reach.values() for length in quartiles}
        return sorted(found)


def _rows_of(panel: str, line: str, quartiles: Quartiles) -> list[tuple[Any, ...]]:
    return [(panel, line, length, middle, low, high) for length, (low, middle, high) in quartiles.items()]


def draw_limits(record: LimitsByLength) -> "Figure":
    """Draw the three panels over length, one below the other."""
    figure = new_figure(6.6, 8.2, record.title)
    draw_limits_in(figure, figure.add_gridspec(1, 1)[0], record)
    return figure


def draw_limits_in(figure: "Figure", place: Any, record: LimitsByLength) -> None:
    """Draw the panels of `draw_limits` in a cell of a grid of the figure."""
    rows = place.subgridspec(3, 1)
    axes = [figure.add_subplot(rows[k]) for k in range(3)]
    fill(axes[0], "How many solve", record.span, _draw_solved)
    fill(axes[1], "Updates to leave the plateau", record.leaving, _draw_leaving)
    fill(axes[2], "Gradient left at the first step", record.reach, _draw_reach)
    _share_lengths(axes, record)
    figure.align_ylabels(axes)


def _share_lengths(axes: Sequence["Axes"], record: LimitsByLength) -> None:
    """Give the panels one axis of lengths, and mark the length of the verdict."""
    for ax in axes[:-1]:
        ax.sharex(axes[-1])
        ax.tick_params(labelbottom=False)
    marked = f"; dotted: T = {record.length}" if record.length else ""
    axes[-1].set(xscale="log", xlabel=f"sequence length T (time steps, log scale{marked})")
    if lengths := record.lengths:
        axes[-1].set_xlim(0.87 * lengths[0], 1.15 * lengths[-1])
        mark_lengths(axes[-1], lengths)
    for ax in axes:
        if record.length and ax.lines:
            ax.axvline(record.length, color=GREY, linestyle=(0, (1, 2)), linewidth=1, zorder=0)


def _draw_solved(ax: "Axes", record: SpanByLength) -> None:
    draw_fit(ax, record)
    handles, labels = ax.get_legend_handles_labels()
    for handle, label in zip(handles, labels, strict=True):
        handle.set_label(label.replace("\n", " "))
    head(ax, "How many solve", handles)
    ax.set_ylabel("share that solved T")
    tidy(ax)


def _draw_leaving(ax: "Axes", record: Leaving) -> None:
    lines = {
        f"{record.prediction}, quartiles": (record.predicted, {"color": BLUE, "marker": "o"}),
        "left in training, quartiles": (record.measured, {"color": ORANGE, "marker": "s"}),
    }
    known = [n for one in (record.predicted, record.measured) for three in one.values() for n in three]
    finite = [n for n in (*known, record.given) if np.isfinite(n)]
    ax.set(yscale="log", ylim=(0.6 * min(finite), 2.5 * max(finite)), ylabel="updates (log scale)")
    plain_ticks(ax, "{:,.0f}".format)
    handles = _draw_lines(ax, lines)
    given = ax.axhline(record.given, color=BLACK, linestyle="--", linewidth=1, label=f"given: {record.given:,}")
    handles.insert(0, given)
    if any(np.isposinf(middle) for one in (record.predicted, record.measured) for _, middle, _ in one.values()):
        handles.append(_mark("^", "half or more never leave"))
    head(ax, "Updates to leave the plateau", handles)
    tidy(ax)


LOOKS: Mapping[str, dict[str, Any]] = {
    "before training": {"color": GREY, "marker": "o"},
    "after training: solved": {"color": BLUE, "marker": "s"},
    "after training: not solved": {"color": ORANGE, "marker": "D"},
}


def _draw_reach(ax: "Axes", record: Mapping[str, Quartiles]) -> None:
    low, medians, high = np.array([three for one in record.values() for three in one.values()]).T
    ends = _ends(low, medians, high)
    margin = max((ends[1] / ends[0]) ** 0.08, 1.5)
    ax.set(yscale="log", ylim=(ends[0] / margin, ends[1] * margin), ylabel=FACTOR)
    plain_ticks(ax)
    lines = {label: (quartiles, LOOKS[label]) for label, quartiles in record.items()}
    handles = _draw_lines(ax, lines)
    ax.axhline(1, color=BLACK, linewidth=0.8, linestyle=":")
    if (medians == 0).any():
        handles.append(_mark(ZERO, "exactly 0"))
    if not np.isfinite(medians).all():
        handles.append(_mark("^", "infinite"))
    head(ax, "Gradient left at the first step (median, quartiles)", handles)
    tidy(ax)


def _ends(low: PerStep, medians: PerStep, high: PerStep) -> tuple[float, float]:
    """The range of the axis of factors: 1, all medians, and quartiles that are not far beyond them."""

    def inside(values: PerStep) -> PerStep:
        return np.append(values[np.isfinite(values) & (values > 0)], 1.0)

    least, most = inside(medians).min(), inside(medians).max()
    return float(max(inside(low).min(), least / BEYOND)), float(min(inside(high).max(), most * BEYOND))


def _mark(marker: str, label: str) -> "Artist":
    from matplotlib.lines import Line2D

    return Line2D([], [], color=BLACK, marker=marker, markersize=5, linestyle="", mfc="none", label=label)


def _draw_lines(ax: "Axes", lines: Mapping[str, tuple[Quartiles, dict[str, Any]]]) -> list["Artist"]:
    """Draw medians, with quartiles as bars. 0 is marked at the lower edge, and infinity at the upper one."""
    from matplotlib.lines import Line2D

    handles: list[Artist] = []
    drawn = {label: one for label, one in lines.items() if one[0]}
    bottom, top = ax.get_ylim()
    edge = ax.get_xaxis_transform()
    for k, (label, (quartiles, look)) in enumerate(drawn.items()):
        at = np.array([*quartiles], float) * 1.012 ** (k - (len(drawn) - 1) / 2)
        low, middle, high = np.array([*quartiles.values()], float).T
        inside = np.isfinite(middle) & (middle > 0)
        bars = np.clip([low, high], bottom, top)
        ax.vlines(at, *bars, color=look["color"], linewidth=1.2, alpha=0.7)
        ax.plot(at, np.where(inside, middle, np.nan), **look, linewidth=1.2, markersize=4)
        for where, mark, height in ((middle == 0, ZERO, 0.03), (np.isposinf(middle), "^", 0.94)):
            place = np.full(int(where.sum()), height)
            ax.plot(at[where], place, mark, color=look["color"], markersize=5, mfc="none", transform=edge)
        handles.append(Line2D([], [], **look, linewidth=1.2, markersize=4, label=label))
    return handles
