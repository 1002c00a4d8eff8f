"""The page of figures of an explanation, and the animation of the gradient, for each configuration of a result."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from memspan.diagnostics import Saturation, recurrent_spectra
from memspan.errors import InvalidArgument, shown
from memspan.figures.animation import GradientInTraining, save_animation
from memspan.figures.limits import Leaving, LimitsByLength, Quartiles
from memspan.figures.mechanism import FlowMap, Gates, Mechanism, Spectra
from memspan.figures.span import SpanByLength
from memspan.figures.style import save
from memspan.figures.why import WhyPage, draw_why
from memspan.runtime.files import make_folder
from memspan.span import Group
from memspan.study.comparison_result import Compared
from memspan.study.configuration import Configuration
from memspan.study.figures import curve_of, folder_of, relevance, span_record
from memspan.study.flow import flows_of
from memspan.study.group import untrained
from memspan.study.identity import folder_name
from memspan.study.labels import labels_of
from memspan.study.results import StudyResult
from memspan.study.trial import Trial
from memspan.training.history import Outcome
from memspan.why.attempt import limit_of
from memspan.why.evidence import SLOPE_SEQUENCES, Evidence, evidence_of, window_of
from memspan.why.explain import parts_of
from memspan.why.explanation import Explanation
from memspan.why.noise_jump import noise_jump_of
from memspan.why.plateau import left_at
from memspan.why.predict import GRADIENT_DESCENT, demand_read_out, updates_needed
from memspan.why.verdict import SOLVED

NETWORKS = 8
"""The most networks of a length whose updates are predicted."""
QUARTILES = (0.25, 0.5, 0.75)
NO_MAP = "No gradient of repetition 0 is stored: it failed, diverged at once, or its curves were not kept."
NO_CURVES = "No curves are stored, so it is unknown when networks left the plateau."
NO_FLOW = "No gradients are stored."
NO_R = "The cell {cell} has no recurrent weights R."
UNKNOWN_R = "The recurrent weights R are not known for this model."
UNKNOWN_UNITS = "The gates, and the slope of the units, are not known for this model."


def save_page(
    result: StudyResult | Compared, explanations: Sequence[Explanation], folder: str | Path
) -> list[Path]:
    """Draw the page and the animation of each configuration that is explained. Return the files.

    The page is about the shortest length beyond the span, if it is explained. Where nothing of that length was
    trained again, because it is solved, its first repetition is.

    Parameters
    ----------
    result : StudyResult, SearchResult or Compared
    explanations : sequence of Explanation
        What `explain` returned for it.
    folder : path
        It is created if only its last part is missing. For each configuration it gets `why-LABEL` as PNG, SVG and
        CSV, `gradient-LABEL.gif`, its numbers as CSV, and its pictures as SVG in `gradient-LABEL-frames`. LABEL
        says in what configurations differ; for a single one it is the cell. A configuration of which no gradient
        during training is stored has no animation.

    Raises
    ------
    InvalidArgument
        If the folder cannot be made, `result` is something else, or no explanation is one of its configurations.
    """
    parts = parts_of(result)
    chosen = [deciding(part, explanations) for part in parts]
    if all(one is None for one in chosen):
        raise InvalidArgument("explanations", "explanations of the result", shown(explanations))
    folder = Path(folder)
    make_folder(folder, "folder")
    written: list[Path] = []
    for label, part, explanation in zip(_labels(result, parts), parts, chosen, strict=True):
        if explanation is None:
            continue
        name = folder_name(folder_of(label))
        save(draw_why, page_record(part, explanation, label), folder, f"why-{name}")
        written += [folder / f"why-{name}.{ending}" for ending in ("png", "svg", "csv")]
        film = animation_record(part, explanation.length, label if len(parts) > 1 else "")
        if film is not None:
            written += save_animation(film, folder, f"gradient-{name}")
    return written


def _labels(result: StudyResult | Compared, parts: Sequence[StudyResult]) -> Sequence[str]:
    if isinstance(result, Compared):
        return result.labels
    configurations = [part.study.configuration for part in parts]
    return labels_of(configurations) if len(parts) > 1 else [configurations[0].cell]


def deciding(part: StudyResult, explanations: Sequence[Explanation]) -> Explanation | None:
    """Return the explanation of the length that limits the span; else of the first not solved; else the last."""
    its = {one.length: one for one in explanations if one.configuration == part.study.configuration}
    limit = limit_of(part)
    if limit in its:
        return its[limit]
    return next((one for one in its.values() if one.verdict != SOLVED), next(reversed([*its.values()]), None))


def page_record(part: StudyResult, explanation: Explanation, label: str = "") -> WhyPage:
    """Return the content of the page of one configuration.

    Parameters
    ----------
    part : StudyResult
        Of one configuration.
    explanation : Explanation
        Of one of its lengths.
    label : str
        The label of the configuration, for the title.
    """
    title = _title(explanation, label)
    return WhyPage(title, limits_of(part, explanation.length), mechanism_of(part, explanation))


def limits_of(part: StudyResult, length: int | None = None) -> LimitsByLength:
    """Return what limits the only configuration of a result, by length; `length` is that of the verdict."""
    return LimitsByLength("", length, _span(part), leaving_of(part), reach_of(part))


def mechanism_of(part: StudyResult, explanation: Explanation) -> Mechanism:
    """Return what happens in a network at the length of an explanation."""
    configuration, length = part.study.configuration, explanation.length
    evidence = _shown(part, explanation)
    spectra, gates = _spectra(configuration, length, evidence), _gates(configuration, length, evidence)
    return Mechanism("", flow_map_of(part, length), spectra, gates)


def _shown(part: StudyResult, explanation: Explanation) -> Evidence:
    """The evidence of the first network with the verdict; of repetition 0 where no network was trained again."""
    if not explanation.evidence:
        ended = (trial for trial in part.of_length(explanation.length) if trial.outcome is not Outcome.FAILED)
        engine = next((trial.engine for trial in ended), None)
        return evidence_of(explanation.configuration, explanation.length, [0], engine)[0]
    found = zip(explanation.evidence, explanation.criteria, strict=True)
    return next(one for one, criterion in found if criterion.verdict == explanation.verdict)


def _title(explanation: Explanation, label: str) -> str:
    configuration = explanation.configuration
    task = configuration.make_task()
    stops = label and explanation.verdict != SOLVED
    lines = [f"Why {label} stops" if stops else label, str(explanation), explanation.not_known]
    if explanation.remedies:
        lines.append(f"First remedy: {explanation.remedies[0]} ({explanation.remedies[0].expected}).")
    what = f"{task.name}: {configuration.describe()}, {configuration.updates:,} updates"
    return "\n".join(filter(None, [*lines, what]))


def _span(part: StudyResult) -> SpanByLength | str:
    if part.estimate is None:
        return "No trial has run to its end."
    return span_record(part)


def leaving_of(part: StudyResult) -> Leaving | str:
    """Return the updates after which networks left the plateau in training, and those that are predicted.

    For gradient descent the prediction is that of `predict`; for Adam the update at which noise throws R, where
    that is known (`memspan.why.noise_jump`).
    """
    configuration = part.study.configuration
    if not any(trial.curve for trial in part.trials):
        return NO_CURVES
    ran = {
        length: [trial for trial in part.of_length(length) if trial.outcome is not Outcome.FAILED]
        for length in part.study.lengths
    }
    trials = {length: some for length, some in ran.items() if some}
    measured = {
        length: quartiles([left_by_curve(trial, configuration) for trial in some])
        for length, some in trials.items()
    }
    descent = configuration.optimizer in GRADIENT_DESCENT
    predict = _needed if descent else _thrown
    counts = {length: 1 + max(trial.repetition for trial in trials[length]) for length in measured}
    predicted = {length: predict(configuration, length, count) for length, count in counts.items()}
    known = {length: found for length, found in predicted.items() if found}
    what = "needed, predicted before training" if descent else "Adam's noise throws R, predicted"
    return Leaving(configuration.updates, known, measured, what)


def _needed(configuration: Configuration, length: int, count: int) -> tuple[float, float, float] | None:
    """The updates that the first networks of a length need to leave the plateau of gradient descent.

    None for a model whose read-out is not known.
    """
    try:
        demand_read_out(configuration)
    except InvalidArgument:
        return None
    return updates_needed(configuration, Group(length, 0, min(NETWORKS, count))).quartiles


def _thrown(configuration: Configuration, length: int, count: int) -> tuple[float, float, float] | None:
    """The updates at which noise throws R; None where the formula was not measured."""
    try:
        low, middle, high = map(noise_jump_of(configuration, length).quantile, QUARTILES)
    except InvalidArgument:
        return None
    return low, middle, high


def left_by_curve(trial: Trial, configuration: Configuration) -> float:
    """Return the update at which a trial left the plateau, as far as its curve tells; infinity for never.

    As in `Evidence.left`, the loss is averaged over a window before it is compared with the trivial risk.
    """
    width = -(-window_of(configuration) // trial.curve_every)
    curve = np.array(trial.curve) / configuration.make_task().trivial_risk(trial.length)
    left = left_at(curve, width) * trial.curve_every
    return min(left, float(trial.updates)) if np.isfinite(left) else left


def reach_of(part: StudyResult) -> dict[str, Quartiles] | str:
    """Return the factor by which the gradient changes from the last time step to the first, by moment and length.

    The factors of networks that solved their length and of the others are kept apart, as in `flows_of`.
    """
    found: dict[str, dict[int, tuple[float, float, float]]] = {}
    for length in part.study.lengths:
        for moment, flows in flows_of(part.of_length(length)).items():
            with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
                factors = np.array([flow.d_a[0] for flow in flows]) / np.array([flow.d_a[-1] for flow in flows])
            known = factors[~np.isnan(factors)]
            if len(known):
                found.setdefault(moment, {})[length] = quartiles(known)
    return dict(found) or NO_FLOW


def quartiles(values: Sequence[float] | np.ndarray) -> tuple[float, float, float]:
    """Return the lower quartile, the median and the upper quartile: values that occur, so infinity may, too."""
    low, middle, high = np.quantile(values, QUARTILES, method="inverted_cdf").tolist()
    return low, middle, high


def flow_map_of(part: StudyResult, length: int) -> FlowMap | str:
    """Return the gradient of the first repetition of a length during training."""
    trial = _first(part, length)
    if trial is None:
        return NO_MAP
    norms, spread = np.array(trial.flow_map), trial.flow_spread
    shares = [np.array(rows) for rows in (spread.zero, spread.underflow) if rows] if spread else [norms == 0]
    return FlowMap(
        f"T = {length}, repetition 0, {trial.outcome}",
        norms,
        np.sum([np.zeros(norms.shape), *shares], axis=0),
        trial.flow_every,
        relevance(part.study.configuration.make_task(), length),
    )


def _first(part: StudyResult, length: int) -> Trial | None:
    """Repetition 0 of a length, if its gradient during training is stored."""
    trials = [trial for trial in part.of_length(length) if trial.repetition == 0 and trial.flow_map]
    return trials[0] if trials else None


def animation_record(part: StudyResult, length: int, label: str = "") -> GradientInTraining | None:
    """Return the content of the animation, of repetition 0; None if its gradient is not stored."""
    trial = _first(part, length)
    if trial is None:
        return None
    configuration = part.study.configuration
    task, spread, curve = configuration.make_task(), trial.flow_spread, curve_of(trial)
    what = f"The gradient on its way back during training: T = {length}, repetition 0, {trial.outcome}"
    return GradientInTraining(
        "\n".join(filter(None, [label, what, f"{task.name}: {configuration.describe()}"])),
        np.array(trial.flow_map),
        np.array(spread.q10) if spread else None,
        np.array(spread.q90) if spread else None,
        trial.flow_every,
        relevance(task, length),
        np.array(curve.updates),
        np.array(curve.loss),
        task.trivial_risk(length),
        task.make_loss().label,
    )


def _spectra(configuration: Configuration, length: int, evidence: Evidence) -> Spectra | str:
    """The spectrum of the gate whose radius after training is the largest."""
    if evidence.trained.recurrent_blocks() is None:
        return UNKNOWN_R
    network, _, _ = untrained(configuration, length, evidence.repetition)
    try:
        before, after = (recurrent_spectra(one) for one in (network, evidence.trained))
    except InvalidArgument as error:
        return str(error)
    if not after:
        return NO_R.format(cell=configuration.cell)
    gate = max(after, key=lambda one: after[one].radius)
    return Spectra(_network(evidence, length), gate, before[gate].eigenvalues, after[gate].eigenvalues)


def _gates(configuration: Configuration, length: int, evidence: Evidence) -> Gates | str:
    """The openness of the gates by time step; for a cell without such gates the slope of its units."""
    if np.isnan(evidence.slope):
        return UNKNOWN_UNITS
    network, batches, _ = untrained(configuration, length, evidence.repetition)
    x = next(batches).x[:, :SLOPE_SEQUENCES]
    try:
        before, after = (Saturation.of(one, x) for one in (network, evidence.trained))
    except InvalidArgument as error:
        return str(error)
    where = _network(evidence, length)
    if before.openness:
        return Gates(where, "Openness of the gates", "mean openness", before.openness, after.openness)
    slopes = {"": before.slope}, {"": after.slope}
    return Gates(where, "Slope of the units", "‖∂a[t]/∂s[t]‖, mean", *slopes)


def _network(evidence: Evidence, length: int) -> str:
    return f"T = {length}, repetition {evidence.repetition}, {evidence.outcome}"
