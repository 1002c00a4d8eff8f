"""The figures of a study: each record computed from its trials, drawn, and saved with its numbers."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any

import numpy as np

from memspan.figures.accuracy import AccuracyByLength, draw_accuracy
from memspan.figures.configurations import MOST_CONFIGURATIONS, SharesByLength, draw_shares
from memspan.figures.flow import draw_flows
from memspan.figures.gradients import NormsByLag, NormsDuringTraining, draw_map, draw_norms
from memspan.figures.losses import Curve, LossByLength, draw_losses
from memspan.figures.style import save
from memspan.runtime.files import make_folder
from memspan.runtime.renamed import checked_keywords
from memspan.shapes import PerStep
from memspan.study.flow import MOMENTS, flows_of, trained_record
from memspan.study.results import MOST_WITH_CURVES, StudyResult, StudySummary
from memspan.study.study import Study
from memspan.study.trial import Trial
from memspan.tasks import Task
from memspan.training.history import Outcome

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH = 80  # letters of a title that fit onto the narrowest figure
SEQUENCES = 1000  # from which is estimated where answers lie


def draws_trials(study: Study) -> bool:
    """Whether there are figures of a study's trials, and not only of what they come to; of many there are none."""
    return len(study.configurations) <= MOST_CONFIGURATIONS and study.size <= MOST_WITH_CURVES


@checked_keywords()
def save_figures(result: StudySummary, folder: str | Path) -> list[Path]:
    """Draw all that there is; return the PNG files written (an SVG and a CSV lie beside each).

    Of several configurations there are figures of all, and the figures of each in a folder that is named for what
    sets it apart, such as `cell-lstm-gain-4`; of more than `MOST_CONFIGURATIONS` only the solved shares of all. A
    summary has no trials: only its accuracies and shares are drawn. A figure without a single number in it is not
    drawn: of trials that all failed, or whose first repetition is not done.
    """
    folder = Path(folder)
    make_folder(folder, "folder")
    if len(result.study.configurations) == 1:
        return _saved(_figures(result), folder)
    written = _saved(_figures_of_all(result), folder)
    if len(result.study.configurations) <= MOST_CONFIGURATIONS:
        for number, part in enumerate(result.parts):
            label = result.study.label(number)
            headed = ((name, _headed(record, label), draw) for name, record, draw in _figures(part))
            written += _saved(headed, folder / folder_of(label))
    return written


def folder_of(label: str) -> str:
    """The folder of a configuration: `cell-lstm-gain-4` for `cell lstm, gain 4`."""
    return re.sub(r"[^\w.+-]+", "-", label)


def _headed(record: Any, label: str) -> Any:
    """The record with what sets its configuration apart as the first line of its title."""
    return replace(record, title="\n".join([*wrap(label, WIDTH), record.title]))


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


def _figures(result: StudySummary) -> Iterator[tuple[str, Any, Callable[[Any], "Figure"]]]:
    yield "accuracy", accuracy_record(result), draw_accuracy
    if not isinstance(result, StudyResult):
        return
    yield "losses", loss_record(result), draw_losses
    states = norms_record(result, {"d_a": "‖dL/da[t]‖"}, "The gradient on its way back")
    yield "gradient-by-lag", states, draw_norms
    quantities = {"d_R": "‖dL/dR[t]‖", "d_W": "‖dL/dW[t]‖"}
    weights = norms_record(result, quantities, "What each time step contributes to the gradient of the weights")
    yield "gradient-of-weights-by-lag", weights, draw_norms
    yield "gradient-during-training", map_record(result), draw_map


def accuracy_record(result: StudySummary) -> AccuracyByLength:
    """Accuracies and solved shares of the lengths that have trials."""
    rows = [row for row in result.summaries() if row.accuracies]
    task = result.study.configuration.make_task()
    return AccuracyByLength(
        _title(f"{task.name}: {task.sentence}", result),
        {row.length: row.accuracies for row in rows},
        {row.length: row.share for row in rows},
        result.study.configuration.threshold,
        {row.length: task.chance_accuracy(row.length) for row in rows},
    )


def shares_record(result: StudySummary) -> SharesByLength:
    """The solved share of every configuration."""
    shares = {
        result.study.label(number): {row.length: row.share for row in part.summaries() if row.share.trials}
        for number, part in enumerate(result.parts)
    }
    tasks = ", ".join(result.study.values()["task"])
    return SharesByLength(f"{tasks}: {result.study.describe()}", shares)


def loss_record(result: StudyResult) -> LossByLength:
    """Every trial's curve, each point in the middle of the updates that it averages."""
    curves = {length: tuple(_curve(trial) for trial in trials) for length, trials in _by_length(result)}
    task = result.study.configuration.make_task()
    risks = {length: task.trivial_risk(length) for length in curves}
    return LossByLength(_title("Training loss of every repetition", result), curves, risks, task.make_loss().label)


def norms_record(result: StudyResult, quantities: dict[str, str], title: str) -> NormsByLag:
    """The median over repetitions of a norm at each time step, at the start and at the end of training.

    At the end, those that solved their length and those that did not are apart, as in `flows_of`.
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
    return NormsByLag(_title(f"{title} (median over repetitions)", result), panels, quantities)


def map_record(result: StudyResult) -> NormsDuringTraining:
    """dL/da over training, of the first repetition of each length."""
    first = {length: trials[0] for length, trials in _by_length(result) if trials[0].flow_map}
    maps = {length: np.array(trial.flow_map) for length, trial in first.items()}
    every = max((trial.flow_every for trial in first.values()), default=1)
    title = _title("The gradient during training, first repetition of each length", result)
    outcomes = {length: trial.outcome for length, trial in first.items()}
    relevant = {length: relevance(result.study.configuration.make_task(), length) for length in first}
    return NormsDuringTraining(title, maps, outcomes, every, relevant)


def relevance(task: Task, length: int) -> PerStep:
    """In what share of sequences each step holds a part of the answer."""
    x, _ = task.sample(length, SEQUENCES, np.random.default_rng(0))
    return np.asarray(task.relevant(x).mean(axis=1))


def _title(what: str, result: StudySummary) -> str:
    """What is shown, and of which study; wrapped."""
    task = result.study.configuration.make_task()
    parts = result.study.describe().replace(" ", "\u00a0").replace(",\u00a0", ", ")  # to be broken at commas alone
    network = parts if what.startswith(task.name) else f"{task.name}: {parts}"
    return "\n".join([*_lines(what), *_lines(network)]).replace("\u00a0", " ")


def _lines(text: str) -> list[str]:
    """As few lines as fit, all about as long: a single word on the last one would look lost."""
    count = len(wrap(text, WIDTH))
    return next(
        lines for width in range(len(text) // count, WIDTH + 1) if len(lines := wrap(text, width)) == count
    )


def _by_length(result: StudyResult) -> Iterator[tuple[int, list[Trial]]]:
    """The lengths with trials that ran, and those."""
    for length in result.study.lengths:
        trials = [trial for trial in result.of_length(length) if trial.outcome is not Outcome.FAILED]
        if trials:
            yield length, trials


def _curve(trial: Trial) -> Curve:
    begins = trial.curve_every * np.arange(len(trial.curve))
    ends = np.minimum(begins + trial.curve_every, trial.updates)
    return Curve(tuple((begins + 1 + ends) / 2), tuple(trial.curve), trial.outcome)
