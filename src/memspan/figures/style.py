"""One look for every figure, and one way to save them."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memspan.errors import InvalidArgument

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe & Ito 2008: told apart by the colour-blind, and in print.
BLUE, ORANGE, GREEN, GREY, BLACK = "#0072B2", "#D55E00", "#009E73", "#7f7f7f", "#000000"


def new_figure(width: float = 7.0, height: float = 4.5) -> "Figure":
    """A figure of that many inches, unknown to pyplot: nothing global is touched and nothing leaks."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def axes_or_new(ax: "Axes | None") -> "Axes":
    """`ax`, or the axes of a new pyplot figure, so that `plt.show()` and notebooks show it."""
    if ax is not None:
        if not callable(getattr(ax, "plot", None)):
            raise InvalidArgument("ax", "the Axes of a matplotlib figure", repr(ax))
        return ax
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=(6.4, 4.2), layout="constrained")[1]


def tidy(ax: "Axes") -> None:
    """Only the two spines that carry a scale, and a faint grid."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(alpha=0.25, linewidth=0.6)
    ax.set_axisbelow(True)


def mark_lengths(ax: "Axes", lengths: Sequence[int]) -> None:
    """Ticks at the lengths that were tried; names of the longest, and of the others that have room."""
    distance = 0.045 * (max(lengths) - min(lengths) or max(lengths))
    named: list[int] = []
    for length in sorted(lengths, reverse=True):
        if not named or named[-1] - length >= distance:
            named.append(length)
    ax.set_xticks(lengths, minor=True)
    ax.set_xticks(named)


def ordered_colours(count: int) -> list[Any]:
    """Colours for an ordered quantity such as length, dark to light, evenly spaced in viridis."""
    from matplotlib import colormaps

    top = 0.9  # the lightest yellow is hard to see on white
    return [colormaps["viridis"](top * k / max(1, count - 1)) for k in range(count)]


def save(figure: "Figure", folder: Path, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Write `name`.png, `name`.svg, and the numbers that were drawn as `name`.csv."""
    from matplotlib import rc_context

    save_picture(figure, folder / f"{name}.png")
    with rc_context({"svg.hashsalt": "memspan", "svg.fonttype": "none"}):
        figure.savefig(folder / f"{name}.svg", metadata={"Date": None, "Creator": None})
    write_rows(folder / f"{name}.csv", columns, rows)


def save_picture(figure: "Figure", path: Path, dpi: int = 150) -> None:
    """Write a PNG without the date and the version of who wrote it."""
    figure.savefig(path, dpi=dpi, metadata={"Software": None})


def write_rows(path: Path, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Write a table as CSV."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(rows)
