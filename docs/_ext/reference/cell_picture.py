"""The picture of a cell: gates, states and gradient of a small network that has been trained to remember."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from memspan import Adam, Batches, Chain, ClipByNorm, Learner, MSELoss, Network, Recall
from memspan.cells import Cell
from memspan.engines.readable import Trace
from memspan.figures.style import BLUE, GREY, ORANGE, new_figure, plain_ticks, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LENGTH, HIDDEN, UPDATES, SEED = 10, 12, 1500, 0


def trained(cell: Cell) -> tuple[Network, float]:
    """Train a network on the memory task, and return it with its accuracy."""
    network = Network(cell, 1, HIDDEN, 1, rng=SEED)
    batches = Batches(Recall(), LENGTH, 64, rng=SEED)
    learner = Learner(network, MSELoss(), batches, Chain(ClipByNorm(1.0), Adam(1e-2)), engine="readable")
    result = learner.fit(UPDATES, progress=False)
    return network, result.evaluation.accuracy if result.evaluation else 0.0


def draw(cell: Cell) -> "Figure":
    """Draw the input, each gate, each state, and the gradient with respect to a, by time step."""
    network, accuracy = trained(cell)
    x, y = Recall().sample(LENGTH, 1, SEED)
    y_hat = network.forward(x)
    loss = MSELoss()
    loss.forward(y_hat, y)
    gradients = network.backward(loss.backward())
    panels = [*values(network.trace)]
    score = f"{100 * accuracy:.0f} % of its answers are right"
    title = f"{cell.name}, {HIDDEN} units, trained to recall the first of {LENGTH} numbers: {score}"
    figure = new_figure(7.0, 1.9 + 1.05 * len(panels), title)
    axes = figure.subplots(
        len(panels) + 2, 1, sharex=True, squeeze=False, height_ratios=[0.6, *[1] * len(panels), 0.8]
    )[:, 0]
    draw_input(axes[0], x[:, 0, 0])
    order = np.argsort(network.trace.a[-1, 0])
    for ax, (label, image) in zip(axes[1:-1], panels, strict=True):
        draw_units(ax, label, image[:, order])
    draw_gradient(axes[-1], np.linalg.norm(gradients.d_a[:, 0], axis=1))
    axes[-1].set_xlabel("time step")
    return figure


def values(trace: Trace) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the gates and then the states, with their names, as `[T, H]`."""
    for name in trace.cell.residuals:
        yield (f"state {name}" if name == "q" else f"gate {name}"), trace.gate(name)[:, 0]
    for name in trace.cell.states:
        yield f"state {name}", trace.state(name)[:, 0]


def draw_input(ax: "Axes", x: np.ndarray) -> None:
    """Draw the inputs as stems, the number to recall in orange."""
    steps, colours = np.arange(1, len(x) + 1), [ORANGE, *[BLUE] * (len(x) - 1)]
    ax.vlines(steps, 0, x, colors=colours)
    ax.scatter(steps, x, c=colours, s=14)
    ax.axhline(0, color=GREY, linewidth=0.6)
    ax.set(ylabel="x", ylim=(-1.15, 1.15))
    tidy(ax)


def draw_units(ax: "Axes", label: str, image: np.ndarray) -> None:
    """Draw the values of all units as colours: red above 0, blue below; those of a gate from white to black."""
    most, is_gate = max(1.0, float(np.abs(image).max())), bool(((image >= 0) & (image <= 1)).all())
    colours = (
        {"cmap": "Greys", "vmin": 0, "vmax": 1} if is_gate else {"cmap": "RdBu_r", "vmin": -most, "vmax": most}
    )
    extent = (0.5, len(image) + 0.5, 0.5, image.shape[1] + 0.5)
    drawn = ax.imshow(image.T, aspect="auto", extent=extent, origin="lower", **colours)
    ax.set(ylabel=label, yticks=[])
    ax.figure.colorbar(drawn, ax=ax, pad=0.01, aspect=8)


def draw_gradient(ax: "Axes", norms: np.ndarray) -> None:
    """Draw the norm of the gradient with respect to a."""
    ax.semilogy(np.arange(1, len(norms) + 1), np.maximum(norms, 1e-30), "o-", color=BLUE, markersize=3)
    ax.set_ylabel("‖dL/da‖")
    plain_ticks(ax)
    tidy(ax)
