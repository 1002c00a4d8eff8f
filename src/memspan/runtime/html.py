"""Fragments of HTML: the results of memspan in a notebook, and parts of the report.

All text is escaped by MarkupSafe: a fragment is `Markup`, and a `str` is text.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from markupsafe import Markup, escape

from memspan.runtime.progress import plain

if TYPE_CHECKING:
    from rich.table import Table

MOST_ROWS = 500
"""The most rows of a table. Of a longer one, the first are shown, and the caption says so."""
EMPTY = frozenset({"br", "hr", "img", "input"})


def element(name: str, *contents: Any, **attributes: Any) -> Markup:
    """Return an element. A `str` is escaped, a `Markup` is not.

    An underscore at the end of an attribute's name is dropped (`class_`), and others become hyphens (`data_sort`).
    An attribute that is None is left out; one that is True has no value.
    """
    texts = [Markup("<"), name]
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        texts += [" ", key.rstrip("_").replace("_", "-")]
        if value is not True:
            texts += [Markup('="'), shown(value), Markup('"')]
    texts.append(Markup(">"))
    if name not in EMPTY:
        texts += [*map(shown, contents), Markup("</"), name, Markup(">")]
    return Markup("").join(texts)


def shown(value: Any) -> Markup:
    """Escape a value for HTML. Control characters of an untrusted text are written as in Python."""
    return value if isinstance(value, Markup) else escape(plain(str(value)))


def paragraphs(text: str, **attributes: Any) -> Markup:
    """Return each line of a text as a paragraph."""
    return Markup("").join(element("p", line, **attributes) for line in text.splitlines() if line.strip())


def table(
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
    caption: str = "",
    *,
    title: str = "",
    sections: Sequence[int] = (),
    sortable: bool = False,
) -> Markup:
    """Return a table of at most `MOST_ROWS` rows.

    Parameters
    ----------
    columns : sequence of str
    rows : iterable of sequences
        Numbers, and texts that begin with a digit, stand on the right.
    caption, title : str
        What is said below and above the table.
    sections : sequence of int
        The rows after which a line is drawn.
    sortable : bool
        Whether a script may sort and filter the rows.
    """
    every = list(rows)
    if len(every) > MOST_ROWS:
        caption = f"{caption} The first {MOST_ROWS} of {len(every):,} rows.".strip()
    numeric = [_numeric([row[k] for row in every]) for k in range(len(columns))]
    kinds = ["number" if one else None for one in numeric]
    head = [element("th", name, scope="col", class_=kind) for name, kind in zip(columns, kinds, strict=True)]
    body = [
        element(
            "tr",
            *(element("td", _cell(value), class_=kind) for value, kind in zip(row, kinds, strict=True)),
            class_="last" if k in sections else None,
        )
        for k, row in enumerate(every[:MOST_ROWS])
    ]
    grid = element(
        "table",
        element("thead", element("tr", *head)) if any(columns) else Markup(""),
        element("tbody", *body),
        class_="sortable" if sortable else None,
    )
    above = element("p", title, class_="title") if title else ""
    below = element("p", caption, class_="caption") if caption else ""
    # The frame scrolls, so it must be in reach of the keyboard.
    frame = element("div", grid, class_="scroll", tabindex="0", role="region", aria_label=title or "table")
    return element("div", above, frame, below, class_="table")


def _numeric(values: Sequence[Any]) -> bool:
    """Whether the values of a column, as far as they are known, are numbers or texts that begin with one."""
    known = [value for value in values if value not in ("", None, "–")]
    return bool(known) and all(
        isinstance(value, int | float) or str(value)[:1].isdecimal() or str(value)[:1] in "+-−±" for value in known
    )


def _cell(value: Any) -> Any:
    """Return a number with six digits, a dash for None, and anything else as it is."""
    if value is None:
        return "–"
    return f"{value:.6g}" if isinstance(value, float) else value


def of_table(drawn: "Table") -> Markup:
    """Return a table of `rich` as HTML."""
    columns = [str(column.header) for column in drawn.columns]
    cells = zip(*([*column.cells] for column in drawn.columns), strict=True)
    sections = [k for k, row in enumerate(drawn.rows) if row.end_section]
    title, caption = (str(text) if text else "" for text in (drawn.title, drawn.caption))
    rows = [[str(cell) for cell in row] for row in cells]
    names = columns if drawn.show_header else [""] * len(columns)
    return table(names, rows, caption, title=title, sections=sections)


def facts(values: Mapping[str, Any]) -> Markup:
    """Return a list of names and values."""
    pairs = [element("div", element("dt", name), element("dd", _cell(value))) for name, value in values.items()]
    return element("dl", *pairs, class_="facts")


@cache
def style() -> str:
    """Return the style sheet of the fragments. It concerns only what is inside an element of class `memspan`."""
    return files("memspan.runtime").joinpath("html.css").read_text("utf-8")


def for_notebook(*fragments: Any) -> str:
    """Return fragments with their style sheet, as the result of `_repr_html_`."""
    sheet = element("style", Markup(style()))
    return str(element("div", sheet, *fragments, class_="memspan"))
