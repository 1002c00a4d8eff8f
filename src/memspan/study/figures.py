"""The figures of a study: records computed from its trials, drawn and saved with their numbers."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from memspan.errors import InvalidArgument, shown
from memspan.figures.accuracy import AccuracyByLength, draw_accuracy
from memspan.figures.beyond import AccuracyBeyond, draw_beyond
from memspan.figures.configurations import MOST_CONFIGURATIONS, SharesByLength, draw_shares
from memspan.figures.flow import draw_flows
from memspan.figures.gradients import NormsByLag, NormsDuringTraining, draw_map, draw_norms
from memspan.figures.losses import Curve, LossByLength, draw_losses
from memspan.figures.span import RoundOfSearch, SpanByLength, draw_span
from memspan.figures.style import save
from memspan.runtime.files import make_folder
from memspan.runtime.renamed import checked_keywords
from memspan.shapes import PerStep
from memspan.span.band import probability_band
from memspan.study.facts import facts
from memspan.study.flow import MOMENTS, flows_of, headline, trained_record
from memspan.study.results import MOST_WITH_CURVES, StudyResult, StudySummary
from memspan.study.search_result import SearchResult
from memspan.study.study import Study
from memspan.study.trial import ENGINE, Trial
from memspan.tasks import StandIn, Task
from memspan.training.history import Outcome

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CURVE_POINTS = 200  # of a fitted curve
SEQUENCES = 1000  # sample that estimates which steps hold the answer


def draws_trials(study: Study) -> bool:
    """Whether the study is small enough for figures of its trials, besides those of its summary."""
    return len(study.configurations) <= MOST_CONFIGURATIONS and study.size <= MOST_WITH_CURVES


@checked_keywords()
def save_figures(result: StudySummary, folder: str | Path) -> list[Path]:
    """Draw the figures of a study. Return the PNG files; each has an SVG and a CSV of the same name beside it.

    A study of several configurations has figures that compare them, and a folder for each configuration, named
    after its values, such as `cell-lstm-gain-4`. Above `MOST_CONFIGURATIONS` only the solved shares are drawn. A
    `StudySummary` has no trials, so only its accuracies and solved shares are drawn. Figures without any data are
    left out, for instance when all trials failed or the first repetition is not done.

    Parameters
    ----------
    result : StudyResult or StudySummary
    folder : path
        It is created if only its last part is missing.

    Raises
    ------
    InvalidArgument
        When `result` or `folder` has another type, or the folder cannot be made.
    """
    folder = _checked(result, folder)
    make_folder(folder, "folder")
    if len(result.study.configurations) == 1:
        return _saved(figures_of(result), folder)
    written = _saved(_figures_of_all(result), folder)
    if len(result.study.configurations) <= MOST_CONFIGURATIONS:
        for number, part in enumerate(result.parts):
            label = result.study.label(number)
            headed = ((name, _headed(record, label), draw) for name, record, draw in figures_of(part))
            written += _saved(headed, folder / folder_of(label))
    return written


def folder_of(label: str) -> str:
    """The folder name of a configuration: `cell-lstm-gain-4` for the label `cell lstm, gain 4`."""
    return re.sub(r"[^\w.+-]+", "-", label)


def _headed(record: Any, label: str) -> Any:
    """Return the record with the label of its configuration above its title."""
    return replace(record, title=f"{label}\n{record.title}")


def _figures_of_all(result: StudySummary) -> Iterator[tuple[str, Any, Callable[[Any], "Figure"]]]:
    yield "solved", shares_record(result), draw_shares
    if isinstance(result, StudyResult) and len(result.study.configurations) <= MOST_CONFIGURATIONS:
        yield "gradient-by-lag", trained_record(result), draw_flows


def _saved(figures: Iterable[tuple[str, Any, Callable[[Any], "Figure"]]], folder: Path) -> list[Path]:
    folder.mkdir(exist_ok=True)
    written = []
    for name, record, draw in figures:
        if record.rows():
            save(draw, record, folder, name)
            written.append(folder / f"{name}.png")
    return written


def figures_of(result: StudySummary) -> Iterator[tuple[str, Any, Callable[[Any], "Figure"]]]:
    """Yield name, record and drawing function of each figure of a study of one configuration.

    A record without rows has nothing to draw.
    """
    yield from _span_figure(result)
    yield "accuracy", accuracy_record(result), draw_accuracy
    if result.study.test_lengths:
        yield "accuracy-beyond", beyond_record(result), draw_beyond
    if not isinstance(result, StudyResult):
        return
    yield "losses", loss_record(result), draw_losses
    states = norms_record(result, {"d_a": "‖dL/da[t]‖"}, "The gradient on its way back")
    yield "gradient-by-lag", states, draw_norms
    quantities = {"d_R": "‖dL/dR[t]‖", "d_W": "‖dL/dW[t]‖"}
    weights = norms_record(result, quantities, "What each time step contributes to the gradient of the weights")
    if _has_weight_norms(result):
        yield "gradient-of-weights-by-lag", weights, draw_norms
    yield "gradient-during-training", map_record(result), draw_map


def _has_weight_norms(result: StudyResult) -> bool:
    """Whether d_R and d_W are known: not for models of other libraries whose weights have other roles."""
    starts = [trial.start for trial in result.trials if trial.start is not None and trial.engine != ENGINE]
    return not starts or not all(np.isnan(start.d_R).all() for start in starts)


@checked_keywords()
def save_span(result: StudySummary, folder: str | Path) -> list[Path]:
    """Draw the span of a study or search of one configuration as `span.png`, with an SVG and a CSV beside it.

    Raises
    ------
    InvalidArgument
        As in `save_figures`, and when the study has several configurations.
    """
    folder = _checked(result, folder)
    _ = result.study.configuration  # raises if there are several
    make_folder(folder, "folder")
    return _saved(_span_figure(result), folder)


def _checked(result: StudySummary, folder: str | Path) -> Path:
    """Check the types of what is drawn and where to. Return the folder."""
    if not isinstance(result, StudySummary):
        raise InvalidArgument("result", "a StudyResult or a StudySummary", shown(result))
    if not isinstance(folder, str | Path) or str(folder) == "":  # type: ignore[redundant-expr]
        raise InvalidArgument("folder", "a path", shown(folder))
    return Path(folder)


def _span_figure(result: StudySummary) -> Iterator[tuple[str, Any, Callable[[Any], "Figure"]]]:
    if any(row.share.trials for row in result.summaries()):
        yield "span", span_record(result), draw_span


def span_record(result: StudySummary) -> SpanByLength:
    """The solved shares, the fitted curve with its band, and the rounds of a search."""
    rows = [row for row in result.summaries() if row.share.trials]
    estimate = result.estimate
    assert estimate is not None
    shares = {row.length: row.share for row in rows}
    x = np.geomspace(min(shares), max(max(shares), min(shares) + 1), CURVE_POINTS)
    low, middle, high = probability_band(*result.counts(), x, estimate.share, estimate.level)
    path = result.path.rounds if isinstance(result, SearchResult) else ()
    rounds = tuple(RoundOfSearch(one.counts, one.estimate) for one in path if one.estimate is not None)
    return SpanByLength(
        _title(result),
        shares,
        estimate,
        np.array([x, middle, low, high]),
        rounds,
    )


def accuracy_record(result: StudySummary) -> AccuracyByLength:
    """The accuracies and solved shares by length, for lengths that have trials."""
    rows = [row for row in result.summaries() if row.accuracies]
    task = result.study.configuration.known_task().for_evaluation
    return AccuracyByLength(
        _title(result),
        {row.length: row.accuracies for row in rows},
        {row.length: row.share for row in rows},
        result.study.configuration.threshold,
        {row.length: task.chance_accuracy(row.length) for row in rows},
    )


def shares_record(result: StudySummary) -> SharesByLength:
    """The solved shares of every configuration by length."""
    shares = {
        result.study.label(number): {row.length: row.share for row in part.summaries() if row.share.trials}
        for number, part in enumerate(result.parts)
    }
    return SharesByLength("\n".join([headline(result.study), *facts(result.parts)]), shares)


def beyond_record(result: StudySummary) -> AccuracyBeyond:
    """The accuracies at the test lengths, after training at each length."""
    tests = {row.length: row.tests for row in result.summaries() if row.tests}
    title = _title(result, "Accuracy at T' after training at T", result.study.test_lengths)
    return AccuracyBeyond(title, result.study.configuration.threshold, tests)


def loss_record(result: StudyResult) -> LossByLength:
    """The training loss of every trial. Each point lies in the middle of the updates that it averages."""
    curves = {length: tuple(curve_of(trial) for trial in trials) for length, trials in _by_length(result)}
    task = result.study.configuration.known_task()
    risks = {length: task.trivial_risk(length) for length in curves}
    return LossByLength(_title(result, "Training loss of every repetition"), curves, risks, task.make_loss().label)


def norms_record(result: StudyResult, quantities: dict[str, str], title: str) -> NormsByLag:
    """The median over repetitions of some norms at each time step, before and after training.

    After training, trials that solved their length and trials that did not have separate panels, as in `flows_of`.
    """
    found = {length: flows_of(trials) for length, trials in _by_length(result)}
    headings = [heading for heading in MOMENTS if any(flows[heading] for flows in found.values())]
    panels = {
        (field, heading): {
            length: np.asarray(np.median([getattr(flow, field) for flow in flows[heading]], axis=0))
            for length, flows in found.items()
            if flows[heading]
        }
        for field in quantities
        for heading in headings
    }
    return NormsByLag(_title(result, f"{title} (median over repetitions)"), panels, quantities)


def map_record(result: StudyResult) -> NormsDuringTraining:
    """‖dL/da[t]‖ during training, for the first repetition of each length."""
    first = {length: trials[0] for length, trials in _by_length(result) if trials[0].flow_map}
    maps = {length: np.array(trial.flow_map) for length, trial in first.items()}
    every = max((trial.flow_every for trial in first.values()), default=1)
    title = _title(result, "The gradient during training, first repetition of each length")
    outcomes = {length: trial.outcome for length, trial in first.items()}
    relevant = {length: relevance(result.study.configuration.known_task(), length) for length in first}
    return NormsDuringTraining(title, maps, outcomes, every, relevant)


def relevance(task: Task, length: int) -> PerStep:
    """The share of sequences in which each time step holds a part of the answer; 0 for a stand-in."""
    if isinstance(task, StandIn):
        return np.zeros(length)
    x, _ = task.sample(length, SEQUENCES, np.random.default_rng(0))
    return np.asarray(task.relevant(x).mean(axis=1))


def _title(result: StudySummary, what: str = "", lengths: Sequence[int] | None = None) -> str:
    """What the figure shows, unless it is the answer; the task, the network, and the facts of the scores."""
    configuration = result.study.configuration
    task = configuration.known_task()
    lines = [what, f"{task.name}: {task.sentence}", configuration.describe(), *facts([result], lengths)]
    return "\n".join(filter(None, lines))


def _by_length(result: StudyResult) -> Iterator[tuple[int, list[Trial]]]:
    """Yield each length that has trials that did not fail, with these trials."""
    for length in result.study.lengths:
        trials = [trial for trial in result.of_length(length) if trial.outcome is not Outcome.FAILED]
        if trials:
            yield length, trials


def curve_of(trial: Trial) -> Curve:
    """Return the training loss of a trial. Each point lies in the middle of the updates that it averages."""
    begins = trial.curve_every * np.arange(len(trial.curve))
    ends = np.minimum(begins + trial.curve_every, trial.updates)
    return Curve(tuple((begins + 1 + ends) / 2), tuple(trial.curve), trial.outcome, trial.repetition)
