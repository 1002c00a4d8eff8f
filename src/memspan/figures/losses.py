"""Loss against update, a panel for each length."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from memspan.figures.style import BLUE, GREY, ORANGE, new_figure, tidy

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Curve(NamedTuple):
    """One repetition's loss at some updates, and whether it solved the length."""

    updates: tuple[float, ...]
    loss: tuple[float, ...]
    solved: bool


@dataclass(frozen=True)
class LossByLength:
    """Every repetition's loss curve, by length, the trivial risk of each, and what the loss is called."""

    title: str
    curves: Mapping[int, tuple[Curve, ...]]
    trivial_risks: Mapping[int, float]
    label: str

    columns = ("length", "repetition", "solved", "update", "loss")

    def rows(self) -> list[tuple[Any, ...]]:
        """What is drawn, point by point."""
        return [
            (length, k, curve.solved, update, loss)
            for length, curves in self.curves.items()
            for k, curve in enumerate(curves)
            for update, loss in zip(curve.updates, curve.loss, strict=True)
        ]


def grid(count: int) -> tuple[int, int]:
    """Rows and columns for that many panels, at most four in a row."""
    columns = min(4, count)
    return -(-count // columns), columns


def draw_losses(record: LossByLength) -> "Figure":
    """Solved repetitions in one colour, ending in a dot where they stopped, the others in another."""
    rows, columns = grid(len(record.curves))
    figure = new_figure(max(6.0, 1.0 + 2.6 * columns), 0.9 + 2.3 * rows)  # room for the legend
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for ax, (length, curves) in zip(panels.flat, record.curves.items(), strict=False):
        for curve in sorted(curves, key=lambda curve: curve.solved):
            colour = BLUE if curve.solved else ORANGE
            ax.plot(curve.updates, curve.loss, color=colour, alpha=0.65, linewidth=0.9)
            if curve.solved:
                ax.plot(curve.updates[-1], curve.loss[-1], "o", color=colour, markersize=3.5)
        ax.axhline(record.trivial_risks[length], color=GREY, linestyle="--", linewidth=1)
        solved = sum(curve.solved for curve in curves)
        ax.set_title(f"T = {length}: {solved} of {len(curves)} solved", fontsize="medium")
        ax.set_yscale("log")
        ax.locator_params(axis="x", integer=True)
        tidy(ax)
    for ax in panels.flat[len(record.curves) :]:
        ax.set_visible(False)
    figure.suptitle(record.title, fontsize="medium")
    for ax in panels.flat[: len(record.curves)][-columns:]:  # the lowest of each column
        ax.set_xlabel("update")
        ax.tick_params(labelbottom=True)
    figure.supylabel(record.label, fontsize="medium")
    _legend(figure, record)
    return figure


def _legend(figure: "Figure", record: LossByLength) -> None:
    from matplotlib.lines import Line2D

    ends = dict.fromkeys(f"{risk:.3f}" for risk in sorted(record.trivial_risks.values()))
    risk = " to ".join([*ends][:: max(1, len(ends) - 1)])
    handles = [
        Line2D([], [], color=BLUE, marker="o", markersize=3.5, label="solved (dot: where it stopped)"),
        Line2D([], [], color=ORANGE, label="not solved"),
        Line2D([], [], color=GREY, linestyle="--", label=f"trivial risk {risk}"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False, fontsize="small")
