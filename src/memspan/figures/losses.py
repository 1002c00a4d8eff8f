"""The loss during training, with a panel for each length."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from memspan.figures.style import BLUE, GREY, ORANGE, name_height, new_figure, tidy
from memspan.figures.svg import name_artist

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MARKERS = {"solved": "o", "diverged": "x"}
"""The marker at the end of a curve, by outcome. Unsolved curves end with the last update and have none."""
MARKER_SIZE = 3.5


class Curve(NamedTuple):
    """The loss of a repetition at some updates, its outcome (`solved`, `unsolved`, `diverged`), and its number."""

    updates: tuple[float, ...]
    loss: tuple[float, ...]
    outcome: str
    repetition: int


@dataclass(frozen=True)
class LossByLength:
    """The loss curves of all repetitions by length, the trivial risk of each length, and the name of the loss."""

    title: str
    curves: Mapping[int, tuple[Curve, ...]]
    trivial_risks: Mapping[int, float]
    label: str

    columns = ("length", "repetition", "outcome", "update", "loss")

    def rows(self) -> list[tuple[Any, ...]]:
        """Return one row per drawn point."""
        return [
            (length, curve.repetition, curve.outcome, update, loss)
            for length, curves in self.curves.items()
            for curve in curves
            for update, loss in zip(curve.updates, curve.loss, strict=True)
        ]


def grid(count: int) -> tuple[int, int]:
    """Return rows and columns for `count` panels, at most four per row."""
    columns = min(4, count)
    return -(-count // columns), columns


def draw_losses(record: LossByLength) -> "Figure":
    """Draw solved repetitions blue with a dot at the end, others orange; a cross ends the diverged ones."""
    rows, columns = grid(len(record.curves))
    figure = new_figure(max(7.0, 1.0 + 2.6 * columns), 0.6 + 2.3 * rows, record.title)  # room for the legend
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for ax, (length, curves) in zip(panels.flat, record.curves.items(), strict=False):
        for curve in sorted(curves, key=lambda curve: curve.outcome == "solved"):
            _draw(ax, curve, f"T = {length}, repetition {curve.repetition}: {curve.outcome}")
        if not any(np.isfinite(curve.loss).any() for curve in curves):
            ax.text(0.5, 0.6, "loss never finite", transform=ax.transAxes, ha="center", color=ORANGE)
        ax.axhline(record.trivial_risks[length], color=GREY, linestyle="--", linewidth=1)
        ax.set_title(f"T = {length}: {_counted(curves)}", fontsize="medium")
        ax.set_yscale("log")
        ax.locator_params(axis="x", integer=True)
        tidy(ax)
    for ax in panels.flat[len(record.curves) :]:
        ax.set_visible(False)
    for ax in panels.flat[: len(record.curves)][-columns:]:  # the lowest panel of each column
        ax.set_xlabel("update")
        ax.tick_params(labelbottom=True)
    name_height(figure, record.label)
    _legend(figure, record)
    return figure


def _draw(ax: "Axes", curve: Curve, name: str) -> None:
    colour = BLUE if curve.outcome == "solved" else ORANGE
    (line,) = ax.plot(curve.updates, curve.loss, color=colour, alpha=0.65, linewidth=0.9)
    name_artist(line, name)
    marker = MARKERS.get(curve.outcome)
    finite = np.flatnonzero(np.isfinite(curve.loss))
    if marker and len(finite):
        last = finite[-1]
        ax.plot(curve.updates[last], curve.loss[last], marker, color=colour, markersize=MARKER_SIZE)


def _counted(curves: tuple[Curve, ...]) -> str:
    count = Counter(curve.outcome for curve in curves)
    diverged = f", {count['diverged']} diverged" if count["diverged"] else ""
    return f"{count['solved']} of {len(curves)} solved{diverged}"


def _legend(figure: "Figure", record: LossByLength) -> None:
    from matplotlib.lines import Line2D

    ends = dict.fromkeys(f"{risk:.3f}" for risk in sorted(record.trivial_risks.values()))
    risk = " to ".join([*ends][:: max(1, len(ends) - 1)])
    handles = [
        Line2D([], [], color=BLUE, marker="o", markersize=MARKER_SIZE, label="solved (dot: end of training)"),
        Line2D([], [], color=ORANGE, label="not solved"),
        Line2D([], [], color=GREY, linestyle="--", label=f"trivial risk {risk}"),
    ]
    if any(curve.outcome == "diverged" for curves in record.curves.values() for curve in curves):
        cross = Line2D(
            [], [], color=ORANGE, marker="x", markersize=MARKER_SIZE, label="diverged (cross: last finite loss)"
        )
        handles.insert(2, cross)
    columns = len(handles) if len(handles) < 4 or figure.get_figwidth() > 8 else 2
    figure.legend(handles=handles, loc="outside lower center", ncols=columns, frameon=False, fontsize="small")
