"""The span: the share that solved each length, the fitted curve with its band, and the path of the search."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from memspan.figures.shares import INTERVALS, draw_intervals, intervals
from memspan.figures.style import BLACK, BLUE, GREY, ORANGE, mark_lengths, new_figure, tidy
from memspan.shapes import Array
from memspan.span import SolvedShare, SpanEstimate

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class RoundOfSearch:
    """A round of a search: how many of how many trainings solved each length, and the estimate after it."""

    counts: Mapping[int, tuple[int, int]]
    estimate: SpanEstimate


@dataclass(frozen=True)
class SpanByLength:
    """The data of a span and how they were found.

    Attributes
    ----------
    title : str
    shares : mapping of int to SolvedShare
        The share of trainings that solved each length.
    estimate : SpanEstimate
    curve : array [4, points]
        Lengths, and at each the probability of solving it: the median of the posterior, and the ends of its band.
    rounds : sequence of RoundOfSearch
        The path of the search; empty for a study.
    """

    title: str
    shares: Mapping[int, SolvedShare]
    estimate: SpanEstimate
    curve: Array
    rounds: Sequence[RoundOfSearch] = field(default=())

    columns = ("length", "trainings", "solved", "share", *INTERVALS, "fitted")

    def rows(self) -> list[tuple[Any, ...]]:
        """Return one row per length."""
        fitted = np.interp(np.log(list(self.shares)), np.log(self.curve[0]), self.curve[1]).tolist()
        return [
            (length, share.trials, share.solved, share.share, *intervals(share), p)
            for (length, share), p in zip(self.shares.items(), fitted, strict=True)
        ]


def draw_span(record: SpanByLength) -> "Figure":
    """Draw shares, fitted curve and span; below them, if there was a search, its rounds on the same axis."""
    figure = new_figure(9.4, 5.8 if record.rounds else 3.8, record.title)
    if record.rounds:
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 2])
        _draw_path(lower, record)
    else:
        upper = lower = figure.subplots()
    draw_fit(upper, record)
    lengths = list(record.shares)
    lower.set_xscale("log")
    lower.set(xlabel="sequence length T (time steps, log scale)", xlim=(0.85 * lengths[0], 1.18 * lengths[-1]))
    mark_lengths(lower, lengths)
    for ax in dict.fromkeys((upper, lower)):
        ax.legend(frameon=False, fontsize="small", loc="upper left", bbox_to_anchor=(1.0, 1.0))
        tidy(ax)
    return figure


def draw_fit(ax: Any, record: SpanByLength) -> None:
    """Draw shares, fitted curve and span on axes."""
    estimate = record.estimate
    x, fitted, under, over = record.curve
    # The band knows smooth curves only, so the legend says where none of them fits.
    name = "fitted curve" if estimate.fits else "smooth curve\n(none fits the counts)"
    ax.fill_between(x, under, over, color=BLUE, alpha=0.15, linewidth=0, label=f"{100 * estimate.level:g} % band")
    ax.plot(x, fitted, color=BLUE, linewidth=1.5, label=name)
    look: dict[str, Any] = {"fmt": "o", "color": ORANGE, "capsize": 2, "linewidth": 1, "markersize": 4}
    label = "share of trainings,\n95 % Wilson interval"
    draw_intervals(ax, [*record.shares], [*record.shares.values()], label=label, **look)
    ax.axhline(estimate.share, color=GREY, linestyle=":", linewidth=1)
    _mark_span(ax, estimate, record.curve)
    ax.set(ylabel="share that solved T", ylim=(-0.05, 1.05))


def _mark_span(ax: Any, estimate: SpanEstimate, curve: Array) -> None:
    """Draw the interval on the level of the share, to the edge of the data where it is open."""
    low, high = _ends(estimate, curve)
    label = f"{estimate.name}: {estimate.short},\n{100 * estimate.level:g} % interval"
    ax.plot(
        [low, high], [estimate.share] * 2, color=BLACK, linewidth=4, alpha=0.85, label=label, solid_capstyle="butt"
    )
    for is_open, marker, place in ((estimate.left_censored, "<", low), (estimate.right_censored, ">", high)):
        if is_open:
            ax.plot([place], [estimate.share], marker, color=BLACK, markersize=9, clip_on=False)
    if estimate.span is not None:
        ax.plot([estimate.span], [estimate.share], "D", color="white", markeredgecolor=BLACK, markersize=7)


def _draw_path(ax: Any, record: SpanByLength) -> None:
    """Draw for each round what was trained, filled by the share that solved it, and the interval after it."""
    numbers = range(1, len(record.rounds) + 1)
    ends = [_ends(one.estimate, record.curve) for one in record.rounds]
    ax.fill_betweenx(numbers, *np.transpose(ends), color=GREY, alpha=0.25, linewidth=0, label="interval so far")
    for number, one in zip(numbers, record.rounds, strict=True):
        for length, (solved, trials) in one.counts.items():
            share, size = solved / max(trials, 1), 3.5 + 1.2 * np.sqrt(trials)
            ax.plot(length, number, "o", markersize=size, color=BLUE, fillstyle="none", markeredgewidth=0.8)
            ax.plot(length, number, "o", markersize=size, color=BLUE, alpha=share, markeredgewidth=0)
    look: dict[str, Any] = {"color": BLUE, "linestyle": "none", "marker": "o", "markersize": 6}
    ax.plot([], [], **look, label="all trainings solved T")
    ax.plot([], [], **look, markerfacecolor=(BLUE, 0.5), label="some solved T")
    ax.plot([], [], **look, fillstyle="none", label="none solved T")
    ax.set(ylabel="round of the search", ylim=(len(record.rounds) + 0.6, 0.4))
    ax.set_yticks([n for n in numbers if len(numbers) <= 12 or n % 5 == 0])


def _ends(estimate: SpanEstimate, curve: Array) -> tuple[float, float]:
    """The ends of an interval, or those of the data where it is open."""
    return (
        float(curve[0, 0]) if estimate.low is None else estimate.low,
        float(curve[0, -1]) if estimate.high is None else estimate.high,
    )
