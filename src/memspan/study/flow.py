"""Records of the gradient against lag for several configurations: before training, and from a study's trials."""

from collections.abc import Sequence

import numpy as np

from memspan.figures.flow import Choices, FlowsByLag, demand_distinct
from memspan.shapes import PerStep
from memspan.study.facts import facts
from memspan.study.group import gradient_flow, untrained
from memspan.study.results import StudyResult
from memspan.study.study import Study
from memspan.study.trial import Flow, Trial
from memspan.training.history import Outcome

MOST_LENGTHS = 4
"""The most lengths in a figure. Of more, it shows the shortest, the longest and some in between."""
MOMENTS = BEFORE, SOLVED, NOT_SOLVED = "before training", "after training: solved", "after training: not solved"
"""The headings under which gradients are collected."""


def flow_record(study: Study, length: int, seeds: Sequence[int]) -> FlowsByLag:
    """‖dL/da[t]‖ of one batch, for an untrained network of each configuration and seed.

    Networks and batches are those with which the first repetition of the study begins, in the study's `dtype`.

    Raises
    ------
    InvalidArgument
        When there are more configurations than a figure can tell apart.
    """
    choices = choices_of(study)
    demand_distinct(choices, fields_of(study))
    lines: dict[Choices, list[PerStep]] = {}
    for values, configuration in zip(choices, study.configurations, strict=True):
        for seed in seeds:
            network, batches, _ = untrained(configuration.with_(seed=seed), length, 0)
            loss = configuration.make_task().make_loss()
            flow = gradient_flow(network, loss, next(batches), configuration.truncate)
            lines.setdefault(values, []).append(flow.d_a)
    many = f"; {len(seeds)} network{'s' if len(seeds) > 1 else ''} each"
    title = f"The gradient on its way back before training, T = {length}{many}\n{headline(study)}"
    return FlowsByLag(title, fields_of(study), {("", ""): lines})


def trained_record(result: StudyResult) -> FlowsByLag:
    """The median over repetitions of ‖dL/da[t]‖, before and after training, for each configuration of a study."""
    study = result.study
    shown = some_of(study.lengths)
    found = [
        (values, length, flows_of(part.of_length(length)))
        for values, part in zip(choices_of(study), result.parts, strict=True)
        for length in shown
    ]
    headings = [heading for heading in MOMENTS if any(flows[heading] for *_, flows in found)]
    panels: dict[tuple[str, str], dict[Choices, list[PerStep]]] = {
        (f"T = {length}", heading): {} for length in shown for heading in headings
    }
    for values, length, flows in found:
        for heading in headings:
            if flows[heading]:
                median = np.median([flow.d_a for flow in flows[heading]], axis=0)
                panels[f"T = {length}", heading][values] = [median]
    few = "" if len(shown) == len(study.lengths) else f"; {len(shown)} of {len(study.lengths)} lengths"
    what = f"The gradient on its way back (median over repetitions{few})"
    title = "\n".join([what, headline(study), *facts(result.parts)])
    return FlowsByLag(title, fields_of(study), panels)


def flows_of(trials: Sequence[Trial]) -> dict[str, list[Flow]]:
    """The gradients of some trials, under each heading in `MOMENTS`.

    After training, trials that solved their length and trials that did not are kept apart: their gradients differ
    by orders of magnitude, so a median over both would describe neither.
    """
    solved = [trial.end for trial in trials if trial.outcome is Outcome.SOLVED]
    others = [trial.end for trial in trials if trial.outcome is not Outcome.SOLVED]
    every = {BEFORE: [trial.start for trial in trials], SOLVED: solved, NOT_SOLVED: others}
    return {moment: [flow for flow in flows if flow is not None] for moment, flows in every.items()}


def fields_of(study: Study) -> tuple[str, ...]:
    """The names of the fields that vary, as headings show them."""
    return tuple(study.shown(name) for name in study.varying)


def choices_of(study: Study) -> list[Choices]:
    """The values of the fields that vary, for each configuration."""
    return [study.chosen(number) for number in range(len(study.configurations))]


def headline(study: Study) -> str:
    """The tasks, and the network or the fields that vary."""
    return f"{', '.join(study.values()['task'])}: {study.describe()}"


def some_of(lengths: Sequence[int]) -> list[int]:
    """Return at most `MOST_LENGTHS` evenly spaced lengths, the first and the last included."""
    places = np.unique(np.linspace(0, len(lengths) - 1, MOST_LENGTHS).round().astype(int))
    return [lengths[place] for place in places]
