"""The sections of a comparison: the pairs that are told apart, the spans, and each configuration."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from markupsafe import Markup

from memspan.figures.forest import Forest, draw_forest, draw_sweep
from memspan.report.made import made_section
from memspan.report.page import Page, Section
from memspan.report.study import MOST_NAMED, closed, left_out, trial_sections, what_of
from memspan.runtime.html import element, of_table, paragraphs
from memspan.study.comparison_result import Compared

if TYPE_CHECKING:
    from memspan.store.store import Overview
    from memspan.why import Explanation


def comparison_sections(
    page: Page, result: Compared, explanations: "Sequence[Explanation]" = (), overview: "Overview | None" = None
) -> Iterator[Section]:
    """Yield the sections of a comparison."""
    yield Section("The answer", _answer(page, result))
    yield Section("Spans", of_table(result.table()))
    if result.pairs:
        yield Section("Ratios of spans", of_table(result.pair_table()))
    each = zip(result.labels, result.results, strict=True)
    blocks = [closed(page, label, one, explanations) for label, one in each if not page.full]
    left = result.labels[len(blocks) :]
    yield Section("Each configuration", Markup("").join([*blocks, left_out(left[:MOST_NAMED], len(left))]))
    yield from trial_sections(page, [*zip(result.labels, result.results, strict=True)])
    trials = [trial for one in result.results for trial in one.trials]
    yield made_section(result.comparison, overview, trials)


def _answer(page: Page, result: Compared) -> Markup:
    lines = [line for text in (result.power_law, result.sentence) for line in text.splitlines()]
    one = len(lines) == 1
    said = paragraphs(*lines, class_="answer") if one else element("ul", *map(_item, lines), class_="answers")
    if not result.spans:
        return said
    record = result.figure()
    draw = draw_forest if isinstance(record, Forest) else draw_sweep
    return said + what_of(result.results) + page.picture(draw, record, "The spans with their intervals", "spans")


def _item(line: str) -> Markup:
    return element("li", line)
