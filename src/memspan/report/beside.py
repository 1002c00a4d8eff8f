"""Several studies side by side: their answers, and their spans in one picture."""

from collections.abc import Sequence
from typing import NamedTuple

from markupsafe import Markup

from memspan.figures.forest import Forest, NamedSpan, draw_forest
from memspan.report.page import Page, Section
from memspan.report.study import longest_spans
from memspan.runtime.html import element, table
from memspan.study.results import StudySummary

HEADINGS = ("study", "configuration", "task", "cell", "hidden", "span")


class Titled(NamedTuple):
    """A result under the title of its chapter."""

    title: str
    result: StudySummary


def beside(page: Page, results: Sequence[Titled]) -> Section:
    """Return the spans of several studies: a forest plot and a table. Different tasks are not compared by it."""
    found = [(one, span) for one in results for span in longest_spans(one.result)]
    rows = [
        [one.title, span.label or "–", *_task_and_cell(one.result), span.hidden, span.estimate.short]
        for one, span in found
    ]
    spans = [_titled(one.title, span) for one, span in found]
    label = "The spans of all studies with their intervals"
    picture = page.picture(draw_forest, Forest("", spans), label, "side-by-side") if spans else Markup("")
    tasks = {task for one in results for task in one.result.study.values()["task"]}
    warned = "The tasks differ, so the spans are not comparable as such." if len(tasks) > 1 else ""
    return Section(
        "Side by side", Markup("").join([element("p", warned) if warned else "", picture, table(HEADINGS, rows)])
    )


def _titled(title: str, span: NamedSpan) -> NamedSpan:
    label = f"{title}: {span.label}" if span.label else title
    return NamedSpan(label, span.hidden, span.parameters, span.estimate)


def _task_and_cell(result: StudySummary) -> list[str]:
    return [", ".join(map(str, result.study.values()[field])) for field in ("task", "cell")]
