"""The time of a pass for several engines, and the roofline."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from memspan.figures.style import BLACK, BLUE, GREEN, GREY, ORANGE, new_figure, tidy

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = {"readable": GREY, "compiled": BLUE, "torch": ORANGE, "jax": GREEN}
ROOFLINE = "roofline"
ROOM = 0.8  # width of a group of bars; groups are 1 apart


class Bar(NamedTuple):
    """The median and quartiles of one engine's milliseconds. The engine `roofline` is drawn as a line."""

    cores: int
    cell: str
    size: str
    engine: str
    low: float
    median: float
    high: float


@dataclass(frozen=True)
class PassTimes:
    """The times for every number of cores, cell, size and engine."""

    title: str
    bars: tuple[Bar, ...]

    columns = ("cores", "cell", "T, B, H", "engine", "lower quartile", "milliseconds", "upper quartile")

    def rows(self) -> list[tuple[Any, ...]]:
        """Return one row per bar."""
        return [tuple(bar) for bar in self.bars]

    def names(self, field: str) -> list[Any]:
        """Return the different values of a field, in order of appearance."""
        return list(dict.fromkeys(getattr(bar, field) for bar in self.bars))


def draw_pass_times(record: PassTimes) -> "Figure":
    """Draw a row of panels per number of cores and a panel per cell; a line across each group is the roofline."""
    rows, columns = record.names("cores"), record.names("cell")
    figure = new_figure(1.4 + 3.6 * len(columns), 1.3 + 2.9 * len(rows))
    panels = figure.subplots(len(rows), len(columns), sharey="row", squeeze=False)
    for (i, j), ax in np.ndenumerate(panels):
        bars = [bar for bar in record.bars if (bar.cores, bar.cell) == (rows[i], columns[j])]
        _draw_panel(ax, bars, [name for name in record.names("engine") if name != ROOFLINE])
        cores = "one core" if rows[i] == 1 else f"{rows[i]} cores"
        ax.set_title(f"{columns[j]}, {cores}", fontsize="medium")
    figure.suptitle(record.title, fontsize="medium")
    figure.supylabel("milliseconds per network", fontsize="medium")
    for ax in panels[-1]:
        ax.set_xlabel("T, B, H")
    handles = {
        label: handle for ax in panels.flat for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)
    }
    figure.legend(handles.values(), handles, loc="outside lower center", ncols=5, frameon=False, fontsize="small")
    return figure


def _draw_panel(ax: Any, bars: list[Bar], engines: list[str]) -> None:
    sizes = list(dict.fromkeys(bar.size for bar in bars))
    width = ROOM / max(1, len(engines))
    for bar in bars:
        x = sizes.index(bar.size)
        if bar.engine == ROOFLINE:
            ax.hlines(bar.median, x - ROOM / 2, x + ROOM / 2, color=BLACK, linewidth=1.5, label=ROOFLINE)
            continue
        left = x - ROOM / 2 + width * engines.index(bar.engine)
        whiskers = [[bar.median - bar.low], [bar.high - bar.median]]
        colour = COLOURS.get(bar.engine, BLACK)
        ax.bar(left, bar.median, width, align="edge", color=colour, label=bar.engine)
        ax.errorbar(left + width / 2, bar.median, whiskers, fmt="none", color=BLACK, linewidth=0.8)
    ax.set_yscale("log")
    ax.set_xticks(range(len(sizes)), sizes, fontsize="small")
    tidy(ax)
