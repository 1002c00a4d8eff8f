"""A map of spans: cells against tasks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from memspan.figures.style import new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Atlas:
    """The spans of several cells on several tasks.

    Attributes
    ----------
    title : str
    cells, tasks : sequence of str
    spans : mapping of (str, str) to mapping
        For each cell and task `span`, `low`, `high` and `short`, the text of the span.
    """

    title: str
    cells: Sequence[str]
    tasks: Sequence[str]
    spans: Mapping[tuple[str, str], Mapping[str, Any]]

    columns = ("cell", "task", "span", "low", "high")

    def rows(self) -> list[tuple[Any, ...]]:
        """Return one row for each cell and task."""
        return [
            (cell, task, *(found[end] for end in ("span", "low", "high")))
            for (cell, task), found in self.spans.items()
        ]


def known(found: Mapping[str, Any]) -> float:
    """The span, or the bound that is known of it; NaN if nothing is."""
    return next((float(found[name]) for name in ("span", "low", "high") if found[name] is not None), float("nan"))


def brief(found: Mapping[str, Any]) -> str:
    """The span without its interval: `24.7`, `≥ 90` or `< 4`."""
    if found["span"] is not None:
        return f"{found['span']:.3g}"
    if found["low"] is not None:
        return f"≥ {found['low']:.3g}"
    return "–" if found["high"] is None else f"< {found['high']:.3g}"


def _mean_log(row: Float[np.ndarray, "tasks"]) -> float:
    """The mean logarithm of the spans that are known; -inf without any, so that the cell comes last."""
    spans = row[row > 0]
    return float(np.log(spans).mean()) if spans.size else -np.inf


def draw_atlas(record: Atlas) -> "Figure":
    """Draw a map with the span as the colour and as a number. The cells with the longest spans come first."""
    from matplotlib.colors import LogNorm
    from matplotlib.ticker import NullFormatter, ScalarFormatter

    values = np.array([[known(record.spans[cell, task]) for task in record.tasks] for cell in record.cells])
    order = np.argsort([-_mean_log(row) for row in values], kind="stable")
    values = values[order]
    figure = new_figure(2.6 + 1.7 * len(record.tasks), 1.5 + 0.36 * len(record.cells))
    ax = figure.subplots()
    spans = values[values > 0]
    norm = LogNorm(max(min(spans, default=1), 0.5), max(spans, default=1))
    colours = ax.imshow(values, cmap="viridis", norm=norm, aspect="auto", interpolation="nearest")
    for row, place in enumerate(order):
        for column, task in enumerate(record.tasks):
            text = brief(record.spans[record.cells[place], task])
            light = np.isnan(values[row, column]) or norm(values[row, column]) > 0.55
            ax.text(column, row, text, ha="center", va="center", color="black" if light else "white", fontsize=9)
    ax.set_xticks(range(len(record.tasks)), [task.replace(", ", ",\n") for task in record.tasks])
    ax.set_yticks(range(len(order)), [record.cells[place] for place in order])
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
    ax.set_title(record.title, fontsize="medium")
    bar = figure.colorbar(colours, ax=ax, label="T50 (time steps, log scale)")
    bar.ax.yaxis.set_major_formatter(ScalarFormatter())
    bar.ax.yaxis.set_minor_formatter(NullFormatter())
    return figure
