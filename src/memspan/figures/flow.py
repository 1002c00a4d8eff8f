"""The size of the gradient against the lag, for several networks in one figure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from memspan.diagnostics import GradientFlow
from memspan.errors import InvalidArgument, one_of
from memspan.figures.configurations import COLOURS
from memspan.figures.gradients import draw_line, marks_of
from memspan.figures.style import BLACK, axes_or_new, ink_of_user, legend_beside, name_height, new_figure, tidy
from memspan.runtime.renamed import checked_keywords
from memspan.shapes import PerStep

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1, 1.2)), (0, (6, 1.5, 1, 1.5)), (0, (10, 3)), (0, (2, 2.5)))
"""Line styles that can be distinguished in the same colour."""
QUANTITIES = {"d_a": "‖dL/da[t]‖", "d_R": "‖dL/dR[t]‖", "d_W": "‖dL/dW[t]‖"}
LAG = "lag: time steps before the end of the sequence"

Choices = tuple[str, ...]
"""The values in which a network differs from the others, such as `("lstm", "2")` for cell and gain."""


@dataclass(frozen=True)
class FlowsByLag:
    """A norm at every time step, for several networks. Colours show the first field, line styles the others.

    Attributes
    ----------
    title : str
    fields : tuple of str
        The fields in which the networks differ, such as gain.
    panels : mapping of (row, column) headings to mapping of values to sequence of array [T]
        For each panel and combination of values, the norms of each of its networks.
    quantity : str
        The label of the vertical axis.
    """

    title: str
    fields: tuple[str, ...]
    panels: Mapping[tuple[str, str], Mapping[Choices, Sequence[PerStep]]]
    quantity: str = QUANTITIES["d_a"]

    @property
    def columns(self) -> tuple[str, ...]:
        """The column names of `rows`."""
        return ("row", "column", *self.fields, "network", "lag", "norm")

    def rows(self) -> list[tuple[Any, ...]]:
        """Return one row per drawn point. Lag 0 is the last time step; networks are counted from 1."""
        return [
            (*panel, *values, number, len(norms) - 1 - t, norm)
            for panel, networks in self.panels.items()
            for values, lines in networks.items()
            for number, norms in enumerate(lines, start=1)
            for t, norm in enumerate(norms.tolist())
        ]

    def choices(self) -> list[Choices]:
        """Return the different combinations of values in all panels."""
        return list(dict.fromkeys(values for networks in self.panels.values() for values in networks))


def demand_distinct(choices: Sequence[Choices], fields: Sequence[str]) -> None:
    """Raise `InvalidArgument` if there are more lines than colours and line styles can distinguish."""
    first, others = parts_of(choices)
    if len(first) > len(COLOURS):
        raise InvalidArgument(fields[0], f"at most {len(COLOURS)} values in one figure", len(first))
    if len(others) > len(DASHES):
        names = " and ".join(fields[1:])
        raise InvalidArgument(names, f"at most {len(DASHES)} values in one figure", len(others))


def parts_of(choices: Sequence[Choices]) -> tuple[list[str], list[Choices]]:
    """Return the different values of the first field, and those of the other fields."""
    return [*dict.fromkeys(c[0] for c in choices if c)], [*dict.fromkeys(c[1:] for c in choices)]


def draw_flows(record: FlowsByLag) -> "Figure":
    """Draw norm against lag on a log axis; the panels of a row share their scale."""
    rows, columns = ([*dict.fromkeys(panel[k] for panel in record.panels)] for k in (0, 1))
    figure = new_figure(3.4 + 4.6 * len(columns), 0.8 + 3.2 * len(rows), record.title)
    axes = figure.subplots(len(rows), len(columns), sharey="row", squeeze=False)
    for (row, column), networks in record.panels.items():
        ax = axes[rows.index(row), columns.index(column)]
        for values, lines in networks.items():
            for norms in lines:
                draw_line(ax, norms, **look_of(values, record.choices()))
        ax.set(title=", ".join(filter(None, (row, column))), yscale="log")
        ax.locator_params(axis="x", integer=True)
        if not networks:
            ax.text(0.5, 0.5, "none", transform=ax.transAxes, ha="center")
            ax.set_xticks([])
        tidy(ax)
    figure.supxlabel(LAG, fontsize="medium")
    name_height(figure, record.quantity)
    drawn = [line for networks in record.panels.values() for lines in networks.values() for line in lines]
    handles = [*keys_of(record.choices(), record.fields), *marks_of(drawn)]
    legend_beside(figure, handles, handlelength=3)
    return figure


def look_of(values: Choices, choices: Sequence[Choices]) -> dict[str, Any]:
    """Return the colour (first field) and line style (other fields); a single field has both, for print."""
    first, others = parts_of(choices)
    colour = first.index(values[0]) if values else 0
    dashes = others.index(values[1:]) if len(others) > 1 else colour
    return {"color": COLOURS[colour % len(COLOURS)], "linestyle": DASHES[dashes % len(DASHES)]}


def keys_of(choices: Sequence[Choices], fields: Sequence[str]) -> list[Any]:
    """Return the legend entries: one for each value of the first field and of the other fields."""
    from matplotlib.lines import Line2D

    first, others = parts_of(choices)
    looks: list[tuple[dict[str, Any], str]]
    if len(others) > 1:
        looks = [({"color": COLOURS[k]}, f"{fields[0]} {value}") for k, value in enumerate(first)]
        looks += [({"color": BLACK, "linestyle": DASHES[k]}, named(fields[1:], v)) for k, v in enumerate(others)]
    else:
        looks = [(look_of(values, choices), named(fields, values)) for values in choices]
    return [Line2D([], [], linewidth=1.4, label=label, **look) for look, label in looks if label]


def named(fields: Sequence[str], values: Sequence[str]) -> str:
    """Return fields and values as text: `cell lstm, gain 2`."""
    return ", ".join(f"{field} {value}".strip() for field, value in zip(fields, values, strict=True))


@checked_keywords()
def plot_flow(
    flow: GradientFlow | Mapping[str, GradientFlow], *, quantity: str = "d_a", ax: "Axes | None" = None
) -> "Axes":
    """Plot the norm of the gradient at each time step against the lag, the number of steps to the sequence's end.

    The vertical axis is logarithmic. A band behind `d_a` of a single flow shows the 10 to 90 % quantiles over the
    samples of the batch. Norms that are exactly 0 are marked at the lower edge, and norms that are not
    finite at the upper edge.

    Parameters
    ----------
    flow : GradientFlow, or mapping of str to GradientFlow
        One flow, or several flows by name.
    quantity : `d_a`, `d_R` or `d_W`
        The norm of the `GradientFlow` to plot.
    ax : Axes, optional
        The axes to draw on; if None, those of a new pyplot figure.

    Returns
    -------
    Axes
        The axes of the plot.

    Raises
    ------
    InvalidArgument
        If there are more than 8 flows, the quantity is unknown, or `flow` contains anything but a `GradientFlow`.

    Examples
    --------
    >>> import numpy as np
    >>> from memspan import LSTM, RNN, GradientFlow, plot_flow
    >>> flows = {}
    >>> for network in (RNN(1, 8, 1, rng=0), LSTM(1, 8, 1, rng=0)):
    ...     y_hat = network.forward(np.ones((20, 1)))
    ...     flows[network.cell.name] = GradientFlow.of(network.backward(np.ones_like(y_hat)))
    >>> plot_flow(flows).get_yscale()
    'log'
    """
    flows = dict(flow) if isinstance(flow, Mapping) else {"": flow}
    for one in flows.values() or [flow]:
        if not isinstance(one, GradientFlow):
            raise InvalidArgument("flow", "a GradientFlow, or a mapping of names to GradientFlows", repr(one))
    label = QUANTITIES[one_of("quantity", quantity, QUANTITIES)]
    choices = [(str(name),) for name in flows]
    demand_distinct(choices, ("flow",))
    ax = axes_or_new(ax)
    norms = [getattr(one, quantity) for one in flows.values()]
    for choice, line in zip(choices, norms, strict=True):
        draw_line(ax, line, **look_of(choice, choices))
    bands = [_band(ax, one, COLOURS[0]) for one in flows.values() if quantity == "d_a" and len(flows) == 1]
    ax.set(yscale="log", xlabel=LAG, ylabel=label)
    ax.locator_params(axis="x", integer=True)
    tidy(ax)
    handles = [*keys_of(choices, ("",)), *bands, *marks_of(norms)]
    if handles:
        ax.legend(handles=handles, frameon=False, fontsize="small")
    ink_of_user(ax)
    return ax


def _band(ax: "Axes", flow: GradientFlow, colour: str) -> Any:
    """Draw the 10 to 90 % quantiles over the samples, where they are positive; return the legend's entry."""
    low, _, high = flow.spread.quantiles
    lags = len(low) - 1 - np.arange(len(low))
    shown = (low > 0) & np.isfinite(high)
    label = "10 to 90 % of the samples"
    return ax.fill_between(lags, low, high, where=shown, color=colour, alpha=0.2, linewidth=0, label=label)
