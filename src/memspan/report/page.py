"""What a page is made of: chapters of sections, with pictures and tables whose numbers can be copied."""

import base64
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from memspan.figures.style import Record
from memspan.figures.svg import drawn, inline
from memspan.runtime.csv_text import csv_text
from memspan.runtime.html import MOST_ROWS, element, table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LARGEST_LINK = 200_000
"""The most bytes of a CSV inside the page. A larger one is a file beside it."""
FULL = 3_500_000
"""The characters of pictures and tables after which a page leaves out those of single configurations."""


@dataclass(frozen=True)
class Section:
    """A heading and what is below it."""

    title: str
    content: Markup


@dataclass(frozen=True)
class Chapter:
    """What a page says of one thing.

    Attributes
    ----------
    title : str
    sections : sequence of Section
    tags : sequence of str
        Words by which a reader selects chapters.
    """

    title: str
    sections: Sequence[Section]
    tags: Sequence[str] = ()


@dataclass
class Page:
    """Makes pictures and tables, and collects the files beside the page.

    Attributes
    ----------
    stem : str
        The name of the page without its ending, with which the names of the files beside it begin.
    files : dict of str to bytes
        The files beside the page, by name.
    size : int
        The characters of all pictures and tables so far.
    """

    stem: str = "report"
    files: dict[str, bytes] = field(default_factory=dict)
    size: int = 0

    @property
    def full(self) -> bool:
        """Whether pictures of single configurations are left out from now on."""
        return self.size > FULL

    def picture(self, draw: Callable[[Any], "Figure"], record: Record, label: str, name: str) -> Markup:
        """Return a picture, with its numbers below it.

        Parameters
        ----------
        draw : callable
        record : Record
        label : str
            What it shows, in a sentence, for readers who cannot see it.
        name : str
            The name of its CSV file, without ending.
        """
        untitled: Any = replace(record, title="")  # type: ignore[type-var]  # the page says what a title says
        numbers = self.numbers(record.columns, record.rows(), name)
        return self._figure(drawn(draw, untitled, label), label, numbers)

    def figure(self, figure: "Figure", label: str) -> Markup:
        """Return a figure of the user's as a picture."""
        return self._figure(inline(figure, label), "", Markup(""))

    def _figure(self, svg: str, caption: str, numbers: Markup) -> Markup:
        self.size += len(svg)
        below = element("figcaption", f"{caption}.") if caption else Markup("")
        # The output is where a script writes the name of the curve at the pointer.
        named = element("output", class_="name") if 'class="named"' in svg else Markup("")
        return element("figure", element("div", Markup(svg), class_="paper", tabindex="0"), named, below, numbers)

    def numbers(self, columns: Sequence[str], rows: Iterable[Sequence[Any]], name: str) -> Markup:
        """Return a closed table of numbers, with a link to all of them as CSV."""
        every = [*rows]
        grid = table(columns, every)
        self.size += len(grid)
        link = self.link(columns, every, name)
        return element("details", element("summary", "Numbers of this figure"), link, grid)

    def trials(self, columns: Sequence[str], rows: Sequence[Sequence[Any]], name: str) -> Markup:
        """Return a table that a reader can sort and filter, with a link to all rows as CSV."""
        grid = table(columns, rows, sortable=True)
        self.size += len(grid)
        return Markup("").join([self.link(columns, rows, name), grid])

    def link(self, columns: Sequence[str], rows: Sequence[Sequence[Any]], name: str) -> Markup:
        """Return a link to a table as CSV, which is inside the page if it is small, and else beside it."""
        data = csv_text(columns, rows).encode()
        file = f"{_file_name(name)}.csv"
        if len(data) <= LARGEST_LINK:
            self.size += len(data) * 4 // 3
            place = "data:text/csv;charset=utf-8;base64," + base64.b64encode(data).decode()
        else:
            place = self._beside(file, data)
        count = f", {len(rows):,} rows" if len(rows) > MOST_ROWS else ""
        return element("p", element("a", f"CSV{count}", href=place, download=file), class_="download")

    def _beside(self, file: str, data: bytes) -> str:
        name, number = f"{self.stem}-{file}", 2
        while self.files.get(name, data) != data:
            name, number = f"{self.stem}-{number}-{file}", number + 1
        self.files[name] = data
        return name


def _file_name(name: str) -> str:
    """A name that every file system takes, and that needs no quoting in a link."""
    return re.sub(r"[^A-Za-z0-9.]+", "-", name).strip("-.")[:80] or "table"
