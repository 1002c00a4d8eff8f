"""The report: what an author puts on a page, and the page."""

import base64
import hashlib
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from markupsafe import Markup

from memspan._version import __version__
from memspan.errors import InvalidArgument, shown
from memspan.report.beside import Titled, beside
from memspan.report.contents import Content, content_of
from memspan.report.page import Chapter, Page
from memspan.runtime.files import replaced, write_text
from memspan.runtime.html import shown as shown_in_html
from memspan.runtime.html import style

if TYPE_CHECKING:
    from jinja2 import Template

    from memspan.store.store import Overview
    from memspan.why import Explanation

TITLE = "How far back it remembers, and why it stops there"


class Report:
    """A page of results, in one file that needs no network.

    Parameters
    ----------
    title : str

    Examples
    --------
    >>> from memspan import Report
    >>> report = Report("Two answers").add("We trained **nothing** yet.", title="Plan", tags=["draft"])
    >>> report
    <Report 'Two answers': Plan>
    >>> "<h2" in report.html()
    True
    """

    def __init__(self, title: str = TITLE) -> None:
        self.title = _text("title", title)
        self.contents: list[Content] = []

    def __repr__(self) -> str:
        return f"<Report {shown(self.title)}: {', '.join(one.title for one in self.contents) or 'empty'}>"

    def add(
        self,
        thing: Any,
        title: str = "",
        *,
        tags: Iterable[str] = (),
        explanations: "Sequence[Explanation]" = (),
        overview: "Overview | None" = None,
    ) -> Self:
        """Add a chapter.

        Parameters
        ----------
        thing : any
            A result of memspan: of a study, a search or a comparison, explanations, a gradient check, a history,
            a span, a table. Or a figure of matplotlib, or a text, of which each line is a paragraph. Or anything
            else that a notebook shows as HTML (`_repr_html_`): it must come from a source that you trust.
        title : str
            By default the name of the study, or what `thing` is.
        tags : iterable of str
            Words by which a reader selects chapters.
        explanations : sequence of Explanation
            Of a result: what `memspan.explain` returned for it.
        overview : Overview, optional
            Of a result: its record in the store, with versions, commit and machine.

        Returns
        -------
        Report
            The same report.

        Raises
        ------
        InvalidArgument
            When `thing` cannot be shown, or another argument has the wrong type.
        """
        words = [tags] if isinstance(tags, str) else [*tags]
        chosen = tuple(_text("tags", word) for word in words)
        self.contents.append(content_of(thing, _text("title", title), chosen, explanations, overview))
        return self

    def html(self) -> str:
        """Return the page. Tables that are too large for it are left out; `save` writes them beside it."""
        return self._made(Page())

    def save(self, path: str | Path) -> Path:
        """Write the page, and tables that are too large for it as CSV files beside it. Return its path.

        Raises
        ------
        InvalidArgument
            When the path is a folder or another special file.
        FileNotFoundError
            When its folder does not exist.
        """
        if not isinstance(path, str | Path) or str(path) == "":  # type: ignore[redundant-expr]
            raise InvalidArgument("path", "a path", shown(path))
        path = Path(path)
        page = Page(path.stem)
        text = self._made(page)
        for name, data in page.files.items():
            with replaced(path.with_name(name), "path") as file:
                file.write(data)
        write_text(path, text, "path")
        return path

    def _repr_html_(self) -> str:
        """The page in a frame, for a notebook."""
        frame = '<iframe srcdoc="{}" width="100%" height="800" style="border: 0" title="{}"></iframe>'
        return str(Markup(frame).format(self.html(), self.title))

    def _made(self, page: Page) -> str:
        results = [Titled(one.title, one.result) for one in self.contents if one.result is not None]
        first = [Chapter("Overview", [beside(page, results)])] if len(results) > 1 else []
        return render(self.title, [*first, *(content.chapter(page) for content in self.contents)])


def render(title: str, chapters: Sequence[Chapter]) -> str:
    """Return the page of some chapters."""
    script = _resource("page.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return _template().render(
        title=title,
        chapters=chapters,
        tags=sorted({tag for chapter in chapters for tag in chapter.tags}),
        style=Markup(style() + _resource("page.css")),
        script=Markup(script),
        digest=digest,
        version=__version__,
        written=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )


@cache
def _template() -> "Template":
    from jinja2 import Environment, StrictUndefined

    how: dict[str, Any] = {"undefined": StrictUndefined, "trim_blocks": True, "lstrip_blocks": True}
    environment = Environment(autoescape=True, finalize=shown_in_html, **how)
    return environment.from_string(_resource("page.html"))


@cache
def _resource(name: str) -> str:
    return files("memspan.report").joinpath(name).read_text("utf-8")


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise InvalidArgument(name, "a text", shown(value))
    return value
