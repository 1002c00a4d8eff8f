"""The explanation of a stored study or search: why each length is not solved, and what should lift the limit."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from memspan.errors import InvalidArgument, shown, whole_number
from memspan.runtime.progress import kind_of
from memspan.runtime.progress import progress as show_progress
from memspan.study.comparison_result import Compared
from memspan.study.results import LengthSummary, StudyResult
from memspan.training.history import Outcome
from memspan.why.evidence import evidence_of
from memspan.why.explanation import Explanation
from memspan.why.predict import demand_whole_gradient
from memspan.why.remedy import Limited, remedies_of

NETWORKS = 8
"""The most networks that are trained again at a length."""
UNSOLVED = (Outcome.UNSOLVED, Outcome.DIVERGED)


def explain(
    result: StudyResult | Compared,
    *,
    lengths: Sequence[int] | None = None,
    networks: int = NETWORKS,
    progress: bool | str = True,
) -> list[Explanation]:
    """Explain each configuration and length of a study, a search or a comparison.

    A length that at least half of its networks solved needs no explanation. At every other length some of the
    networks that did not solve it are trained again from their keys, which gives the same weights, and measured
    before, during and after training.

    Parameters
    ----------
    result : StudyResult, SearchResult or Compared
    lengths : sequence of int, optional
        The lengths to explain; by default all that were trained.
    networks : int
        The most networks to train again at each length.
    progress : bool or str
        As in `Learner.fit`.

    Returns
    -------
    list of Explanation
        By configuration, the shortest length first. Lengths without a trial that ran to its end are left out.

    Raises
    ------
    InvalidArgument
        If `result` is something else, has a truncated gradient, or has no trial at one of `lengths`.
    """
    networks, chosen = whole_number("networks", networks), _chosen(lengths)
    rows = [
        (part, row)
        for part in parts_of(result)
        for row in part.summaries()
        if row.share.trials and (chosen is None or row.length in chosen)
    ]
    for part, _ in rows:
        demand_whole_gradient(part.study.configuration)
    missing = {*(chosen or ())} - {row.length for _, row in rows}
    if missing:
        raise InvalidArgument("lengths", "lengths of the study with a finished trial", min(missing))
    found = []
    with show_progress(len(rows), "explaining", "lengths", kind=kind_of(progress)) as report:
        for done, (part, row) in enumerate(rows, start=1):
            found.append(_explained(part, row, networks))
            report(done, f"T = {row.length}")
    return found


def parts_of(result: StudyResult | Compared) -> list[StudyResult]:
    """Return the result of each configuration of a study, a search or a comparison; raise for anything else."""
    if not isinstance(result, StudyResult | Compared):
        raise InvalidArgument("result", "the result of a study, a search or a comparison", shown(result))
    return [part for one in (result.results if isinstance(result, Compared) else [result]) for part in one.parts]


def _chosen(lengths: Sequence[int] | None) -> list[int] | None:
    if lengths is None:
        return None
    listed: Any = lengths
    if isinstance(listed, str | bytes) or not isinstance(listed, Iterable) or not list(listed):
        raise InvalidArgument("lengths", "a list of whole numbers", shown(lengths))
    return [whole_number("lengths", length) for length in lengths]


def _explained(part: StudyResult, row: LengthSummary, networks: int) -> Explanation:
    configuration, length = part.study.configuration, row.length
    if 2 * row.share.solved >= row.share.trials:
        return Explanation(configuration, length, row.share)
    trials = [trial for trial in part.of_length(length) if trial.outcome in UNSOLVED][:networks]
    evidence = evidence_of(configuration, length, [trial.repetition for trial in trials], trials[0].engine)
    same = all(one.digest == trial.digest for one, trial in zip(evidence, trials, strict=True))
    found = Explanation(configuration, length, row.share, evidence, reproduced=same)
    pairs = zip(evidence, found.criteria, strict=True)
    limited = [one for one, criterion in pairs if criterion.verdict == found.verdict]
    case = Limited(configuration, length, found.verdict, limited, _pace(part, length))
    return replace(found, remedies=remedies_of(case))


def _pace(part: StudyResult, length: int) -> float:
    """The updates within which three of four networks solve it, of those that solve it or one half as long."""
    solved = [
        trial.updates
        for row in part.summaries()
        if length / 2 <= row.length <= length
        for trial in part.of_length(row.length)
        if trial.outcome is Outcome.SOLVED
    ]
    return float(np.quantile(solved, 0.75)) if solved else np.inf
