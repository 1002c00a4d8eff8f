"""Figures of the vanishing gradient: norm against lag, and norm during training.

A logarithmic axis has no place for zeros and non-finite values. Because these are the worst cases, the figures
mark them at the edge of the axis.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from memspan.figures.losses import grid
from memspan.figures.style import (
    BLACK,
    GREY,
    ORANGE,
    legend_beside,
    name_height,
    new_figure,
    ordered_colours,
    tidy,
)
from memspan.shapes import Array, PerStep

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

LOG_NORM = "log₁₀ ‖dL/da[t]‖"
ZERO, NOT_FINITE = "v", "x"
DECADES = 12.0  # range of the colour scale; a wider one would hide the differences between larger norms


@dataclass(frozen=True)
class NormsByLag:
    """A norm at every time step, by length, in several panels.

    Attributes
    ----------
    title : str
    panels : mapping of (row, column) headings to mapping of int to array [T]
        For each panel and length, the norms in order of time.
    quantity : mapping of str to str
        The label of the vertical axis, by row heading.
    """

    title: str
    panels: Mapping[tuple[str, str], Mapping[int, PerStep]]
    quantity: Mapping[str, str]

    columns = ("panel", "moment", "length", "lag", "norm")

    def rows(self) -> list[tuple[Any, ...]]:
        """Return one row per drawn point. Lag 0 is the last time step."""
        return [
            (*panel, length, len(norms) - 1 - t, norm)
            for panel, lines in self.panels.items()
            for length, norms in lines.items()
            for t, norm in enumerate(norms.tolist())
        ]


@dataclass(frozen=True)
class NormsDuringTraining:
    """‖dL/da[t]‖ by time step and update, for several lengths.

    Attributes
    ----------
    title : str
    maps : mapping of int to array [rows, T]
        One row for each measured update.
    outcomes : mapping of int to str
        The outcome of training.
    every : int
        The number of updates between rows; the first row is the first update.
    relevant : mapping of int to array [T]
        The share of sequences in which a step contains a part of the answer.
    """

    title: str
    maps: Mapping[int, Float[np.ndarray, "rows time"]]
    outcomes: Mapping[int, str]
    every: int
    relevant: Mapping[int, PerStep]

    columns = ("length", "update", "time step", "norm")

    def rows(self) -> list[tuple[Any, ...]]:
        """Return one row per drawn cell. Time steps are counted from 1."""
        return [
            (length, 1 + self.every * row, t + 1, float(norm))
            for length, norms in self.maps.items()
            for (row, t), norm in np.ndenumerate(norms)
        ]


def draw_norms(record: NormsByLag) -> "Figure":
    """Draw norm against lag on a log axis, with one line per length; the panels of a row share their scale."""
    headings = [list(dict.fromkeys(panel[k] for panel in record.panels)) for k in (0, 1)]
    size = max(7.0, 2.4 + 3.4 * len(headings[1])), 0.6 + 3.3 * len(headings[0])
    figure = new_figure(*size, record.title)
    axes = figure.subplots(len(headings[0]), len(headings[1]), sharex=True, sharey="row", squeeze=False)
    lengths = sorted({length for lines in record.panels.values() for length in lines})
    colours = dict(zip(lengths, ordered_colours(len(lengths)), strict=True))
    for (row, column), lines in record.panels.items():
        ax = axes[headings[0].index(row), headings[1].index(column)]
        for length, norms in lines.items():
            draw_line(ax, norms, color=colours[length])
        ax.set(title=column if row == headings[0][0] else "", yscale="log")
        ax.locator_params(axis="x", integer=True)
        tidy(ax)
    for row, ax in zip(headings[0], axes[:, 0], strict=True):
        ax.set_ylabel(record.quantity[row])
    figure.supxlabel("lag: time steps before the end of the sequence", fontsize="medium")
    _legend_of_norms(figure, record, colours)
    return figure


def draw_line(ax: "Axes", norms: PerStep, *, color: Any, linestyle: Any = "-") -> None:
    """Draw one line, with a dot at the largest lag above 0, and marks at the edges for 0 and non-finite norms."""
    lags = len(norms) - 1 - np.arange(len(norms))
    positive = np.where(np.isfinite(norms) & (norms > 0), norms, np.nan)
    farthest = np.flatnonzero(np.isfinite(positive))[:1]
    ax.plot(lags, positive, color=color, linestyle=linestyle, linewidth=1.4)
    ax.plot(lags[farthest], positive[farthest], "o", color=color, markersize=4)
    edge = ax.get_xaxis_transform()
    for values, mark, height in ((norms == 0, ZERO, 0.02), (~np.isfinite(norms), NOT_FINITE, 0.98)):
        if values.any():
            at = np.full(int(values.sum()), height)
            ax.plot(lags[values], at, mark, color=color, markersize=5, transform=edge, clip_on=False)


def _legend_of_norms(figure: "Figure", record: NormsByLag, colours: Mapping[int, Any]) -> None:
    """Add a legend with the lengths and the marks that occur."""
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], color=colour, linewidth=1.4, label=f"T = {T}") for T, colour in colours.items()]
    handles += marks_of([norms for lines in record.panels.values() for norms in lines.values()])
    legend_beside(figure, handles)


def marks_of(norms: Iterable[PerStep]) -> list[Any]:
    """Return legend entries for the marks at the edges, if they occur."""
    from matplotlib.lines import Line2D

    values = np.concatenate([*norms, np.ones(1)])
    marks = ((ZERO, "exactly 0", values == 0), (NOT_FINITE, "not finite", ~np.isfinite(values)))
    return [
        Line2D([], [], color=BLACK, marker=mark, markersize=5, linestyle="", label=label)
        for mark, label, where in marks
        if where.any()
    ]


def draw_map(record: NormsDuringTraining) -> "Figure":
    """Draw log₁₀ norm as colour over update and time step: a panel per length, all with the same scale."""
    rows, columns = grid(len(record.maps))
    size = max(7.0, 1.6 + 2.6 * columns), max(3.6, 0.6 + 2.3 * rows)  # room for the legend
    figure = new_figure(*size, record.title)
    panels = figure.subplots(rows, columns, squeeze=False)
    scale, extend = scale_of(record.maps.values())
    for ax, (length, norms) in zip(panels.flat, record.maps.items(), strict=False):
        image = draw_cells(ax, norms, norms == 0, record.every, scale)
        mark_answer(ax, record.relevant[length])
        ax.set_title(f"T = {length}: {record.outcomes[length]}", fontsize="medium")
    for ax in panels.flat[len(record.maps) :]:
        ax.set_visible(False)
    figure.supxlabel("update", fontsize="medium")
    name_height(figure, "time step t (orange: the answer)")
    figure.colorbar(image, ax=panels, label=LOG_NORM, extend=extend)
    handles = exceptions(record.maps.values(), any((norms == 0).any() for norms in record.maps.values()))
    if handles:
        figure.legend(handles=handles, loc="outside lower right", frameon=False, fontsize="small", ncols=2)
    return figure


def scale_of(maps: Iterable[Array]) -> tuple["Normalize", str]:
    """Return the scale of log₁₀ norm for the colours of some maps, and at which end it is cut off."""
    from matplotlib.colors import Normalize

    logs = [_log10(norms) for norms in maps]
    finite = np.concatenate([log[np.isfinite(log)] for log in logs] + [np.zeros(0)])
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (-1.0, 0.0)
    darkest = min(max(low, high - DECADES), high - 1)
    return Normalize(darkest, high), "min" if low < darkest else "neither"


def _log10(norms: Array) -> Array:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log10(norms)


def draw_cells(ax: "Axes", norms: Array, lost: Array, every: int, scale: "Normalize") -> Any:
    """Draw log₁₀ of the norms `[rows, T]` over update and time step, where they are not `lost` or not finite."""
    log = _log10(norms)
    updates = 1 + every * np.arange(len(log) + 1)
    steps = np.arange(log.shape[1] + 1) + 0.5
    shown = np.ma.masked_where(~np.isfinite(log), log).T
    image = ax.pcolormesh(updates, steps, shown, cmap="cividis", norm=scale, rasterized=True)
    for where, colour, hatch in ((lost.T, "white", None), ((~np.isfinite(norms)).T, ORANGE, "xxx")):
        if where.any():
            _cover(ax, updates, steps, where, colour, hatch)
    ax.set_facecolor(GREY)
    ax.locator_params(integer=True, min_n_ticks=1)
    return image


def mark_answer(ax: "Axes", relevant: PerStep) -> None:
    """Draw a strip beside the right edge, stronger where a step contains a part of the answer more often."""
    strength = relevant / relevant.max()
    edge = ax.get_yaxis_transform()
    for step in np.flatnonzero(strength):
        alpha = float(0.25 + 0.75 * strength[step])
        look: dict[str, Any] = {"color": ORANGE, "alpha": alpha, "linewidth": 0, "clip_on": False}
        ax.fill_between([1.01, 1.04], step + 0.5, step + 1.5, transform=edge, **look)


def _cover(ax: "Axes", updates: Array, steps: Array, where: Array, colour: str, hatch: str | None) -> None:
    from matplotlib.colors import ListedColormap

    cover = np.ma.masked_where(~where, np.ones(where.shape))
    ax.pcolor(updates, steps, cover, cmap=ListedColormap([colour]), hatch=hatch, linewidth=0, rasterized=True)


def exceptions(maps: Iterable[Array], lost: bool, label: str = "exactly 0") -> list["Patch"]:
    """Return legend entries for what a map shows in other colours, if it occurs."""
    from matplotlib.patches import Patch

    handles = [Patch(facecolor="white", edgecolor=GREY, label=label)] * lost
    if not all(np.isfinite(norms).all() for norms in maps):
        handles.append(Patch(facecolor=ORANGE, hatch="xxx", label="not finite"))
    return handles
