"""One look for every figure, and one way to save them."""

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from memspan.errors import InvalidArgument
from memspan.runtime.files import replaced, write_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe & Ito 2008: told apart by the colour-blind, and in print.
BLUE, ORANGE, GREEN, GREY, BLACK = "#0072B2", "#D55E00", "#009E73", "#7f7f7f", "#000000"


class Record(Protocol):
    """What a figure shows: a table with one row for each number that is drawn."""

    @property
    def columns(self) -> Sequence[str]:
        """The headings of `rows`."""

    def rows(self) -> Sequence[Sequence[Any]]:
        """What is drawn."""


@contextmanager
def own_style() -> Iterator[None]:
    """memspan's settings of matplotlib instead of the user's, which come back afterwards.

    The colours of the figures are chosen for white paper. Both drawing and saving read the settings.
    """
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update({"svg.hashsalt": "memspan", "svg.fonttype": "none"})
        yield


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


def ink_of_user(ax: "Axes") -> None:
    """On axes of the user's style, draw the black lines in the colour of the labels: the paper may be dark."""
    from matplotlib.lines import Line2D

    for line in ax.findobj(Line2D):
        if line.get_color() == BLACK:
            line.set_color(ax.xaxis.label.get_color())


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


def save(draw: Callable[[Any], "Figure"], record: Record, folder: Path, name: str) -> None:
    """Draw a record, and write `name`.png, `name`.svg, and the numbers that were drawn as `name`.csv.

    Each of the three appears whole or not at all.
    """
    with own_style():
        figure = draw(record)
        save_picture(figure, folder / f"{name}.png")
        figure.set_layout_engine(None)  # the layout of the PNG is that of the SVG too; another takes as long again
        with replaced(folder / f"{name}.svg", "output") as file:
            figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    write_rows(folder / f"{name}.csv", record.columns, record.rows())


def save_picture(figure: "Figure", path: Path, dpi: int = 150) -> None:
    """Write a PNG without the date and the version of the program that wrote it."""
    with replaced(path, "output") as file:
        figure.savefig(file, format="png", dpi=dpi, metadata={"Software": None})


def write_rows(path: Path, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Write a table as CSV."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(columns)
    writer.writerows(rows)
    write_text(path, text.getvalue())
