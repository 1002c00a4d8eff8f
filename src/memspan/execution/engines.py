"""The choice of the engine for models of another library: a worker times those that work, once for each workload.

It is recorded with the study or search (`memspan.study.engines`), because the bits of a trial depend on it.
"""

from collections.abc import Mapping, Sequence
from math import isqrt
from typing import NamedTuple

from memspan._version import __version__
from memspan.errors import MachineFailed, told
from memspan.execution.events import Engine, Engines, Listener, Timing
from memspan.execution.jobs import demand_version
from memspan.execution.memory import bytes_of
from memspan.execution.plan import USUAL_BASE, demand_room
from memspan.execution.teams import Team
from memspan.foreign import time_forms
from memspan.runtime.interrupts import Interrupts
from memspan.study.configuration import Configuration
from memspan.study.engines import workload_of
from memspan.study.group import untrained
from memspan.study.identity import canonical
from memspan.study.labels import labels_of
from memspan.study.search import Search
from memspan.study.study import Study

MOST_TOGETHER = 20  # networks in a call; with more, an update takes about as long per network
USUAL_STEPS = 20  # at the timed length; what an update costs is nearly proportional to the steps in every engine
FEW_TOGETHER = 5  # networks that are timed at longer lengths
TIMED = 50  # updates of each network, in all engines together


class Choice(NamedTuple):
    """The engine that was chosen for a workload, and why others cannot be used; the reason may be empty."""

    engine: str
    reason: str = ""


def choose_engines(
    experiments: Sequence[Study | Search],
    known: Sequence[Mapping[str, str]],
    team: Team,
    interrupts: Interrupts,
    tell: Listener,
) -> list[dict[str, Choice]]:
    """Return the engines of some studies or searches; those that are in a record (`known`) stay.

    `tell` is called before engines are timed.

    Raises
    ------
    TooLarge
        If the memory does not suffice for a single network. Nothing of that size has been allocated.
    KeyboardInterrupt
        After an interrupt.
    OtherVersion, ExecutorFailed
        If a worker has another version of memspan, or none is left.
    """
    each = [_workloads(one) for one in experiments]
    slot_has = -(-sum(map(_trials, experiments)) // team.slots)
    missing: dict[str, tuple[Configuration, int, int]] = {}
    for experiment, workloads, has in zip(experiments, each, known, strict=True):
        for key, alike in workloads.items():
            if key not in has and key not in missing:
                length = _usual_length(experiment, alike[0])
                missing[key] = alike[0], length, min(slot_has, _together(experiment, alike, length, team))
    found = {key: Choice(str(one.make_network(length, 0).engine)) for key, (one, length, _) in missing.items()}
    timed = {key: (*call, __version__) for key, call in missing.items() if call[2] > 1}
    if timed:
        tell(Timing(tuple({one.cell: None for one, *_ in timed.values()})))
    with interrupts.raised(2 if team.here else 0):
        for number, future in team.call_each(choose, timed.values(), interrupts):
            key = list(timed)[number]
            error = future.exception()
            if isinstance(error, MachineFailed):  # not of the user's model, and nothing could be trained either
                raise error
            reason = f"the others could not be timed ({told(error)})"
            found[key] = future.result() if error is None else found[key]._replace(reason=reason)
    return [
        {key: Choice(has[key]) if key in has else found[key] for key in workloads}
        for workloads, has in zip(each, known, strict=True)
    ]


def choose(configuration: Configuration, length: int, together: int, version: str) -> Choice:
    """Time the engines for a workload, on a worker, with some networks side by side."""
    demand_version(version)
    parts = [untrained(configuration, length, repetition) for repetition in range(together)]
    networks, loss, batch = [one for one, _, _ in parts], configuration.make_task().make_loss(), next(parts[0][1])
    times = time_forms(networks, loss, batch, truncate=configuration.truncate)
    best = times.best
    reasons = {form.name: f"{form.name} cannot be used ({why})" for form, why in times.failed.items()}
    return Choice(str(best), "" if best.group > 1 else " and ".join(reasons.values()))


def engines_event(
    configurations: Sequence[Configuration], names: Sequence[str | None], chosen: Sequence[Mapping[str, Choice]]
) -> Engines:
    """Return the event that names the engine of each configuration, without those of memspan's cells.

    Where all workloads of a cell have the same engine, it is named once.
    """
    reasons = {(key, choice.engine): choice.reason for found in chosen for key, choice in found.items()}
    cells: dict[str, dict[tuple[str, str], Configuration]] = {}
    for one, name in zip(configurations, names, strict=True):
        if name is not None:
            workload = workload_of(one)
            cells.setdefault(one.cell, {})[canonical(workload), name] = workload
    lines: list[Engine] = []
    for cell, rows in cells.items():
        labels = [f"{cell}, {label}" for label in labels_of([*rows.values()])]
        each = [(name, reasons.get((key, name), "")) for key, name in rows]
        lines += [Engine(cell, *each[0])] if len({*each}) == 1 else map(Engine, labels, *zip(*each, strict=True))
    return Engines(tuple(lines))


def _workloads(experiment: Study | Search) -> dict[str, list[Configuration]]:
    """Return the configurations of models of another library by their keys in the record."""
    found: dict[str, list[Configuration]] = {}
    for one in experiment.configurations:
        if one.factory() is not None:
            found.setdefault(canonical(workload_of(one)), []).append(one)
    return found


def _trials(experiment: Study | Search) -> int:
    """The number of trials that can be run at once: of a search, those of a round."""
    return experiment.size if isinstance(experiment, Study) else experiment.groups * experiment.repetitions


def _lengths(experiment: Study | Search) -> tuple[int, int]:
    """The shortest and the longest length that may be trained."""
    if isinstance(experiment, Study):
        return experiment.lengths[0], experiment.lengths[-1]
    return max(experiment.first_length, experiment.shortest), experiment.longest


def _usual_length(experiment: Study | Search, one: Configuration) -> int:
    """A length between the shortest and the longest, short enough to be timed in a few seconds."""
    short, long = _lengths(experiment)
    return max(one.make_task().least_length, min(isqrt(short * long), USUAL_STEPS))


def _together(experiment: Study | Search, alike: Sequence[Configuration], length: int, team: Team) -> int:
    """The most networks of a workload in a call for which the memory suffices at every length.

    1 if timing takes as many updates as all trials of the workload.
    """
    available, (_, longest), one = team.memory(), _lengths(experiment), alike[0]
    tested = experiment.test_lengths if isinstance(experiment, Study) else ()
    demand_room(USUAL_BASE // 2 + bytes_of(one, longest, 1, tested), 1, available)
    most = min(experiment.repetitions, MOST_TOGETHER, max(FEW_TOGETHER, USUAL_STEPS * MOST_TOGETHER // length))

    def size() -> int:
        return team.slots * (USUAL_BASE + bytes_of(one, longest, most, tested, most))

    while most > 1 and available is not None and size() > available:
        most //= 2
    trials = _trials(experiment) // len(experiment.configurations)
    return most if trials * sum(each.updates for each in alike) > TIMED * most else 1
