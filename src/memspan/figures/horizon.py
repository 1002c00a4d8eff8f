"""The lengths that networks solve, over the gain of R, for two optimisers, and those known before training."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np

from memspan.figures.style import BLACK, BLUE, GREEN, GREY, ORANGE, balanced, new_figure, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

AMBER = "#E69F00"
COLOURS = (BLUE, AMBER, GREEN, "#CC79A7")  # of the gains in the second panel
MAP = "cividis"
OUTLINE = 1.1  # points, on each side of a line
GAIN = "variance of the elements of R, times H (log scale)"
LENGTH = "length T (time steps, log scale)"
TITLE, LETTERS = 80, 45  # in a line of the title, and of the notes
NAME: dict[str, Any] = {"ha": "right", "va": "center", "fontsize": 9, "fontweight": "bold"}
TICKS = (0.1, 0.15, 0.25, 0.4, 0.6, 0.8, 1, 1.5, 2, 3, 4.5)


@dataclass(frozen=True)
class Curve:
    """Lengths over a gain or a number of updates.

    Attributes
    ----------
    at : sequence of float
    lengths : sequence of float or None
        None where the length is not known, or is beyond those that were looked at.
    low, high : sequence of float or None
        The ends of the intervals; empty without intervals.
    """

    at: Sequence[float]
    lengths: Sequence[float | None]
    low: Sequence[float | None] = ()
    high: Sequence[float | None] = ()

    def points(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the points; NaN where a length is not known."""
        return np.array(self.at, float), np.array(self.lengths, float)

    def widths(self) -> np.ndarray:
        """Return the distances to the ends of the intervals, `[2, n]`; 0 where an end is not known."""
        _, lengths = self.points()
        ends = np.array([self.low, self.high], float)
        return np.asarray(np.nan_to_num(np.abs(ends - lengths)))

    def beyond(self) -> list[float]:
        """Return where the length is longer than those that were looked at."""
        ends = zip(self.at, self.lengths, self.low, strict=True)
        return [at for at, length, low in ends if length is None and low is not None]

    def rows(self) -> Iterator[tuple[Any, ...]]:
        """Yield the place, the length and its interval."""
        nothing = [None] * len(self.at)
        yield from zip(self.at, self.lengths, self.low or nothing, self.high or nothing, strict=True)


@dataclass(frozen=True)
class ShareMap:
    """The shares of networks that solve, over gain and length.

    Attributes
    ----------
    title : str
    shares : mapping of float to mapping of int to float
        By variance and length. Lengths that were not trained are missing.
    """

    title: str
    shares: Mapping[float, Mapping[int, float]]


@dataclass(frozen=True)
class Remark:
    """A few words in the first map, with an arrow.

    Attributes
    ----------
    text : str
    at : (float, float)
        The variance and the length to which the arrow points.
    place : (float, float)
        The lower left corner of the text, as shares of the axes.
    """

    text: str
    at: tuple[float, float]
    place: tuple[float, float]


@dataclass(frozen=True)
class Horizon:
    """The lengths that are solved, for two optimisers, and those known before training.

    Attributes
    ----------
    title : str
    lengths : sequence of int
        The lengths of both maps.
    networks, updates : int
        In each cell, and given to each network.
    descent, adam : ShareMap
    predicted, left : Curve
        The length at which half of the networks leave the plateau, by variance: predicted and measured.
    solved, solved_adam : Curve
        The length that half solve, by variance.
    xi : Curve
        6 ξ by variance, below the critical one.
    critical : float
        The variance at which χ₁ = 1.
    by_updates : mapping of float to (Curve, Curve)
        For some variances the predicted and the measured length against the updates given.
    remarks : sequence of Remark
    notes : sequence of str
        What the panels show, in sentences.
    setting : str
        What the networks must do.
    """

    title: str
    lengths: Sequence[int]
    networks: int
    updates: int
    descent: ShareMap
    adam: ShareMap
    predicted: Curve
    left: Curve
    solved: Curve
    solved_adam: Curve
    xi: Curve
    critical: float
    by_updates: Mapping[float, tuple[Curve, Curve]]
    remarks: Sequence[Remark]
    notes: Sequence[str]
    setting: str

    columns = ("quantity", "variance", "updates", "length", "low", "high", "share")

    def rows(self) -> list[tuple[Any, ...]]:
        """Return one row for each trained cell, and for each point of a curve."""
        maps = {"solved, gradient descent": self.descent, "solved, Adam": self.adam}
        curves = {
            "half leave, predicted": self.predicted,
            "half leave, measured": self.left,
            "half solve, gradient descent": self.solved,
            "half solve, Adam": self.solved_adam,
            "6 xi": self.xi,
        }
        found: list[tuple[Any, ...]] = [
            (name, variance, self.updates, length, None, None, share)
            for name, one in maps.items()
            for variance, shares in one.shares.items()
            for length, share in shares.items()
        ]
        found += [(name, v, self.updates, *rest, None) for name, one in curves.items() for v, *rest in one.rows()]
        for variance, pair in self.by_updates.items():
            for name, one in zip(("half leave, predicted", "half leave, measured"), pair, strict=True):
                found += [(name, variance, given, *rest, None) for given, *rest in one.rows()]
        return found


def draw_horizon(record: Horizon) -> "Figure":
    """Draw the two maps below each other, and to their right the lengths against the updates given, and notes."""
    figure = new_figure(9.6, 8.9)
    figure.suptitle("\n".join(balanced(record.title, TITLE)), fontsize=13, fontweight="bold")
    figure.supxlabel(record.setting, fontsize=9)
    axes = figure.subplot_mosaic(
        [["descent", "updates"], ["adam", "notes"]], width_ratios=[1.7, 1], height_ratios=[1.15, 1]
    )
    _draw_map(axes["descent"], record, record.descent)
    lines = _draw_lines(axes["descent"], record)
    image = _draw_map(axes["adam"], record, record.adam)
    solved = [
        _curve(axes["adam"], record.solved, "half solve with gradient descent (A)", color="white", linewidth=1.8),
        _marks(axes["adam"], record.solved_adam, "half solve with Adam (95 %)", "s", AMBER),
    ]
    for name, handles in (("descent", lines), ("adam", solved)):
        handles.append(_critical(axes[name], record.critical))
        look: dict[str, Any] = {"framealpha": 1, "edgecolor": GREY, "handlelength": 2.6}
        axes[name].legend(handles=handles, loc="lower right", fontsize=8.5, **look)
    _draw_updates(axes["updates"], record)
    _draw_notes(axes["notes"], record, image)
    return figure


def _edges(values: Sequence[float]) -> np.ndarray:
    """The edges of cells whose centres have these values, in the middle between their logarithms."""
    logs = np.log(values)
    middles = (logs[1:] + logs[:-1]) / 2
    return np.exp(np.concatenate([[2 * logs[0] - middles[0]], middles, [2 * logs[-1] - middles[-1]]]))


def _draw_map(ax: "Axes", record: Horizon, drawn: ShareMap) -> Any:
    """Draw the shares. Longer lengths than those trained are hatched: there the share is inferred to be 0."""
    from matplotlib.patches import Rectangle

    variances, lengths = list(drawn.shares), list(record.lengths)
    x, y = _edges(variances), _edges(lengths)
    values = np.array([[drawn.shares[v].get(length, 0.0) for v in variances] for length in lengths])
    image = ax.pcolormesh(x, y, values, cmap=MAP, vmin=0, vmax=1, edgecolors="face", linewidth=0.2)
    for column, variance in enumerate(variances):
        trained = len(drawn.shares[variance])
        if trained < len(lengths):
            corner, width = (x[column], y[trained]), x[column + 1] - x[column]
            look: dict[str, Any] = {"facecolor": "none", "edgecolor": "#5d6b8f", "hatch": "////", "linewidth": 0}
            ax.add_patch(Rectangle(corner, width, y[-1] - y[trained], **look))
    ax.set(xscale="log", yscale="log", xlim=(x[0], x[-1]), ylim=(y[0], y[-1]), xlabel=GAIN, ylabel=LENGTH)
    _ticks(ax.xaxis, [tick for tick in TICKS if x[0] < tick < x[-1]])
    _ticks(ax.yaxis, [tick for tick in (2, 3, 5, 7, 10, 15, 20, 30, 50, 80) if y[0] < tick < y[-1]])
    ax.set_title(drawn.title, loc="left", fontsize=10, fontweight="bold")
    return image


def _ticks(axis: Any, values: Sequence[float]) -> None:
    axis.set_ticks(values, [f"{value:g}" for value in values])
    axis.set_ticks([], minor=True)


def _outlined(width: float) -> list[Any]:
    """A dark outline around a line of this width, so that it is seen on dark and on light cells."""
    from matplotlib.patheffects import Normal, withStroke

    return [withStroke(linewidth=width + 2 * OUTLINE, foreground=BLACK), Normal()]


def _curve(ax: "Axes", curve: Curve, label: str, **look: Any) -> Any:
    (line,) = ax.plot(*curve.points(), label=label, **look)
    line.set_path_effects(_outlined(look["linewidth"]))
    return line


def _marks(ax: "Axes", curve: Curve, label: str, marker: str, colour: str) -> Any:
    """Draw points with intervals."""
    look: dict[str, Any] = {"color": "white", "mfc": colour, "mec": BLACK, "ms": 6, "elinewidth": 1.3, "zorder": 4}
    drawn = ax.errorbar(*curve.points(), yerr=curve.widths(), fmt=marker, label=label, **look)
    for line in drawn.lines[2]:
        line.set_path_effects(_outlined(1.3))
    return drawn


def _draw_lines(ax: "Axes", record: Horizon) -> list[Any]:
    """Draw the horizons over the map of gradient descent. Triangles stand for lengths beyond those tried."""
    top = 2 * record.lengths[-1]
    off = [top if at in record.predicted.beyond() else n for at, n in zip(*record.predicted.points(), strict=True)]
    predicted = Curve(record.predicted.at, off)  # the line leaves the map at the top, and may come back
    handles = [
        _curve(ax, predicted, "half leave the plateau, predicted", color=ORANGE, linewidth=2.8),
        _marks(ax, record.left, "half leave the plateau, measured (95 %)", "o", "white"),
    ]
    for curve, colour, height in ((record.predicted, ORANGE, 0.94), (record.left, "white", 0.975)):
        beyond = curve.beyond()
        look: dict[str, Any] = {"mfc": colour, "mec": BLACK, "ms": 6.5, "linestyle": "", "zorder": 4}
        place = ax.get_xaxis_transform()
        ax.plot(beyond, [height] * len(beyond), "^", transform=place, **look)
    if record.predicted.beyond() or record.left.beyond():
        handles += ax.plot([], [], "^", mfc=GREY, mec=BLACK, ms=6.5, label="the same, beyond the lengths tried")
    for remark in record.remarks:
        arrow = {"arrowstyle": "fancy", "edgecolor": BLACK, "facecolor": "white", "linewidth": 0.8}
        box = {"boxstyle": "round,pad=0.3", "facecolor": "white", "edgecolor": GREY}
        text: dict[str, Any] = {"arrowprops": arrow, "bbox": box, "fontsize": 8.5, "zorder": 5}
        ax.annotate(remark.text, remark.at, remark.place, textcoords="axes fraction", **text)
    label = "6 ξ (Schoenholz et al. 2017)"
    return [*handles, _curve(ax, record.xi, label, color="white", linestyle=(0, (4, 2)), linewidth=1.6)]


def _critical(ax: "Axes", critical: float) -> Any:
    line = ax.axvline(critical, color="white", linestyle=":", linewidth=1.6, label="critical gain, χ₁ = 1")
    line.set_path_effects(_outlined(1.6))
    return line


def _draw_updates(ax: "Axes", record: Horizon) -> None:
    """Draw the predicted lengths as lines and the measured ones as points, and 6 ξ at the right edge."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    at = sorted({given for curves in record.by_updates.values() for one in curves for given in one.at})
    edge = 1.7 * at[-1]
    for (variance, (predicted, left)), colour in zip(record.by_updates.items(), COLOURS, strict=False):
        ax.plot(*predicted.points(), "-", color=colour, linewidth=2)
        low, high = np.array([predicted.low, predicted.high], float)
        ax.fill_between(predicted.at, low, high, color=colour, alpha=0.18, linewidth=0)
        look: dict[str, Any] = {"color": colour, "mec": BLACK, "ms": 6, "capsize": 2, "zorder": 3}
        ax.errorbar(*left.points(), yerr=left.widths(), fmt="o", **look)
        xi = np.interp(variance, *record.xi.points(), right=np.nan)
        ax.plot([edge / 1.15, edge * 1.15], [xi, xi], color=colour, linewidth=3)
        start = [length for length in predicted.lengths if length is not None][:1]
        for height in start:
            ax.text(at[0] / 1.15, height, f"{variance:g}", color=colour, **NAME)
    ax.set(xscale="log", yscale="log", xlim=(at[0] / 2, edge * 1.4), xlabel="updates given (log scale)")
    low, high = ax.get_ylim()
    ax.set_ylim(low / 1.05, high * 1.9)  # room for the legend
    _ticks(ax.yaxis, [tick for tick in (1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 100) if low < tick < high])
    _ticks(ax.xaxis, at)
    ax.tick_params(axis="x", labelsize=8)
    ax.set_ylabel("T at which half leave the plateau (log scale)")
    ax.set_title("B  More updates, at four variances", loc="left", fontsize=10, fontweight="bold")
    handles: list[Any] = [
        (Line2D([], [], color=GREY, linewidth=2), Patch(color=GREY, alpha=0.25, linewidth=0)),
        Line2D([], [], color=GREY, marker="o", mec=BLACK, linestyle=""),
        Line2D([], [], color=GREY, linewidth=3),
    ]
    words = ["predicted before training (95 %)", "measured (95 %)", "6 ξ, which knows no updates"]
    ax.legend(handles, words, loc="upper left", fontsize=8.5, frameon=False)
    tidy(ax)


def _draw_notes(ax: "Axes", record: Horizon, image: Any) -> None:
    """Draw the scale of the colours, and write the notes below it."""
    ax.axis("off")
    scale = ax.inset_axes((0.0, 0.95, 1.0, 0.05))
    label = f"share of {record.networks} networks that solve T\n(hatched: not trained, taken to be 0)"
    ax.figure.colorbar(image, cax=scale, orientation="horizontal", label=label)
    text = "\n\n".join(fill(note, LETTERS) for note in record.notes)
    ax.text(0, 0.73, text, va="top", fontsize=9, linespacing=1.25, transform=ax.transAxes)
