"""What a report can show, and the sections that each thing has."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from markupsafe import Markup
from rich.table import Table

from memspan.errors import InvalidArgument, shown
from memspan.report.comparison import comparison_sections
from memspan.report.page import Chapter, Page, Section
from memspan.report.study import study_sections
from memspan.report.why import evidence_of
from memspan.runtime.html import element, of_table, paragraphs
from memspan.runtime.progress import plain
from memspan.study.comparison_result import Compared
from memspan.study.results import StudySummary
from memspan.study.search_result import SearchResult
from memspan.why.explanation import Explanation, table_of

if TYPE_CHECKING:
    from memspan.store.store import Overview

Sections = Callable[[Page], Iterable[Section]]


@dataclass(frozen=True)
class Content:
    """A chapter to be made: its title, its tags, and a function that makes its sections on a page.

    `result` is that of a study or a search, which is shown side by side with others; None for anything else.
    """

    title: str
    tags: Sequence[str]
    sections: Sections
    result: StudySummary | None = None

    def chapter(self, page: Page) -> Chapter:
        """Return the chapter, whose pictures and tables are made now."""
        return Chapter(plain(self.title), [*self.sections(page)], self.tags)


def content_of(
    thing: Any,
    title: str = "",
    tags: Sequence[str] = (),
    explanations: Sequence[Explanation] = (),
    overview: "Overview | None" = None,
) -> Content:
    """Return the content of a thing. The parameters are those of `Report.add`."""
    usual, sections = _sections_of(thing, _demand_explanations(explanations), overview)
    return Content(title or usual, tags, sections, thing if isinstance(thing, StudySummary) else None)


def _demand_explanations(explanations: Any) -> list[Explanation]:
    listed = [explanations] if isinstance(explanations, Explanation) else [*explanations]
    if wrong := [one for one in listed if not isinstance(one, Explanation)]:
        raise InvalidArgument("explanations", "explanations, as memspan.explain returns them", shown(wrong[0]))
    return listed


def _sections_of(
    thing: Any, explanations: Sequence[Explanation], overview: "Overview | None"
) -> tuple[str, Sections]:
    """The usual title of a thing, and its sections."""
    if isinstance(thing, StudySummary):
        experiment = thing.search if isinstance(thing, SearchResult) else thing.study
        usual = experiment.name or f"{experiment.what} of {experiment.describe()}"
        return usual, lambda page: study_sections(page, thing, explanations, overview)
    if isinstance(thing, Compared):
        name = thing.comparison.name if thing.comparison else None
        return name or "Comparison", lambda page: comparison_sections(page, thing, explanations, overview)
    if explained := _explanations(thing):
        return "Why it stops there", lambda page: [Section("Verdicts", _verdicts(page, explained))]
    if isinstance(thing, str):
        return "Text", lambda page: [Section("Text", paragraphs(thing))]
    if isinstance(thing, Table):
        return "Table", lambda page: [Section("Table", of_table(thing))]
    if callable(getattr(thing, "savefig", None)):
        return "Figure", lambda page: [Section("Figure", page.figure(thing, "A figure of the author's"))]
    if callable(getattr(thing, "_repr_html_", None)):
        return type(thing).__name__, lambda page: [Section(type(thing).__name__, Markup(thing._repr_html_()))]
    rule = "a result of memspan, a figure of matplotlib, a text, or an object with _repr_html_"
    raise InvalidArgument("thing", rule, shown(thing))


def _explanations(thing: Any) -> list[Explanation]:
    """The explanations that `thing` is or lists; none if it is something else."""
    listed = [thing] if isinstance(thing, Explanation) else thing if isinstance(thing, list | tuple) else []
    return [*listed] if all(isinstance(one, Explanation) for one in listed) else []


def _verdicts(page: Page, explanations: Sequence[Explanation]) -> Markup:
    """A table of each configuration, the verdicts in words, and the evidence."""
    found = []
    for configuration in dict.fromkeys(one.configuration for one in explanations):
        own = [one for one in explanations if one.configuration == configuration]
        said = [element("li", str(one)) for one in own]
        found += [of_table(table_of(own)), element("ul", *said), evidence_of(page, own)]
    return Markup("").join(found)
