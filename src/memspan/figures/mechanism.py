"""What happens in a network: its gradient during training, the eigenvalues of R, and its gates."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Complex, Float

from memspan.figures.configurations import COLOURS
from memspan.figures.gradients import LOG_NORM, draw_cells, exceptions, mark_answer, scale_of
from memspan.figures.limits import COLUMNS
from memspan.figures.panels import fill, head
from memspan.figures.style import BLACK, GREY, ORANGE, new_figure, tidy
from memspan.shapes import PerStep

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LOST = 0.5
"""A cell of the map is drawn as lost if the gradient of this share of its samples is 0 or underflows."""
DASHED: Any = (0, (3, 1.5))


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

    columns = COLUMNS

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


def draw_mechanism(record: Mechanism) -> "Figure":
    """Draw the map of the gradient, and below it eigenvalues and gates."""
    figure = new_figure(7.4, 7.4, record.title)
    draw_mechanism_in(figure, figure.add_gridspec(1, 1)[0], record)
    return figure


def draw_mechanism_in(figure: "Figure", place: Any, record: Mechanism) -> None:
    """Draw the panels of `draw_mechanism` in a cell of a grid of the figure."""
    rows = place.subgridspec(2, 1, height_ratios=[1.15, 1])
    lower = rows[1].subgridspec(1, 2)
    flow, spectra, gates = (figure.add_subplot(one) for one in (rows[0], lower[0], lower[1]))
    fill(flow, "The gradient during training", record.flow, _draw_flow)
    fill(spectra, "Eigenvalues of R", record.spectra, _draw_spectra)
    fill(gates, "Gates", record.gates, _draw_gates)


def _draw_flow(ax: "Axes", record: FlowMap) -> None:
    lost = record.lost >= LOST
    scale, extend = scale_of([np.where(lost, np.nan, record.norms)])
    image = draw_cells(ax, record.norms, lost, record.every, scale)
    mark_answer(ax, record.relevant)
    ax.figure.colorbar(image, ax=ax, label=LOG_NORM, extend=extend)
    ax.set(xlabel="update", ylabel="time step t (orange, right: the answer)")
    handles = exceptions([record.norms], bool(lost.any()), "0 or underflow, for half of the samples or more")
    head(ax, f"The gradient during training: {record.network}", handles)


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
    head(ax, f"Eigenvalues of R, gate {record.gate}\n{record.network}", handles)
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
    head(ax, f"{record.heading}\n{record.network}", handles, columns=3)
    tidy(ax)
