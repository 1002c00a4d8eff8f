"""One page on why a configuration stops at a length: shares, updates, gradients, eigenvalues and gates."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Complex, Float

from memspan.figures.configurations import COLOURS
from memspan.figures.gradients import (
    LOG_NORM,
    ZERO,
    draw_cells,
    exceptions,
    mark_answer,
    scale_of,
)
from memspan.figures.span import SpanByLength, draw_fit
from memspan.figures.style import BLACK, BLUE, GREY, ORANGE, balanced, mark_lengths, new_figure, plain_ticks, tidy
from memspan.shapes import PerStep

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Quartiles = Mapping[int, tuple[float, float, float]]
"""The lower quartile, the median and the upper quartile over networks, by length."""

LOST = 0.5
"""A cell of the map is drawn as lost if the gradient of this share of its samples is 0 or underflows."""
SMALL = 7.5  # size of the letters of a legend
BEYOND = 1e4
"""The most by which a quartile widens the axis of factors. Bars that are longer end at its edge."""
ROW = 11.5  # points that a row of a legend takes
DASHED: Any = (0, (3, 1.5))
FACTOR = "‖dL/da‖, first / last step"


@dataclass(frozen=True)
class Leaving:
    """The updates after which networks leave the plateau.

    Attributes
    ----------
    given : int
        The updates given.
    predicted, measured : mapping of int to (low, median, high)
        Quartiles by length: before training, and in training. Infinity for never. `predicted` may be empty.
    prediction : str
        What is predicted.
    """

    given: int
    predicted: Quartiles
    measured: Quartiles
    prediction: str = "predicted"


@dataclass(frozen=True)
class FlowMap:
    """‖dL/da[t]‖ of a network by update and time step.

    Attributes
    ----------
    network : str
        Which network.
    norms : array [rows, T]
        One row for each measured update.
    lost : array [rows, T]
        The share of samples whose gradient is 0 or underflows.
    every : int
        The updates between rows; the first row is the first update.
    relevant : array [T]
        The share of sequences in which a step contains a part of the answer.
    """

    network: str
    norms: Float[np.ndarray, "rows time"]
    lost: Float[np.ndarray, "rows time"]
    every: int
    relevant: PerStep


@dataclass(frozen=True)
class Spectra:
    """The eigenvalues of the block of R for one gate, before and after training."""

    network: str
    gate: str
    before: Complex[np.ndarray, "hidden"]
    after: Complex[np.ndarray, "hidden"]


@dataclass(frozen=True)
class Gates:
    """The openness of gates, or the slope of units, by time step, before and after training.

    Attributes
    ----------
    network, heading : str
        Which network, and what is measured.
    quantity : str
        The label of the vertical axis.
    before, after : mapping of str to array [T]
        By gate.
    """

    network: str
    heading: str
    quantity: str
    before: Mapping[str, PerStep]
    after: Mapping[str, PerStep]


@dataclass(frozen=True)
class LimitsByLength:
    """What limits a configuration, by length. A panel without data is a sentence that says why.

    Attributes
    ----------
    title : str
    length : int or None
        The length that the verdict is about, which is marked; None without a verdict.
    span : SpanByLength or str
        The solved shares and the fitted span.
    leaving : Leaving or str
        Updates needed against updates given.
    reach : mapping of str to Quartiles, or str
        The factor by which the gradient changes from the last step to the first one, by length; before training,
        and after it.
    """

    title: str
    length: int | None
    span: SpanByLength | str
    leaving: Leaving | str
    reach: Mapping[str, Quartiles] | str

    columns = ("panel", "line", "x", "y", "low", "high")

    def rows(self) -> list[tuple[Any, ...]]:
        """Return one row per drawn point.

        x is the length. In the panel `solved` y is the share and its Wilson interval; in `updates` and `reach` it
        is the median between its quartiles.
        """
        found: list[tuple[Any, ...]] = []
        if not isinstance(self.span, str):
            found += [("solved", "share", T, s.share, s.low, s.high) for T, s in self.span.shares.items()]
        if not isinstance(self.leaving, str):
            found.append(("updates", "given", "", self.leaving.given, "", ""))
            for line in ("predicted", "measured"):
                found += _rows_of("updates", line, getattr(self.leaving, line))
        if not isinstance(self.reach, str):
            for line, quartiles in self.reach.items():
                found += _rows_of("reach", line, quartiles)
        return found

    @property
    def lengths(self) -> list[int]:
        """All lengths of the panels, ascending."""
        found: set[int] = {self.length} if self.length else set()
        if not isinstance(self.span, str):
            found |= {*self.span.shares}
        if not isinstance(self.leaving, str):
            found |= {*self.leaving.predicted, *self.leaving.measured}
        if not isinstance(self.reach, str):
            found |= {length for quartiles in self.reach.values() for length in quartiles}
        return sorted(found)


@dataclass(frozen=True)
class Mechanism:
    """What happens in a network at the length of a verdict. A panel without data is a sentence that says why.

    Attributes
    ----------
    title : str
    flow : FlowMap or str
    spectra : Spectra or str
    gates : Gates or str
    """

    title: str
    flow: FlowMap | str
    spectra: Spectra | str
    gates: Gates | str

    columns = LimitsByLength.columns

    def rows(self) -> list[tuple[Any, ...]]:
        """Return one row per drawn point.

        In the panel `flow` the line is the update, x the time step (from 1) and y the norm; in `spectra` x and y
        are real and imaginary part; in `gates` x is the time step.
        """
        found: list[tuple[Any, ...]] = []
        if not isinstance(self.flow, str):
            cells = np.ndenumerate(self.flow.norms)
            found += [("flow", 1 + self.flow.every * row, t + 1, float(norm), "", "") for (row, t), norm in cells]
        if not isinstance(self.spectra, str):
            for line in ("before", "after"):
                values = getattr(self.spectra, line)
                found += [("spectra", line, float(one.real), float(one.imag), "", "") for one in values]
        if not isinstance(self.gates, str):
            for line, gates in (("before", self.gates.before), ("after", self.gates.after)):
                for gate, steps in gates.items():
                    name = f"{gate} {line}".strip()
                    found += [("gates", name, t + 1, float(value), "", "") for t, value in enumerate(steps)]
        return found


@dataclass(frozen=True)
class WhyPage:
    """The content of the page: what limits a configuration by length, and what happens in a network."""

    title: str
    limits: LimitsByLength
    mechanism: Mechanism

    columns = LimitsByLength.columns

    def rows(self) -> list[tuple[Any, ...]]:
        """Return the rows of both halves."""
        return [*self.limits.rows(), *self.mechanism.rows()]


def _rows_of(panel: str, line: str, quartiles: Quartiles) -> list[tuple[Any, ...]]:
    return [(panel, line, length, middle, low, high) for length, (low, middle, high) in quartiles.items()]


def draw_why(record: WhyPage) -> "Figure":
    """Draw the page: three panels over length on the left; map, eigenvalues and gates on the right."""
    figure = new_figure(12.4, 8.6, record.title)
    halves = figure.add_gridspec(1, 2, width_ratios=[1, 1.25])
    _draw_limits(figure, halves[0], record.limits)
    _draw_mechanism(figure, halves[1], record.mechanism)
    return figure


def draw_limits(record: LimitsByLength) -> "Figure":
    """Draw the three panels over length, one below the other."""
    figure = new_figure(6.6, 8.2, record.title)
    _draw_limits(figure, figure.add_gridspec(1, 1)[0], record)
    return figure


def draw_mechanism(record: Mechanism) -> "Figure":
    """Draw the map of the gradient, and below it eigenvalues and gates."""
    figure = new_figure(7.4, 7.4, record.title)
    _draw_mechanism(figure, figure.add_gridspec(1, 1)[0], record)
    return figure


def _draw_limits(figure: "Figure", place: Any, record: LimitsByLength) -> None:
    rows = place.subgridspec(3, 1)
    axes = [figure.add_subplot(rows[k]) for k in range(3)]
    _fill(axes[0], "How many solve", record.span, _draw_solved)
    _fill(axes[1], "Updates to leave the plateau", record.leaving, _draw_leaving)
    _fill(axes[2], "Gradient left at the first step", record.reach, _draw_reach)
    _share_lengths(axes, record)
    figure.align_ylabels(axes)


def _draw_mechanism(figure: "Figure", place: Any, record: Mechanism) -> None:
    rows = place.subgridspec(2, 1, height_ratios=[1.15, 1])
    lower = rows[1].subgridspec(1, 2)
    flow, spectra, gates = (figure.add_subplot(one) for one in (rows[0], lower[0], lower[1]))
    _fill(flow, "The gradient during training", record.flow, _draw_flow)
    _fill(spectra, "Eigenvalues of R", record.spectra, _draw_spectra)
    _fill(gates, "Gates", record.gates, _draw_gates)


def _fill(ax: "Axes", title: str, content: Any, draw: Callable[["Axes", Any], None]) -> None:
    """Draw a panel, or write the sentence why it is empty."""
    if isinstance(content, str):
        _say(ax, title, content)
    else:
        draw(ax, content)


def _say(ax: "Axes", title: str, sentence: str) -> None:
    """Write in an empty panel why it is empty."""
    _head(ax, title, [])
    lines = "\n".join(balanced(sentence, 38))
    ax.text(0.5, 0.5, lines, transform=ax.transAxes, ha="center", va="center", fontsize="small", color=GREY)
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_color("#cccccc")


def _head(ax: "Axes", title: str, handles: Sequence["Artist"], columns: int = 2) -> None:
    """Put the legend of a panel above it, and the title above the legend, so that they cover nothing."""
    rows = -(-len(handles) // columns)
    if handles:
        place: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (0.0, 1.0), "borderaxespad": 0.1}
        ax.legend(
            handles=handles,
            **place,
            ncols=columns,
            frameon=False,
            fontsize=SMALL,
            columnspacing=1.2,
            labelspacing=0.25,
        )
    ax.set_title(title, fontsize=9, fontweight="bold", loc="left", pad=5 + ROW * rows)


def _share_lengths(axes: Sequence["Axes"], record: LimitsByLength) -> None:
    """Give the panels one axis of lengths, and mark the length of the verdict."""
    for ax in axes[:-1]:
        ax.sharex(axes[-1])
        ax.tick_params(labelbottom=False)
    marked = f"; dotted: T = {record.length}" if record.length else ""
    axes[-1].set(xscale="log", xlabel=f"sequence length T (time steps, log scale{marked})")
    if lengths := record.lengths:
        axes[-1].set_xlim(0.87 * lengths[0], 1.15 * lengths[-1])
        mark_lengths(axes[-1], lengths)
    for ax in axes:
        if record.length and ax.lines:
            ax.axvline(record.length, color=GREY, linestyle=(0, (1, 2)), linewidth=1, zorder=0)


def _draw_solved(ax: "Axes", record: SpanByLength) -> None:
    draw_fit(ax, record)
    handles, labels = ax.get_legend_handles_labels()
    for handle, label in zip(handles, labels, strict=True):
        handle.set_label(label.replace("\n", " "))
    _head(ax, "How many solve", handles)
    ax.set_ylabel("share that solved T")
    tidy(ax)


def _draw_leaving(ax: "Axes", record: Leaving) -> None:
    lines = {
        f"{record.prediction}, quartiles": (record.predicted, {"color": BLUE, "marker": "o"}),
        "left in training, quartiles": (record.measured, {"color": ORANGE, "marker": "s"}),
    }
    known = [n for one in (record.predicted, record.measured) for three in one.values() for n in three]
    finite = [n for n in (*known, record.given) if np.isfinite(n)]
    ax.set(yscale="log", ylim=(0.6 * min(finite), 2.5 * max(finite)), ylabel="updates (log scale)")
    plain_ticks(ax, "{:,.0f}".format)
    handles = _draw_lines(ax, lines)
    given = ax.axhline(record.given, color=BLACK, linestyle="--", linewidth=1, label=f"given: {record.given:,}")
    handles.insert(0, given)
    if any(np.isposinf(middle) for one in (record.predicted, record.measured) for _, middle, _ in one.values()):
        handles.append(_mark("^", "half or more never leave"))
    _head(ax, "Updates to leave the plateau", handles)
    tidy(ax)


LOOKS: Mapping[str, dict[str, Any]] = {
    "before training": {"color": GREY, "marker": "o"},
    "after training: solved": {"color": BLUE, "marker": "s"},
    "after training: not solved": {"color": ORANGE, "marker": "D"},
}


def _draw_reach(ax: "Axes", record: Mapping[str, Quartiles]) -> None:
    low, medians, high = np.array([three for one in record.values() for three in one.values()]).T
    ends = _ends(low, medians, high)
    margin = max((ends[1] / ends[0]) ** 0.08, 1.5)
    ax.set(yscale="log", ylim=(ends[0] / margin, ends[1] * margin), ylabel=FACTOR)
    plain_ticks(ax)
    lines = {label: (quartiles, LOOKS[label]) for label, quartiles in record.items()}
    handles = _draw_lines(ax, lines)
    ax.axhline(1, color=BLACK, linewidth=0.8, linestyle=":")
    if (medians == 0).any():
        handles.append(_mark(ZERO, "exactly 0"))
    if not np.isfinite(medians).all():
        handles.append(_mark("^", "infinite"))
    _head(ax, "Gradient left at the first step (median, quartiles)", handles)
    tidy(ax)


def _ends(low: PerStep, medians: PerStep, high: PerStep) -> tuple[float, float]:
    """The range of the axis of factors: 1, all medians, and quartiles that are not far beyond them."""

    def inside(values: PerStep) -> PerStep:
        return np.append(values[np.isfinite(values) & (values > 0)], 1.0)

    least, most = inside(medians).min(), inside(medians).max()
    return float(max(inside(low).min(), least / BEYOND)), float(min(inside(high).max(), most * BEYOND))


def _mark(marker: str, label: str) -> "Artist":
    from matplotlib.lines import Line2D

    return Line2D([], [], color=BLACK, marker=marker, markersize=5, linestyle="", mfc="none", label=label)


def _draw_lines(ax: "Axes", lines: Mapping[str, tuple[Quartiles, dict[str, Any]]]) -> list["Artist"]:
    """Draw medians, with quartiles as bars. 0 is marked at the lower edge, and infinity at the upper one."""
    from matplotlib.lines import Line2D

    handles: list[Artist] = []
    drawn = {label: one for label, one in lines.items() if one[0]}
    bottom, top = ax.get_ylim()
    edge = ax.get_xaxis_transform()
    for k, (label, (quartiles, look)) in enumerate(drawn.items()):
        at = np.array([*quartiles], float) * 1.012 ** (k - (len(drawn) - 1) / 2)
        low, middle, high = np.array([*quartiles.values()], float).T
        inside = np.isfinite(middle) & (middle > 0)
        bars = np.clip([low, high], bottom, top)
        ax.vlines(at, *bars, color=look["color"], linewidth=1.2, alpha=0.7)
        ax.plot(at, np.where(inside, middle, np.nan), **look, linewidth=1.2, markersize=4)
        for where, mark, height in ((middle == 0, ZERO, 0.03), (np.isposinf(middle), "^", 0.94)):
            place = np.full(int(where.sum()), height)
            ax.plot(at[where], place, mark, color=look["color"], markersize=5, mfc="none", transform=edge)
        handles.append(Line2D([], [], **look, linewidth=1.2, markersize=4, label=label))
    return handles


def _draw_flow(ax: "Axes", record: FlowMap) -> None:
    lost = record.lost >= LOST
    scale, extend = scale_of([np.where(lost, np.nan, record.norms)])
    image = draw_cells(ax, record.norms, lost, record.every, scale)
    mark_answer(ax, record.relevant)
    ax.figure.colorbar(image, ax=ax, label=LOG_NORM, extend=extend)
    ax.set(xlabel="update", ylabel="time step t (orange, right: the answer)")
    handles = exceptions([record.norms], bool(lost.any()), "0 or underflow, for half of the samples or more")
    _head(ax, f"The gradient during training: {record.network}", handles)


def _draw_spectra(ax: "Axes", record: Spectra) -> None:
    angle = np.linspace(0, 2 * np.pi, 200)
    (circle,) = ax.plot(np.cos(angle), np.sin(angle), color=BLACK, linewidth=0.9, label="unit circle")
    looks: dict[str, dict[str, Any]] = {
        "before": {"color": GREY, "marker": "o", "markerfacecolor": "none", "markersize": 4.5},
        "after": {"color": ORANGE, "marker": ".", "markersize": 6},
    }
    handles: list[Artist] = [circle]
    for moment, look in looks.items():
        values = getattr(record, moment)
        label = f"{moment}, radius {np.abs(values).max():.2g}"
        handles += ax.plot(values.real, values.imag, linestyle="", **look, label=label)
    values = np.concatenate([record.before, record.after, [1, -1, 1j, -1j]])
    ends = [(part.min(), part.max()) for part in (values.real, values.imag)]
    half = 0.55 * max(high - low for low, high in ends)
    x, y = (((low + high) / 2 - half, (low + high) / 2 + half) for low, high in ends)
    ax.set_box_aspect(1)
    ax.set(xlabel="real part", ylabel="imaginary part", xlim=x, ylim=y)
    _head(ax, f"Eigenvalues of R, gate {record.gate}\n{record.network}", handles)
    tidy(ax)


def _draw_gates(ax: "Axes", record: Gates) -> None:
    from matplotlib.lines import Line2D

    handles: list[Artist] = []
    for k, (gate, colour) in enumerate(zip(record.before, COLOURS, strict=False)):
        look: dict[str, Any] = {
            "color": colour,
            "linewidth": min(1.4 + 0.8 * (len(record.before) - 1 - k), 3),
        }  # equal lines stay visible
        for steps, dashes in ((record.before[gate], DASHED), (record.after[gate], "-")):
            ax.plot(np.arange(1, len(steps) + 1), steps, linestyle=dashes, **look)
        if gate:
            handles.append(Line2D([], [], **look, label=gate))
    handles.append(Line2D([], [], color=BLACK, linestyle=DASHED, label="before"))
    handles.append(Line2D([], [], color=BLACK, label="after training"))
    top = max(float(steps.max()) for steps in (*record.before.values(), *record.after.values()))
    ax.set(xlabel="time step t", ylabel=record.quantity, ylim=(-0.03 * max(top, 1), 1.03 * max(top, 1)))
    ax.locator_params(axis="x", integer=True)
    _head(ax, f"{record.heading}\n{record.network}", handles, columns=3)
    tidy(ax)
