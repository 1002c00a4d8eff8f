"""Accuracy and solved share against length."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from memspan.figures.shares import INTERVALS, draw_intervals, intervals
from memspan.figures.style import BLACK, BLUE, GREY, ORANGE, mark_lengths, new_figure, tidy
from memspan.span import SolvedShare

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class AccuracyByLength:
    """The accuracy of every repetition, and the solved share, by length.

    Attributes
    ----------
    title : str
    accuracies : mapping of int to tuple of float
        The accuracy of each repetition, by length.
    shares : mapping of int to SolvedShare
        The share of repetitions that solved each length.
    threshold : float
        The accuracy at which a length counts as solved.
    chances : mapping of int to float
        The chance accuracy, by length.
    """

    title: str
    accuracies: Mapping[int, tuple[float, ...]]
    shares: Mapping[int, SolvedShare]
    threshold: float
    chances: Mapping[int, float]

    columns = ("length", "repetitions", "mean", "standard deviation", "solved", *INTERVALS)

    def rows(self) -> list[tuple[Any, ...]]:
        """Return one row per length."""
        rows = []
        for length, values in self.accuracies.items():
            share, (mean, deviation) = self.shares[length], mean_and_deviation(values)
            rows.append((length, share.trials, mean, deviation, share.solved, *intervals(share)))
        return rows


def mean_and_deviation(values: tuple[float, ...]) -> tuple[float, float]:
    """Return mean and sample standard deviation; NaN if there are too few values."""
    mean = float(np.mean(values)) if values else float("nan")
    return mean, float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")


def draw_accuracy(record: AccuracyByLength) -> "Figure":
    """Draw the accuracies of the repetitions above, and the solved share with its interval below."""
    figure = new_figure(9.4, 5.8, record.title)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 2])
    lengths = np.array(list(record.accuracies))
    width = float(lengths.max() - lengths.min() or lengths.max())
    jitter = 0.012 * width
    for length, values in record.accuracies.items():
        offsets = np.linspace(-jitter, jitter, len(values)) if len(values) > 1 else [0.0] * len(values)
        dots = upper.plot(length + np.array(offsets), values, "o", color=BLUE, alpha=0.3, markersize=5, mew=0)
    dots[0].set_label("one repetition")
    means, deviations = np.transpose([mean_and_deviation(values) for values in record.accuracies.values()])
    bars = {"color": BLUE, "capsize": 3, "linewidth": 1.5, "markersize": 6}
    within = np.minimum([deviations, deviations], [means, 1 - means])  # no accuracy is below 0 or above 1
    upper.errorbar(lengths, means, within, fmt="o-", label="mean ± standard deviation\n(cut at 0 and 1)", **bars)
    upper.axhline(record.threshold, color=BLACK, linestyle=":", linewidth=1, label=f"solved: {record.threshold:g}")
    _draw_chance(upper, record.chances)
    upper.set(ylabel="accuracy on held-out sequences", ylim=(-0.03, 1.05))
    _draw_shares(lower, lengths, record)
    lower.set(xlim=(lengths.min() - 0.05 * width, lengths.max() + 0.05 * width))
    mark_lengths(lower, [*record.accuracies])
    for ax in (upper, lower):
        ax.legend(frameon=False, fontsize="small", loc="upper left", bbox_to_anchor=(1.0, 1.0))
        tidy(ax)
    return figure


def _draw_chance(ax: Any, chances: Mapping[int, float]) -> None:
    """Draw the chance accuracy: a horizontal line if it does not depend on the length."""
    look = {"color": GREY, "linestyle": "--", "linewidth": 1}
    low, high = min(chances.values()), max(chances.values())
    if f"{low:.3g}" == f"{high:.3g}":
        ax.axhline(low, label=f"chance: {low:.3g}", **look)
    else:
        ax.plot(list(chances), list(chances.values()), label=f"chance: {low:.3g} to {high:.3g}", **look)


def _draw_shares(ax: Any, lengths: Any, record: AccuracyByLength) -> None:
    bars = {"color": ORANGE, "capsize": 3, "linewidth": 1.5, "markersize": 6}
    shares = [record.shares[int(length)] for length in lengths]
    draw_intervals(ax, lengths, shares, fmt="s-", label="95 % Wilson interval", **bars)
    ax.axhline(0.5, color=BLACK, linestyle=":", linewidth=1, label="half of the repetitions")
    ax.set(xlabel="sequence length T (time steps)", ylabel="share that solved", ylim=(-0.05, 1.05))
