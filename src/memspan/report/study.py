"""The sections of a study or a search: the answer first, and at the end every trial and how it was made."""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup

from memspan.figures.configurations import MOST_CONFIGURATIONS, draw_shares
from memspan.figures.flow import draw_flows
from memspan.figures.forest import Forest, NamedSpan, draw_forest
from memspan.report.made import made_section
from memspan.report.page import Page, Section
from memspan.report.why import why_of
from memspan.runtime.html import element, of_table, paragraphs, table
from memspan.study.comparison import parameters_of
from memspan.study.facts import facts
from memspan.study.figures import figures_of, shares_record
from memspan.study.flow import trained_record
from memspan.study.results import StudyResult, StudySummary
from memspan.study.search_result import SearchResult
from memspan.study.trial import Trial
from memspan.why.page import deciding

if TYPE_CHECKING:
    from memspan.store.store import Overview
    from memspan.why import Explanation

NOTHING = Markup("")
MOST_SPANS = 20
"""The most configurations whose span is estimated for the answer, which takes up to 50 ms each."""
MOST_NAMED = 5
"""The most configurations without pictures that are named."""
SUCCESS = ("span", "accuracy", "accuracy-beyond")
GRADIENT = ("gradient-by-lag", "gradient-of-weights-by-lag", "gradient-during-training")
LABELS = {
    "span": "The share of trainings that solved each length, and the fitted curve with the span",
    "accuracy": "The accuracy of every repetition, and the solved share, by length",
    "accuracy-beyond": "The accuracy at other lengths than that of training",
    "losses": "The training loss of every repetition, by length",
    "gradient-by-lag": "The norm of the gradient at each time step, before and after training",
    "gradient-of-weights-by-lag": "What each time step contributes to the gradient of the weights",
    "gradient-during-training": "The norm of the gradient at each time step, during training",
}
"""What the figures of a study show, by their names."""


def study_sections(
    page: Page,
    result: StudySummary,
    explanations: "Sequence[Explanation]" = (),
    overview: "Overview | None" = None,
) -> Iterator[Section]:
    """Yield the sections of a study or a search."""
    yield Section("The answer", answer_of(page, result) + _stops(result, explanations))
    if len(result.study.configurations) == 1:
        yield from configuration_sections(page, result, explanations)
    else:
        yield Section("How many solve", _shares(page, result))
        yield Section("Each configuration", _each(page, result, explanations))
    yield Section("Lengths", lengths_of(page, result))
    yield from trial_sections(page, [("", result)])
    experiment = result.search if isinstance(result, SearchResult) else result.study
    yield made_section(experiment, overview, result.trials if isinstance(result, StudyResult) else ())


def answer_of(page: Page, result: StudySummary) -> Markup:
    """Return the answer in words; for several configurations also a forest plot, the longest span first."""
    number = len(result.study.configurations)
    if number == 1:
        said = paragraphs(result.sentence, class_="answer")
        ended = result.ended if isinstance(result, SearchResult) else ""
        end = element("p", f"The search ended: {ended}.") if ended else NOTHING
        return said + end + what_of([result])
    spans = longest_spans(result)
    picture = (
        page.picture(draw_forest, Forest("", spans), "The spans with their intervals", "spans") if spans else ""
    )
    lines = [element("li", f"{span.label}: {span.estimate}.") for span in sorted(spans, key=_size, reverse=True)]
    left = f"{number} configurations were trained. Those with the longest lengths that half of the networks solve:"
    head = element("p", left, class_="answer") if number > len(spans) else NOTHING
    if not spans:
        return paragraphs("No trial has run to its end, so there is no answer yet.", class_="answer")
    return Markup("").join([head, element("ul", *lines, class_="answers"), what_of(result.parts), picture])


def what_of(parts: Sequence[StudySummary]) -> Markup:
    """Return what was trained on which task, and the facts without which no score can be read."""
    tasks = {part.study.configuration.known_task(): None for part in parts}
    lines = [f"{task.name}: {task.sentence}" for task in tasks]
    if len(parts) == 1:
        lines.append(parts[0].study.configuration.describe())
    return paragraphs("\n".join([*lines, *facts(parts)]), class_="fact")


def _stops(result: StudySummary, explanations: "Sequence[Explanation]") -> Markup:
    """The verdict on the limit of the only configuration, in one line; the section on the why has the rest."""
    if not isinstance(result, StudyResult) or len(result.parts) > 1:
        return NOTHING
    own = [one for one in explanations if one.configuration == result.study.configuration]
    decided = deciding(result, own)
    return (
        NOTHING if decided is None else element("p", f"Why it stops at T = {decided.length}: {decided.verdict}.")
    )


def _size(span: NamedSpan) -> float:
    return span.estimate.span or span.estimate.low or 0.0


def longest_spans(result: StudySummary) -> list[NamedSpan]:
    """Return the spans of the configurations that solve the longest lengths; of all if there are few."""
    places = [k for k, rows in enumerate(result.rows) if any(row.share.trials for row in rows)]
    ranked = sorted(places, key=lambda k: (-_solved(result, k), k))[:MOST_SPANS]
    found = []
    for k in sorted(ranked):
        part = result.parts[k]
        one, estimate = part.study.configuration, part.estimate
        if estimate is not None:
            found.append(NamedSpan(result.study.label(k), one.hidden, parameters_of(one), estimate))
    return found


def _solved(result: StudySummary, place: int) -> float:
    """The longest length that at least half of the networks solve, then how many trials solve."""
    rows = result.rows[place]
    half = max(
        (row.length for row in rows if row.share.trials and 2 * row.share.solved >= row.share.trials), default=0
    )
    return half + sum(row.share.solved for row in rows) / (1 + sum(row.share.trials for row in rows))


def _shares(page: Page, result: StudySummary) -> Markup:
    record = shares_record(result)
    if not record.rows():
        return NOTHING
    label = "The share of repetitions that solved each length, by configuration"
    found = page.picture(draw_shares, record, label, "solved")
    small = len(result.study.configurations) <= MOST_CONFIGURATIONS
    if isinstance(result, StudyResult) and small and (flows := trained_record(result)).rows():
        found += page.picture(draw_flows, flows, LABELS["gradient-by-lag"], "gradient-by-lag")
    return found


def _each(page: Page, result: StudySummary, explanations: "Sequence[Explanation]") -> Markup:
    """The sections of each configuration, closed, until the page is full."""
    found: list[Markup] = []
    most = len(result.parts) if isinstance(result, StudyResult) else MOST_CONFIGURATIONS
    for k, part in enumerate(islice(result.parts, most)):
        if page.full:
            break
        found.append(closed(page, result.study.label(k), part, explanations))
    left = [result.study.label(k) for k in range(len(found), min(len(result.rows), len(found) + MOST_NAMED))]
    return Markup("").join(found) + left_out(left, len(result.rows) - len(found))


def left_out(labels: Sequence[str], count: int) -> Markup:
    """Say which configurations have no pictures, because the page would be too large. `count` is their number."""
    if not count:
        return NOTHING
    more = f"; and {count - len(labels):,} more" if count > len(labels) else ""
    advice = "For the pictures of one, give its number: memspan report NAME --configuration 1."
    return element("p", f"The page is full, so it has no pictures of: {'; '.join(labels)}{more}. {advice}")


def closed(page: Page, label: str, part: StudySummary, explanations: "Sequence[Explanation]") -> Markup:
    """Return the sections of a configuration inside an element that a reader opens."""
    said = element("p", part.sentence)
    blocks = [
        element("h4", section.title) + section.content
        for section in configuration_sections(page, part, explanations)
    ]
    return element("details", element("summary", label), said, *blocks, class_="configuration")


def configuration_sections(
    page: Page, part: StudySummary, explanations: "Sequence[Explanation]" = ()
) -> Iterator[Section]:
    """Yield what pictures show of one configuration: success, the why, losses and gradients."""
    found = {name: (draw, record) for name, record, draw in figures_of(part) if record.rows()}

    def pictures(names: Sequence[str]) -> Markup:
        return Markup("").join(page.picture(*found[name], LABELS[name], name) for name in names if name in found)

    yield Section("How many solve", pictures(SUCCESS) or element("p", "No trial has run to its end."))
    if isinstance(part, StudyResult):
        yield Section("Why it stops there", why_of(page, part, explanations))
        if losses := pictures(["losses"]):
            yield Section("Training", losses)
        if gradient := pictures(GRADIENT):
            yield Section("The gradient", gradient)


def lengths_of(page: Page, result: StudySummary) -> Markup:
    """Return the tables of lengths, and of the accuracies at other lengths, with all numbers as CSV."""
    if not any(row.done for row in chain(*result.rows)):
        return element("p", "No trial has ended.")
    records = StudySummary.records(result)
    link = page.link([*records[0]], [[*row.values()] for row in records], "lengths")
    tests = result.table_of_tests()
    return Markup("").join([link, of_table(result.table()), NOTHING if tests is None else of_table(tests)])


TRIAL = ("T", "repetition", "outcome", "updates", "accuracy", "loss", "seconds")


def trial_sections(page: Page, named: Sequence[tuple[str, StudySummary]]) -> Iterator[Section]:
    """Yield the table of all trials of some results, and that of failed and diverged ones with their reasons."""
    results = [result for _, result in named]
    several = any(label for label, _ in named)
    varying = list(dict.fromkeys(name for result in results for name in result.study.varying))
    own = (["configuration"] if several else []) + [results[0].study.shown(name) for name in varying]
    every = [
        ([label] * several + [*result.study.chosen(trial.configuration)], trial)
        for label, result in named
        if isinstance(result, StudyResult)
        for trial in result.trials
    ]
    if every:
        rows = [[*labels, *_cells(trial)] for labels, trial in every]
        yield Section("Trials", page.trials([*own, *TRIAL], rows, "trials"))
    elif any(result.done for result in results):
        advice = "Write them to a file: memspan store export NAME --output trials.csv."
        yield Section("Trials", element("p", f"This page is made of summaries. {advice}"))
    yield Section("Failed and diverged", _unfinished(results, own, every))


def _cells(trial: Trial) -> list[object]:
    numbers = [float(f"{number:.4g}") if np.isfinite(number) else "–" for number in (trial.accuracy, trial.loss)]
    return [
        trial.length,
        trial.repetition,
        str(trial.outcome),
        trial.updates,
        *numbers,
        float(f"{trial.seconds:.3g}"),
    ]


def _unfinished(
    results: Sequence[StudySummary], own: Sequence[str], every: Sequence[tuple[list[str], Trial]]
) -> Markup:
    """How many trials diverged and failed, and each with its reason."""
    rows = [row for result in results for row in chain(*result.rows)]
    count = Counter({name: sum(getattr(row, name) for row in rows) for name in ("diverged", "failed")})
    if not count.total():
        return element("p", "None: every trial ran to its end with finite numbers.")
    told = (
        f"{count['diverged']:,} diverged: a number was not finite. They count as not solved. "
        f"{count['failed']:,} failed: the machine's fault. They do not count."
    )
    bad = [(labels, trial) for labels, trial in every if trial.outcome in ("diverged", "failed")]
    if not bad:
        reasons = [element("li", reason) for result in results for reason in result.failures]
        return element("p", told) + element("ul", *reasons)
    cells = [[*labels, *(_cells(trial)[:4]), trial.reason] for labels, trial in bad]
    return element("p", told) + table([*own, *TRIAL[:4], "reason"], cells)
