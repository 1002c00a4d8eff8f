"""Attribution by time: the signed share of each time step in a weight gradient, against its lag."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from memspan.diagnostics import Attribution, StepShares
from memspan.errors import InvalidArgument, one_of
from memspan.figures.losses import grid
from memspan.figures.style import (
    BLACK,
    BLUE,
    GREY,
    ORANGE,
    axes_or_new,
    ink_of_user,
    legend_beside,
    new_figure,
    tidy,
)
from memspan.runtime.renamed import checked_keywords
from memspan.shapes import PerStep

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WEIGHTS = {"R": "dL/dR", "W": "dL/dW", "together": "dL/d(W, R, b_s, U)"}
LAG = "lag: time steps before the end of the sequence"
HORIZON = "horizon: to its left are\n90 % of Σ‖contribution‖"


@dataclass(frozen=True)
class SharesByLag:
    """The signed share of each time step in a weight gradient, in several panels.

    Attributes
    ----------
    title : str
    panels : mapping of str to StepShares
        For each heading, the shares in order of time.
    relevant : array [T], optional
        The share of sequences in which a step contains a part of the answer; these steps are marked.
    """

    title: str
    panels: Mapping[str, StepShares]
    relevant: PerStep | None = None

    columns = ("panel", "lag", "share", "norm", "horizon", "cancellation index")

    def rows(self) -> list[tuple[Any, ...]]:
        """Return one row per bar. Lag 0 is the last time step."""
        return [
            (heading, len(of.shares) - 1 - t, float(share), float(of.sizes[t]), of.horizon, of.cancellation)
            for heading, of in self.panels.items()
            for t, share in enumerate(of.shares)
        ]


def draw_shares(record: SharesByLag) -> "Figure":
    """Draw a bar for each step, with negative shares below the axis, and the horizon as a line."""
    rows, columns = grid(len(record.panels))
    figure = new_figure(max(7.0, 2.8 + 3.8 * columns), 0.8 + 2.9 * rows, record.title)
    panels = figure.subplots(rows, columns, squeeze=False)
    for ax, (heading, of) in zip(panels.flat, record.panels.items(), strict=False):
        draw_bars(ax, of, record.relevant)
        ax.set_title(f"{heading}: cancellation index {of.cancellation:.2g}", fontsize="medium")
    for ax in panels.flat[len(record.panels) :]:
        ax.set_visible(False)
    figure.supxlabel(LAG, fontsize="medium")
    figure.supylabel("signed share of the step", fontsize="medium")
    legend_beside(figure, _keys(record))
    return figure


def draw_bars(ax: "Axes", of: StepShares, relevant: PerStep | None = None) -> None:
    """Draw the bars of one gradient into `ax`; the steps that contain the answer are marked at the upper edge."""
    lags = len(of.shares) - 1 - np.arange(len(of.shares))
    colours = np.where(of.shares < 0, GREY, BLUE)
    ax.bar(lags, of.shares, width=0.8, color=colours.tolist())
    ax.axhline(0, color=BLACK, linewidth=0.8)
    ax.axvline(of.horizon - 0.5, color=BLACK, linestyle=(0, (5, 2)), linewidth=1.2)
    if relevant is not None:
        steps = lags[relevant > 0]
        ax.plot(steps, np.ones(len(steps)), "v", color=ORANGE, transform=ax.get_xaxis_transform(), clip_on=False)
    ax.locator_params(axis="x", integer=True)
    tidy(ax)


def _keys(record: SharesByLag) -> list[Any]:
    """Return the legend: the horizon, negative shares and the answer where they occur."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    keys: list[Any] = [Line2D([], [], color=BLACK, linestyle=(0, (5, 2)), linewidth=1.2, label=HORIZON)]
    if any((of.shares < 0).any() for of in record.panels.values()):
        keys.append(Patch(color=GREY, label="against the gradient"))
    if record.relevant is not None:
        keys.append(Line2D([], [], color=ORANGE, marker="v", linestyle="", label="the answer"))
    return keys


@checked_keywords()
def plot_attribution(attribution: Attribution, *, weights: str = "together", ax: "Axes | None" = None) -> "Axes":
    """Plot the signed share of each time step in a weight gradient against its lag, as bars.

    Shares below 0 work against the gradient. A dashed line shows the horizon, the title the cancellation index.

    Parameters
    ----------
    attribution : Attribution
    weights : `R`, `W` or `together`
        The weights whose gradient is shown.
    ax : Axes, optional
        The axes to draw on; if None, those of a new pyplot figure.

    Returns
    -------
    Axes
        The axes of the plot.

    Raises
    ------
    InvalidArgument
        If `attribution` is not an `Attribution`, or the weights are unknown.

    Examples
    --------
    >>> import numpy as np
    >>> from memspan import RNN, Attribution, plot_attribution
    >>> network = RNN(1, 8, 1, rng=0)
    >>> y_hat = network.forward(np.ones((20, 1)))
    >>> ax = plot_attribution(Attribution.of(network.backward(np.ones_like(y_hat))), weights="R")
    >>> len(ax.patches)
    20
    """
    if not isinstance(attribution, Attribution):
        raise InvalidArgument("attribution", "an Attribution", repr(attribution))
    label = WEIGHTS[one_of("weights", weights, WEIGHTS)]
    of = getattr(attribution, weights)
    ax = axes_or_new(ax)
    draw_bars(ax, of)
    ax.set(xlabel=LAG, ylabel=f"signed share in {label}", title=f"cancellation index {of.cancellation:.2g}")
    ax.margins(y=0.2)  # room for the legend
    ax.legend(handles=_keys(SharesByLag("", {"": of})), frameon=False, fontsize="small")
    ink_of_user(ax)
    return ax
