"""The spans of several configurations: a forest plot, and a span against one quantity."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from memspan.figures.style import BLUE, ORANGE, balanced, new_figure, tidy
from memspan.span import SpanEstimate
from memspan.span.ranking import rank
from memspan.span.slope import Slope

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LETTERS = 50  # of a label in a line
TICKS = ((4, ()), (10, (1.0, 1.5, 2.0, 3.0, 5.0, 7.0)), (100, (1.0, 2.0, 5.0)), (1000, (1.0, 3.0)))
"""The ticks of an axis up to some ratio of its ends: multiples of powers of ten; where none, in even steps."""
MOST_BAND = 2.0
"""A band widens its axis by at most this factor on each side, because that of three spans may be very wide."""


@dataclass(frozen=True)
class NamedSpan:
    """The span of a configuration.

    Attributes
    ----------
    label : str
    hidden : int
    parameters : int
        The number of its weights.
    estimate : SpanEstimate
    chosen : mapping of str to any
        The values that were chosen for it, by field: tuned ones, and the hidden size that makes the numbers of
        weights equal.
    """

    label: str
    hidden: int
    parameters: int
    estimate: SpanEstimate
    chosen: Mapping[str, Any] = field(default_factory=dict)

    def row(self) -> dict[str, Any]:
        """Return the numbers by column."""
        size = {"configuration": self.label, "hidden": self.hidden, "parameters": self.parameters}
        names = ("span", "low", "high", "share", "level", "trainings", "fits")
        return {**size, **self.chosen, **{name: getattr(self.estimate, name) for name in names}}


@dataclass(frozen=True)
class Forest:
    """The spans of several configurations, side by side.

    Attributes
    ----------
    title : str
    spans : sequence of NamedSpan
    """

    title: str
    spans: Sequence[NamedSpan]

    @property
    def columns(self) -> tuple[str, ...]:
        """The column names of `rows`."""
        return tuple(self.spans[0].row())

    def rows(self) -> list[tuple[Any, ...]]:
        """Return one row per configuration, the longest span first."""
        return [tuple(span.row().values()) for span in by_span(self.spans)]


@dataclass(frozen=True)
class SpanByQuantity:
    """The span against one quantity, such as the hidden size.

    Attributes
    ----------
    title, quantity : str
    values : sequence of float
        The quantity of each configuration.
    spans : sequence of NamedSpan
    slope : Slope or None
        The power law fitted through the spans; None if too few of them are known.
    """

    title: str
    quantity: str
    values: Sequence[float]
    spans: Sequence[NamedSpan]
    slope: Slope | None

    @property
    def columns(self) -> tuple[str, ...]:
        """The column names of `rows`."""
        return tuple(self._table[0])

    def rows(self) -> list[tuple[Any, ...]]:
        """Return one row per value."""
        return [tuple(row.values()) for row in self._table]

    @property
    def _table(self) -> list[dict[str, Any]]:
        found = []
        for value, span in zip(self.values, self.spans, strict=True):
            row = span.row()
            del row["configuration"]
            found.append({self.quantity: value} | row)
        return found


def by_span(spans: Sequence[NamedSpan]) -> list[NamedSpan]:
    """Sort by span, the longest first. A span beyond its tried lengths comes before all within theirs."""
    return sorted(spans, key=lambda span: rank(span.estimate), reverse=True)


def draw_forest(record: Forest) -> "Figure":
    """Draw an interval for each configuration, the longest span at the top, on a logarithmic axis."""
    spans = by_span(record.spans)
    labels = [_label(span) for span in spans]
    row_height = 0.08 + 0.15 * max(len(label.splitlines()) for label in labels)
    figure = new_figure(9.4, 1.1 + row_height * len(spans), record.title)
    ax = figure.subplots()
    edges = _edges([span.estimate for span in spans])
    for row, span in enumerate(spans):
        _draw_interval(ax, span.estimate, row, edges)
    ax.set_xscale("log")
    ax.set(xlim=edges, ylim=(len(spans) - 0.4, -0.6), xlabel=_axis(record.spans))
    ax.set_yticks(range(len(spans)), labels, fontsize="small")
    right = ax.secondary_yaxis("right")
    right.set_yticks(range(len(spans)), [span.estimate.short for span in spans])
    right.tick_params(length=0, pad=10)
    right.spines[:].set_visible(False)
    _plain_ticks(ax)
    tidy(ax)
    return figure


def _label(span: NamedSpan) -> str:
    chosen = [f"{name.replace('_', ' ')} {value}" for name, value in span.chosen.items()]
    cost = f"{span.parameters:,} weights, {span.estimate.trainings:,} trainings"
    return "\n".join([*balanced(span.label, LETTERS), *balanced(", ".join([*chosen, cost]), LETTERS)])


def _draw_interval(
    ax: Any, estimate: SpanEstimate, at: float, edges: tuple[float, float], *, upright: bool = False
) -> None:
    """Draw the interval as a line, with an arrow to the edge where it is open, and the span as a dot.

    The dot is hollow if no smooth curve fits. The interval is horizontal at `at`, or `upright`.
    """

    def plot(lengths: list[float], *style: str, **look: Any) -> None:
        where = [at] * len(lengths)
        ax.plot(*((where, lengths) if upright else (lengths, where)), *style, color=BLUE, **look)

    low, high = edges[0] if estimate.low is None else estimate.low, estimate.high or edges[1]
    plot([low, high], linewidth=2.5, solid_capstyle="butt")
    backward, forward = "v^" if upright else "<>"
    for is_open, arrow, end in ((estimate.left_censored, backward, low), (estimate.right_censored, forward, high)):
        if is_open:
            plot([end], arrow, markersize=8, clip_on=False)
    if estimate.span is not None:
        plot([estimate.span], "o", markersize=7, markerfacecolor=BLUE if estimate.fits else "white")


def draw_sweep(record: SpanByQuantity) -> "Figure":
    """Draw the span against the quantity on logarithmic axes, with the fitted power law and its band."""
    figure = new_figure(7.6, 4.2, record.title)
    ax = figure.subplots()
    edges = _edges([span.estimate for span in record.spans])
    for value, span in zip(record.values, record.spans, strict=True):
        _draw_interval(ax, span.estimate, value, edges, upright=True)
    first = record.spans[0].estimate
    ax.plot([], [], "o-", color=BLUE, label=f"{first.name}, {100 * first.level:g} % interval")
    if record.slope is not None:
        edges = _widened(edges, record.slope.line(np.array([min(record.values), max(record.values)])))
        x = np.geomspace(min(record.values), max(record.values), 100)
        middle, under, over = record.slope.line(x)
        ax.plot(x, middle, color=ORANGE, linewidth=1.5, label="fitted power law")
        look: dict[str, Any] = {"color": ORANGE, "alpha": 0.15, "linewidth": 0}
        ax.fill_between(x, under, over, label=f"{100 * record.slope.level:g} % band", **look)
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set(xlabel=f"{record.quantity} (log scale)", ylabel=_axis(record.spans), ylim=edges)
    ax.set_xticks(record.values, [f"{value:g}" for value in record.values])
    ax.minorticks_off()
    _plain_ticks(ax, "y")
    ax.legend(frameon=False, fontsize="small", loc="upper left")
    tidy(ax)
    return figure


def _axis(spans: Sequence[NamedSpan]) -> str:
    first = spans[0].estimate
    hollow = "" if all(span.estimate.fits for span in spans) else "\nhollow: no smooth curve fits the counts"
    return f"span {first.name} (time steps, log scale), {100 * first.level:g} % interval{hollow}"


def _edges(estimates: Sequence[SpanEstimate]) -> tuple[float, float]:
    """The ends of an axis that holds every interval, and leaves room for arrows at open ends."""
    known = [end for found in estimates for end in (found.low, found.span, found.high) if end is not None] or [
        1,
        10,
    ]
    return 0.75 * min(known), 1.4 * max(known)


def _widened(edges: tuple[float, float], line: Sequence[np.ndarray]) -> tuple[float, float]:
    """The ends of an axis that also holds the band of a line, as far as `MOST_BAND` allows."""
    (low, high), (_, under, over) = edges, line
    return (
        min(low, max(0.95 * under.min(), low / MOST_BAND)),
        max(high, min(1.05 * over.max(), high * MOST_BAND)),
    )


def _plain_ticks(ax: Any, axis: str = "x") -> None:
    """Write the numbers on a logarithmic axis as 20 and not as 2 x 10^1: enough of them, none over another."""
    from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator, StrMethodFormatter

    scale = ax.xaxis if axis == "x" else ax.yaxis
    low, high = ax.get_xlim() if axis == "x" else ax.get_ylim()
    multiples = next((subs for most, subs in TICKS if high / low <= most), (1.0,))
    even = MaxNLocator(6, steps=[1, 2, 5, 10])
    scale.set_major_locator(LogLocator(subs=multiples) if multiples else even)
    scale.set_major_formatter(StrMethodFormatter("{x:g}"))
    scale.set_minor_locator(NullLocator())
