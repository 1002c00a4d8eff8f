"""Panels of a figure that has several: titles and legends above them, and a sentence where one is empty."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from memspan.figures.style import GREY, balanced

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

SMALL = 7.5  # size of the letters of a legend
ROW = 11.5  # points that a row of a legend takes


def fill(ax: "Axes", title: str, content: Any, draw: Callable[["Axes", Any], None]) -> None:
    """Draw a panel, or write the sentence why it is empty."""
    if isinstance(content, str):
        _say(ax, title, content)
    else:
        draw(ax, content)


def _say(ax: "Axes", title: str, sentence: str) -> None:
    """Write in an empty panel why it is empty."""
    head(ax, title, [])
    lines = "\n".join(balanced(sentence, 38))
    ax.text(0.5, 0.5, lines, transform=ax.transAxes, ha="center", va="center", fontsize="small", color=GREY)
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_color("#cccccc")


def head(ax: "Axes", title: str, handles: Sequence["Artist"], columns: int = 2) -> None:
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
