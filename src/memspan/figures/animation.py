"""An animation: the gradient on its way back through the sequence, update after update of training."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from shutil import copyfileobj
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from memspan.figures.gradients import NOT_FINITE, ZERO
from memspan.figures.style import (
    BLUE,
    GREY,
    ORANGE,
    new_figure,
    own_style,
    plain_ticks,
    save_svg,
    tidy,
    write_rows,
)
from memspan.runtime.files import replaced
from memspan.shapes import PerStep

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.legend import Legend

MOST_FRAMES = 50
PER_SECOND = 8
HELD = 12
"""The number of frames for which the last picture stays."""
DPI = 80
DECADES = 16.0
"""The range of the axis; smaller norms are below it."""
FIGURE_SPACE = "\u2007"
"""A space as wide as a digit, so that the legend does not move."""

Show = Callable[[int], None]
"""Change the figure so that it shows another update, given by its row."""


@dataclass(frozen=True)
class GradientInTraining:
    """The gradient at every time step and the loss, during the training of one network.

    Attributes
    ----------
    title : str
    norms : array [rows, T]
        ‖dL/da[t]‖, one row for each measured update.
    low, high : array [rows, T], or None
        The 10 and 90 % quantiles over the samples of the batch.
    every : int
        The updates between rows; the first row is the first update.
    relevant : array [T]
        The share of sequences in which a step contains a part of the answer.
    updates, loss : array [points]
        The training loss.
    trivial_risk : float
    label : str
        The name of the loss.
    """

    title: str
    norms: Float[np.ndarray, "rows time"]
    low: Float[np.ndarray, "rows time"] | None
    high: Float[np.ndarray, "rows time"] | None
    every: int
    relevant: PerStep
    updates: Float[np.ndarray, "points"]
    loss: Float[np.ndarray, "points"]
    trivial_risk: float
    label: str

    columns = ("update", "time step", "norm", "q10", "q90", "loss")

    @property
    def frames(self) -> list[int]:
        """The rows that are shown: all, or evenly spaced ones with the first and the last."""
        rows = len(self.norms)
        return sorted({*np.linspace(0, rows - 1, min(rows, MOST_FRAMES)).round().astype(int).tolist()})

    def update_of(self, row: int) -> int:
        """The update of a row, counted from 1."""
        return 1 + self.every * row

    def loss_at(self, row: int) -> float:
        """The loss at the update of a row."""
        return float(np.interp(self.update_of(row), self.updates, self.loss)) if len(self.loss) else np.nan

    def rows(self) -> list[tuple[Any, ...]]:
        """Return one row per shown update and time step. Time steps are counted from 1."""
        return [
            (self.update_of(row), t + 1, float(norm), *self._band_at(row, t), self.loss_at(row))
            for row in self.frames
            for t, norm in enumerate(self.norms[row])
        ]

    def _band_at(self, row: int, t: int) -> tuple[float | str, float | str]:
        if self.low is None or self.high is None:
            return "", ""
        return float(self.low[row, t]), float(self.high[row, t])


def draw_animation(record: GradientInTraining) -> tuple["Figure", Show]:
    """Draw the first update. Return the figure, and a function that changes it to another row."""
    figure = new_figure(9.6, 3.7, record.title)
    flow, loss = figure.subplots(1, 2, width_ratios=[1.6, 1])
    moves = _draw_flow(flow, record), _draw_loss(loss, record)

    def show(row: int) -> None:
        for move in moves:
            move(row)

    show(record.frames[0])
    return figure, show


def _draw_flow(ax: "Axes", record: GradientInTraining) -> Show:
    bands = [values for values in (record.norms, record.low, record.high) if values is not None]
    values = np.concatenate([each.ravel() for each in bands])
    positive = values[np.isfinite(values) & (values > 0)]
    top = 2 * float(positive.max()) if len(positive) else 1.0
    bottom = max(float(positive.min()) / 2, top * 10**-DECADES) if len(positive) else 0.1
    steps = np.arange(1, record.norms.shape[1] + 1)
    ax.set(yscale="log", ylim=(bottom, top), xlim=(0.5, len(steps) + 0.5))
    ax.set(xlabel="time step t (orange, below: the answer)", ylabel="‖dL/da[t]‖ (log scale)")
    ax.locator_params(axis="x", integer=True)
    plain_ticks(ax)
    tidy(ax)
    for step in np.flatnonzero(record.relevant):
        strength = float(0.25 + 0.75 * record.relevant[step] / record.relevant.max())
        ax.axvspan(step + 0.5, step + 1.5, 0, 0.02, color=ORANGE, alpha=strength, linewidth=0)
    (start,) = ax.plot(steps, _shown(record.norms[0]), color=GREY, linewidth=1, label="first update")
    (line,) = ax.plot(steps, _shown(record.norms[0]), color=BLUE, linewidth=1.8, label="update")
    edge = ax.get_xaxis_transform()
    look: dict[str, Any] = {"color": BLUE, "linestyle": "", "markersize": 5, "transform": edge}
    zeros, wrong = (
        ax.plot([], [], marker=mark, label=label, **look)[0]
        for mark, label in ((ZERO, "exactly 0"), (NOT_FINITE, "not finite"))
    )
    handles: list[Artist] = [start, line]
    handles += [zeros] * bool((record.norms == 0).any()) + [wrong] * (not np.isfinite(record.norms).all())
    band = None
    if record.low is not None:
        label = "10 to 90 % of the samples"
        band = ax.fill_between(steps, top, top, color=BLUE, alpha=0.2, linewidth=0, label=label)
        handles.insert(2, band)
    _, name, *_ = _legend_above(ax, handles).get_texts()
    digits = len(str(record.update_of(record.frames[-1])))

    def show(row: int) -> None:
        norms = record.norms[row]
        name.set_text(f"update {record.update_of(row)}".ljust(7 + digits, FIGURE_SPACE))
        line.set_ydata(_shown(norms))
        zeros.set_data(steps[norms == 0], np.full(int((norms == 0).sum()), 0.04))
        strange = ~np.isfinite(norms)
        wrong.set_data(steps[strange], np.full(int(strange.sum()), 0.97))
        if band is not None and record.low is not None and record.high is not None:
            low, high = (
                np.clip(np.nan_to_num(each[row], nan=top), bottom, top) for each in (record.low, record.high)
            )
            band.set_data(steps, low, high)

    return show


def _draw_loss(ax: "Axes", record: GradientInTraining) -> Show:
    finite = np.where(np.isfinite(record.loss), record.loss, np.nan)
    ax.plot(record.updates, finite, color=BLUE, linewidth=1.2, label="training loss")
    risk = f"trivial risk {record.trivial_risk:.3g}"
    ax.axhline(record.trivial_risk, color=GREY, linestyle="--", linewidth=1, label=risk)
    ax.set(yscale="log", xlabel="update", ylabel=record.label)
    ax.locator_params(axis="x", integer=True)
    handles, _ = ax.get_legend_handles_labels()
    _legend_above(ax, handles)
    plain_ticks(ax)
    tidy(ax)
    now = ax.axvline(record.update_of(0), color=ORANGE, linewidth=1)
    (dot,) = ax.plot([], [], "o", color=ORANGE, markersize=6, clip_on=False)

    def show(row: int) -> None:
        update = record.update_of(row)
        now.set_xdata([update, update])
        dot.set_data([update], [record.loss_at(row)])

    return show


def _legend_above(ax: "Axes", handles: Sequence["Artist"]) -> "Legend":
    """Put a legend in one row above the axes, where it covers nothing."""
    place: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (0, 1), "borderaxespad": 0.1}
    narrow: dict[str, Any] = {"columnspacing": 1.2, "handlelength": 1.5, "handletextpad": 0.5}
    return ax.legend(handles=handles, **place, **narrow, ncols=len(handles), frameon=False, fontsize="small")


def _shown(norms: PerStep) -> PerStep:
    """The norms that have a place on a log axis; NaN for the others."""
    return np.where(np.isfinite(norms) & (norms > 0), norms, np.nan)


def save_animation(record: GradientInTraining, folder: Path, name: str) -> list[Path]:
    """Write `name`.gif, the drawn numbers as `name`.csv, and every picture as an SVG in the folder `name`-frames.

    The last picture stays longer than the others. An interrupted write leaves no partial file.
    """
    from matplotlib.animation import PillowWriter

    frames = folder / f"{name}-frames"
    frames.mkdir(exist_ok=True)
    written = [folder / f"{name}.gif", folder / f"{name}.csv"]
    with own_style(), TemporaryDirectory() as place:
        figure, show = draw_animation(record)
        figure.draw_without_rendering()  # places the axes
        figure.set_layout_engine(None)
        film = Path(place) / "film.gif"
        writer = PillowWriter(fps=PER_SECOND)
        with writer.saving(figure, film, DPI):
            for number, row in enumerate(record.frames, start=1):
                show(row)
                writer.grab_frame()
                written.append(frames / f"{number:03d}.svg")
                save_svg(figure, written[-1])
            for _ in range(HELD):
                writer.grab_frame()
        with film.open("rb") as source, replaced(written[0], "output") as target:
            copyfileobj(source, target)
    write_rows(written[1], record.columns, record.rows())
    return written
