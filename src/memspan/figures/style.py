"""The common style of all figures, and the functions that save them."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from textwrap import wrap
from typing import IO, TYPE_CHECKING, Any, Protocol

import numpy as np

from memspan.errors import InvalidArgument
from memspan.runtime.csv_text import csv_text
from memspan.runtime.files import replaced, write_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe & Ito 2008: colours that colour-blind readers can distinguish, also in print.
BLUE, ORANGE, GREEN, GREY, BLACK = "#0072B2", "#D55E00", "#009E73", "#7f7f7f", "#000000"
POINTS = 9  # size of the letters of a title
LETTERS = 13.5  # of a title in one inch
LINE = 0.155  # inches that a line of a title takes
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
SHORT = 1000
"""The ratio of its ends below which a logarithmic axis is short."""


class Record(Protocol):
    """The content of a figure, which is also saved as a table."""

    @property
    def columns(self) -> Sequence[str]:
        """The column names of `rows`."""

    def rows(self) -> Sequence[Sequence[Any]]:
        """Return the drawn numbers."""


@contextmanager
def own_style() -> Iterator[None]:
    """Replace the user's settings of matplotlib by memspan's, and restore them at the end.

    The colours of the figures are chosen for a white background. Matplotlib reads its settings when a figure is
    drawn and when it is saved.
    """
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update({"svg.hashsalt": "memspan", "svg.fonttype": "none"})
        yield


def new_figure(width: float = 7.0, height: float = 4.5, title: str = "") -> "Figure":
    """Return a figure of that size in inches. It is unknown to pyplot, so it changes no global state.

    The lines of the title are wrapped to the width of the figure. The title is above the given height.
    """
    from matplotlib.figure import Figure

    lines = [line for text in title.splitlines() for line in balanced(text, int(LETTERS * width))]
    figure = Figure(figsize=(width, height + LINE * len(lines)), layout="constrained")
    if lines:
        figure.suptitle("\n".join(lines), fontsize=POINTS)
    return figure


def name_height(figure: "Figure", label: str) -> None:
    """Label the vertical axis of all panels, in the middle of what is below the title."""
    title = LINE * len(figure.get_suptitle().splitlines())
    figure.supylabel(label, y=0.5 * (1 - title / figure.get_figheight()), fontsize="medium")


def legend_beside(figure: "Figure", handles: Sequence[Any], **look: Any) -> None:
    """Put the legend to the right of all panels, and below the title, which may be as wide as the figure."""
    # Empty lines keep it below the title. Matplotlib leaves room beside the panels only without an anchor.
    empty = "\n" * len(figure.get_suptitle().splitlines())
    place: dict[str, Any] = {"loc": "outside right upper", "title": empty, "title_fontsize": POINTS}
    figure.legend(handles=handles, **place, frameon=False, fontsize="small", **look)


def balanced(text: str, most: int) -> list[str]:
    """Wrap a text into the fewest lines of at most `most` characters, all of about the same length."""
    if not text.strip():
        return []
    count = len(wrap(text, most))
    return next(lines for width in range(len(text) // count, most + 1) if len(lines := wrap(text, width)) == count)


def axes_or_new(ax: "Axes | None") -> "Axes":
    """Return `ax`, or the axes of a new pyplot figure, which `plt.show()` and notebooks show."""
    if ax is not None:
        if not callable(getattr(ax, "plot", None)):
            raise InvalidArgument("ax", "the Axes of a matplotlib figure", repr(ax))
        return ax
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=(6.4, 4.2), layout="constrained")[1]


def ink_of_user(ax: "Axes") -> None:
    """Draw black lines in the colour of the labels, because the background of the user's style may be dark."""
    from matplotlib.lines import Line2D

    for line in ax.findobj(Line2D):
        if line.get_color() == BLACK:
            line.set_color(ax.xaxis.label.get_color())


def tidy(ax: "Axes") -> None:
    """Keep only the two spines that have a scale, and add a faint grid."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(alpha=0.25, linewidth=0.6)
    ax.set_axisbelow(True)


def mark_lengths(ax: "Axes", lengths: Sequence[int]) -> None:
    """Put a tick at every length, and label the longest and all others for which there is room.

    The horizontal axis may be logarithmic.
    """
    place = dict(zip(lengths, np.log(lengths) if ax.get_xscale() == "log" else lengths, strict=True))
    distance = 0.05 * (max(place.values()) - min(place.values()))
    named: list[int] = []
    for length in sorted(lengths, reverse=True):
        if not named or place[named[-1]] - place[length] >= distance:
            named.append(length)
    ax.set_xticks(lengths, [""] * len(lengths), minor=True)
    ax.set_xticks(named, [str(length) for length in named])


def plain_number(value: float) -> str:
    """Write a number as 0.02, and a power of ten as 10⁻⁸."""
    text = f"{value:.0e}"
    if 1e-3 <= value < 1e4 or not text.startswith("1e"):
        return f"{value:g}"
    return "10" + str(int(text[2:])).translate(SUPERSCRIPTS)


def plain_ticks(ax: "Axes", write: Callable[[float], str] = plain_number) -> None:
    """Label a logarithmic vertical axis, whose ends are known, with plain text; 2 and 5, too, if it is short.

    Mathematical letters, the default of matplotlib, take longer to draw than all the rest of a small figure.
    """
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    bottom, top = ax.get_ylim()
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if top / bottom < SHORT else (1,)))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, place: write(value)))
    ax.yaxis.set_minor_formatter(NullFormatter())


def ordered_colours(count: int) -> list[Any]:
    """Return colours for an ordered quantity such as length: dark to light, evenly spaced in viridis."""
    from matplotlib import colormaps

    top = 0.9  # the lightest yellow is hard to see on white
    return [colormaps["viridis"](top * k / max(1, count - 1)) for k in range(count)]


def save(draw: Callable[[Any], "Figure"], record: Record, folder: Path, name: str) -> None:
    """Draw a record and write `name`.png, `name`.svg, and the drawn numbers as `name`.csv.

    An interrupted write leaves no partial file.
    """
    with own_style():
        figure = draw(record)
        save_picture(figure, folder / f"{name}.png")
        figure.set_layout_engine(None)  # reuse the layout of the PNG, which takes long
        save_svg(figure, folder / f"{name}.svg")
    write_rows(folder / f"{name}.csv", record.columns, record.rows())


def save_picture(figure: "Figure", path: Path, dpi: int = 150) -> None:
    """Write a PNG without metadata, so that the same figure gives the same file."""
    with replaced(path, "output") as file:
        figure.savefig(file, format="png", dpi=dpi, metadata={"Software": None})


def save_svg(figure: "Figure", path: Path) -> None:
    """Write an SVG without metadata. Within `own_style`, the same figure gives the same file."""
    with replaced(path, "output") as file:
        save_svg_to(file, figure)


def save_svg_to(file: IO[bytes], figure: "Figure") -> None:
    """Write the SVG of `save_svg` to an open file."""
    figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})


def write_rows(path: Path, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Write a table as CSV."""
    write_text(path, csv_text(columns, rows))
