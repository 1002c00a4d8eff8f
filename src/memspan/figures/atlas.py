"""A map of spans: cells against tasks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from memspan.figures.style import balanced, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LETTERS = 28  # in a line below a column


@dataclass(frozen=True)
class Atlas:
    """The spans of several cells on several tasks.

    Attributes
    ----------
    title : str
    cells : sequence of str
    tasks : mapping of str to str
        For each task what a reader must know of it.
    spans : mapping of (str, str) to mapping
        For each cell and task `short`, the text of the span, and the values of `columns`.
    """

    title: str
    cells: Sequence[str]
    tasks: Mapping[str, str]
    spans: Mapping[tuple[str, str], Mapping[str, Any]]

    columns = ("cell", "task", "span", "low", "high", "fits", "parameters", "trainings")

    def rows(self) -> list[tuple[Any, ...]]:
        """Return one row for each cell and task."""
        return [(*key, *(found[name] for name in self.columns[2:])) for key, found in self.spans.items()]


def known(found: Mapping[str, Any]) -> float:
    """The span, or the bound that is known of it; NaN if nothing is."""
    return next((float(found[name]) for name in ("span", "low", "high") if found[name] is not None), float("nan"))


def _mean_log(row: Float[np.ndarray, "tasks"]) -> float:
    """The mean logarithm of the spans that are known; -inf without any, so that the cell comes last."""
    spans = row[row > 0]
    return float(np.log(spans).mean()) if spans.size else -np.inf


def draw_atlas(record: Atlas) -> "Figure":
    """Draw a map with the span as the colour and as a number. The cells with the longest spans come first."""
    from matplotlib.colors import LogNorm
    from matplotlib.ticker import NullFormatter

    values = np.array([[known(record.spans[cell, task]) for task in record.tasks] for cell in record.cells])
    order = np.argsort([-_mean_log(row) for row in values], kind="stable")
    values = values[order]
    figure = new_figure(2.6 + 1.9 * len(record.tasks), 1.9 + 0.42 * len(record.cells), record.title)
    ax = figure.subplots()
    spans = values[values > 0]
    norm = LogNorm(max(min(spans, default=1), 0.5), max(spans, default=1))
    colours = ax.imshow(values, cmap="viridis", norm=norm, aspect="auto", interpolation="nearest")
    for row, place in enumerate(order):
        for column, task in enumerate(record.tasks):
            light = np.isnan(values[row, column]) or norm(values[row, column]) > 0.55
            _write(ax, column, row, record.spans[record.cells[place], task], "black" if light else "white")
    names = ["\n".join([task, *balanced(note, LETTERS)]) for task, note in record.tasks.items()]
    ax.set_xticks(range(len(names)), names, fontsize="small")
    ax.set_yticks(range(len(order)), [record.cells[place] for place in order])
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
    bar = figure.colorbar(colours, ax=ax, label="span (time steps, log scale)")
    bar.ax.yaxis.set_major_formatter("{x:g}")
    bar.ax.yaxis.set_minor_formatter(NullFormatter())
    return figure


def _write(ax: Any, column: int, row: int, found: Mapping[str, Any], colour: str) -> None:
    """Write the span, with its interval below it in small letters, and a star if no smooth curve fits."""
    number, bracket, interval = found["short"].partition(" [")
    look: dict[str, Any] = {"ha": "center", "va": "center", "color": colour}
    star = "*" if found["fits"] is False else ""  # None if every training failed
    ax.text(column, row - 0.18 * bool(bracket), (number or "–") + star, fontsize=9, **look)
    if bracket:
        ax.text(column, row + 0.24, f"[{interval}", fontsize=7, **look)
