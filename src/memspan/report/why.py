"""The why on a page: verdicts with their evidence, and gradient and updates on the axis of lengths."""

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup

from memspan.errors import InvalidArgument
from memspan.figures.limits import draw_limits
from memspan.figures.mechanism import draw_mechanism
from memspan.report.page import Page
from memspan.runtime.html import element, of_table, paragraphs
from memspan.study.results import StudyResult
from memspan.why.attempt import limit_of
from memspan.why.explanation import Explanation, table_of
from memspan.why.page import deciding, limits_of, mechanism_of

if TYPE_CHECKING:
    from collections.abc import Iterable

LIMITS = "Solved shares, updates to leave the plateau, and the gradient left at the first step, by length"
MECHANISM = "The gradient during training, the eigenvalues of R, and the gates of a network"


def why_of(page: Page, part: StudyResult, explanations: "Iterable[Explanation]" = ()) -> Markup:
    """Return the verdict on one configuration and its evidence; without explanations, what its trials show.

    Explanations of other configurations are left out.
    """
    own = [one for one in explanations if one.configuration == part.study.configuration]
    if not own:
        return _advice(part) + _limits(page, part, None)
    decided = deciding(part, own)
    assert decided is not None  # there is one of this configuration
    inside = page.picture(draw_mechanism, mechanism_of(part, decided), MECHANISM, "mechanism")
    parts = [_verdict(decided), of_table(table_of(own)), _limits(page, part, decided.length), inside]
    return Markup("").join([*parts, evidence_of(page, own)])


def _advice(part: StudyResult) -> Markup:
    """What to do for a verdict."""
    if limit_of(part) is None:
        return element("p", "At least half of the networks solve every length, so nothing limits the span yet.")
    if part.study.configuration.truncate is not None:
        said = "There is no verdict: memspan explains whole gradients only, and this one was truncated."
        return element("p", said)
    command = element("code", shlex.join(["memspan", "report", part.study.name or "NAME"]))
    program = element("code", "add(result, explanations=memspan.explain(result))")
    said = "This page has no verdict, for which some networks are trained again. To get one: "
    return element("p", said, command, " for a study in a store, or in Python ", program, ".")


def _limits(page: Page, part: StudyResult, length: int | None) -> Markup:
    try:
        record = limits_of(part, length)
    except InvalidArgument as error:  # such as a gradient that is truncated
        return element("p", f"Updates and gradients are not compared: {error}")
    return page.picture(draw_limits, record, LIMITS, "limits")


def _verdict(decided: Explanation) -> Markup:
    """The verdict in words, and the changes that should lift the limit."""
    remedies = [element("li", f"{remedy}: {remedy.expected}") for remedy in decided.remedies]
    help_ = element("p", "What should help, the best first:") + element("ol", *remedies) if remedies else ""
    return paragraphs(str(decided), class_="answer") + help_


def evidence_of(page: Page, explanations: Sequence[Explanation]) -> Markup:
    """Return the numbers behind the verdicts, one row for each network that was trained again."""
    rows = [
        (
            one.length,
            evidence.repetition,
            str(evidence.outcome),
            criterion.verdict,
            criterion.condition,
            evidence.numbers,
        )
        for one in explanations
        for evidence, criterion in zip(one.evidence, one.criteria, strict=True)
    ]
    names = [name for name in rows[0][-1] if any(not np.isnan(row[-1][name]) for row in rows)] if rows else []
    if not rows:
        return Markup("")
    columns = ["T", "repetition", "outcome", "verdict", "because", *(name.replace("_", " ") for name in names)]
    cells = [[*row[:-1], *(_number(row[-1][name]) for name in names)] for row in rows]
    found = page.trials(columns, cells, "evidence")
    return element("details", element("summary", "Evidence of every network"), found)


def _number(value: float) -> float | str:
    return float(f"{value:.3g}") if np.isfinite(value) else "–" if np.isnan(value) else "never"
