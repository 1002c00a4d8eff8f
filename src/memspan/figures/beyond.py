"""The accuracy of trained networks at other lengths than those they were trained at."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from memspan.figures.style import new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class AccuracyBeyond:
    """Accuracies after training at T and testing at T'.

    Attributes
    ----------
    title : str
    threshold : float
        The accuracy at which a length counts as solved.
    accuracies : mapping of int to mapping of int to tuple of float
        By T and T', the accuracy of each repetition.
    """

    title: str
    threshold: float
    accuracies: Mapping[int, Mapping[int, tuple[float, ...]]]

    columns = ("trained at", "tested at", "repetitions", "mean accuracy", "at least the threshold")

    def rows(self) -> list[tuple[Any, ...]]:
        """Return one row for each pair of lengths."""
        return [
            (
                trained,
                tested,
                len(values),
                float(np.mean(values)),
                sum(value >= self.threshold for value in values),
            )
            for trained, row in self.accuracies.items()
            for tested, values in row.items()
            if values
        ]


def draw_beyond(record: AccuracyBeyond) -> "Figure":
    """Draw a map of the mean accuracies: a row for each T, a column for each T'."""
    trained = list(record.accuracies)
    tested = sorted({length for row in record.accuracies.values() for length in row})
    values = np.full((len(trained), len(tested)), np.nan)
    for i, row in enumerate(trained):
        for j, column in enumerate(tested):
            if found := record.accuracies[row].get(column):
                values[i, j] = np.mean(found)
    size = min(max(7.0, 4.4 + 0.62 * len(tested)), 14), min(2.2 + 0.4 * len(trained), 12)
    figure = new_figure(*size, record.title)
    ax = figure.subplots()
    colours = ax.imshow(values, cmap="viridis", vmin=0, vmax=1, aspect="auto", interpolation="nearest")
    for (i, j), value in np.ndenumerate(values):
        if not np.isnan(value) and len(tested) <= 20:
            ink = "black" if value > 0.55 else "white"
            ax.text(j, i, f"{value:.2f}", ha="center", va="center", color=ink, fontsize="small")
    ax.set_xticks(range(len(tested)), [str(length) for length in tested])
    ax.set_yticks(range(len(trained)), [str(length) for length in trained])
    ax.set(xlabel="tested at length T' (time steps)", ylabel="trained at length T (time steps)")
    ax.spines[:].set_visible(False)
    figure.colorbar(colours, ax=ax, label="mean accuracy over repetitions")
    return figure
