"""The plan of a study, made before it starts: its trials, their time at most, and their memory.

Time is measured on the workers that will run the study. Memory is counted from the shapes of the arrays.
"""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import psutil

from memspan._version import __version__
from memspan.errors import MemspanError
from memspan.execution.jobs import Board, demand_version, groups_of
from memspan.execution.memory import SHARE, TooLarge, Workload, bytes_of
from memspan.execution.teams import Team
from memspan.runtime.imports import is_path
from memspan.runtime.interrupts import Interrupts
from memspan.runtime.memory import amount
from memspan.study.configuration import Configuration
from memspan.study.engines import group_of
from memspan.study.group import flow_of, prepared
from memspan.study.study import Key, Study
from memspan.training.history import Outcome

SECONDS_OF_A_JOB = 15.0
FAIR = 4
"""The least number of jobs for each slot, so that no worker is idle for long while the last jobs run."""
MOST_MEASURED = 12  # workloads; the time of others is estimated from one with the same cell
TOGETHER = 4  # networks in a measurement; with more, an update takes about as long per network
MOST_OPERATIONS = 2e9  # in a measured update: about a second
SECONDS_TO_MEASURE = 0.05
MOST_MEASURED_UPDATES = 64
FOREIGN_GATES = 38  # an update of a cell of another library takes as long (benchmarks/results/own_cell_costs.md)
USUAL_BASE = 250 * 2**20  # bytes of a worker that has imported everything and trained nothing


@dataclass(frozen=True)
class Pace:
    """Measured times in seconds for one network, at a short and a long length.

    Attributes
    ----------
    configuration : Configuration
        The measured configuration.
    lengths : (int, int)
        The two lengths.
    update, evaluation, flow : (float, float)
        The times of an update, of a held-out batch, and of the gradients at every time step. A trial computes
        these gradients twice.
    base : int
        Bytes of the process before training.
    """

    configuration: Configuration
    lengths: tuple[int, int]
    update: tuple[float, float]
    evaluation: tuple[float, float]
    flow: tuple[float, float]
    base: int

    def seconds(self, configuration: Configuration, length: int, test_lengths: Sequence[int] = ()) -> float:
        """Return the time of a trial of this or a similar configuration that trains to the end, unsolved."""
        evaluations = configuration.updates // configuration.evaluate_every + configuration.final_batches
        times = (configuration.updates, self.update), (evaluations, self.evaluation), (2, self.flow)
        seconds = sum(count * _on_a_line(self.lengths, values, length) for count, values in times)
        tests = (_on_a_line(self.lengths, self.evaluation, other) for other in test_lengths)
        seconds += configuration.final_batches * sum(tests)
        return seconds * _operations(configuration) / _operations(self.configuration)


@dataclass(frozen=True)
class Plan:
    """The missing trials of a study, and the time and memory that they take.

    Attributes
    ----------
    groups : tuple of tuple of Key
        Groups of trials that are trained side by side, in the order in which they are submitted.
    seconds : float or None
        The time of the whole study at most; None if nothing could be measured.
    bytes : int
        The memory of one process at most.
    slots : int
        The number of processes.
    available : int or None
        Bytes of memory that all processes together may use; None if unknown.
    """

    groups: tuple[tuple[Key, ...], ...]
    seconds: float | None
    bytes: int
    slots: int
    available: int | None

    @classmethod
    def of_nothing(cls) -> Self:
        """Return the plan of a finished study."""
        return cls((), 0.0, 0, 0, None)

    @property
    def trials(self) -> int:
        """The number of trials to run."""
        return sum(map(len, self.groups))

    @property
    def sentence(self) -> str:
        """The plan in one line."""
        if not self.groups:
            return "nothing to do"
        processes = "in 1 process" if self.slots == 1 else f"in {self.slots} processes"
        time = [] if self.seconds is None else [f"at most about {duration(self.seconds)}"]
        trials = "1 trial" if self.trials == 1 else f"{self.trials:,} trials"
        return ", ".join([f"{trials} {processes}", *time, f"at most {amount(self.bytes)} each"])


def make_plan(
    study: Study,
    keys: Sequence[Key],
    team: Team,
    interrupts: Interrupts,
    engines: Sequence[str | None] = (),
) -> Plan:
    """Divide the trials into groups, measure their time and count their memory.

    `engines` has the name of each configuration's engine (`memspan.study.engines`), or None for its own; nothing
    means that all have their own. A group has as many trials as a call of its engine has networks, or a multiple.

    Raises
    ------
    TooLarge
        If the memory does not suffice. Nothing of that size has been allocated.
    KeyboardInterrupt
        After an interrupt.
    """
    places = Counter(key[:2] for key in keys)  # configuration and length
    engines = engines or [None] * len(study.configurations)
    calls = [group_of(name) for name in engines]  # networks in a call
    available, grid = team.memory(), (study.configurations, study.test_lengths, calls)
    demand_room(USUAL_BASE // 2 + _largest(*grid, dict.fromkeys(places, 1)), 1, available)
    paces = _measure(study, sorted(places), team, interrupts, engines)
    base = max((pace.base for pace in paces.values()), default=USUAL_BASE)
    room = None if available is None else available / team.slots - base
    seconds = {place: _seconds(study, paces, *place) for place in places}
    fair = -(-len(keys) // (FAIR * team.slots))
    widths = {}
    for place, count in places.items():
        by_time = max(1, round(SECONDS_OF_A_JOB / max(seconds[place] or 1.0, 1e-6)))
        most = min(count, fair, by_time, Board.MEMBERS)
        while most > 1 and room is not None and _largest(*grid, {place: most}) > room:
            most //= 2
        even = -(-count // -(-count // most))  # the same number of groups, about equally wide
        widths[place] = _in_whole_calls(even, calls[place[0]])
    size = base + _largest(*grid, widths)
    demand_room(size, team.slots, available)
    total = sum((seconds[place] or 0.0) * count for place, count in places.items()) / team.slots
    groups = groups_of(keys, lambda key: widths[key[:2]])
    return Plan(tuple(map(tuple, groups)), total if paces else None, size, team.slots, available)


def groups_in_room(
    choices: Sequence[Configuration], keys: Sequence[Key], team: Team, engines: Sequence[str | None] = ()
) -> list[list[Key]]:
    """Divide the trials of a round of searches into groups, if possible `FAIR // 2` for each slot.

    `engines` as in `make_plan`.

    Raises
    ------
    TooLarge
        If the memory does not suffice for the longest length. Nothing of that size has been allocated.
    """
    available, places = team.memory(), Counter(key[:2] for key in keys)
    calls = [group_of(name) for name in engines or [None] * len(choices)]
    width = min(max(1, len(keys) // (FAIR // 2 * team.slots)), Board.MEMBERS)

    def size() -> int:
        widths = {place: min(count, _in_whole_calls(width, calls[place[0]])) for place, count in places.items()}
        return USUAL_BASE + _largest(choices, (), calls, widths)

    while width > 1 and available is not None and team.slots * size() > available:
        width //= 2
    demand_room(size(), team.slots, available)
    return list(groups_of(keys, lambda key: _in_whole_calls(width, calls[key.configuration])))


def measure(
    configuration: Configuration, lengths: tuple[int, int], version: str, engine: str | None = None
) -> Pace:
    """Train a few networks briefly, on a worker, and return the times."""
    demand_version(version)
    short = _moment(configuration, lengths[0], engine)  # not measured: it loads or compiles the kernels
    base = psutil.Process().memory_info().rss
    short, long = (_moment(configuration, length, engine) for length in lengths)
    update, evaluation, flow = zip(short, long, strict=True)
    return Pace(configuration, lengths, update, evaluation, flow, base)


def _moment(configuration: Configuration, length: int, engine: str | None) -> tuple[float, float, float]:
    """The seconds of an update, a held-out batch, and the gradients at every time step, for one network."""
    together = _in_whole_calls(TOGETHER, group_of(engine))
    ensemble = prepared(configuration, length, range(together), engine)

    def fit(updates: int) -> float:
        began = time.perf_counter()
        results = ensemble.fit(updates, evaluate_every=1 << 30, final_batches=1, progress=False)
        if any(result.outcome is Outcome.INTERRUPTED for result in results):
            raise KeyboardInterrupt
        return time.perf_counter() - began

    began = time.perf_counter()
    ensemble.evaluate(1)
    evaluation = time.perf_counter() - began
    updates = 1
    while (took := fit(updates)) < SECONDS_TO_MEASURE and updates < MOST_MEASURED_UPDATES:
        updates *= 4
    began = time.perf_counter()
    flow_of(ensemble, ensemble.members[0], ensemble.members[0].draw())
    flow = time.perf_counter() - began
    update = max(took - evaluation, took / 2) / updates  # `fit` ends with an evaluation
    return update / together, evaluation / together, flow


def duration(seconds: float) -> str:
    """Return a time as text: `12 s`, `3 min`, `5.1 h`."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.3g} h"


def _largest(
    choices: Sequence[Configuration],
    test_lengths: tuple[int, ...],
    calls: Sequence[int],
    widths: Mapping[tuple[int, int], int],
) -> int:
    """The bytes of the largest group."""
    sizes = (
        bytes_of(choices[place], length, width, test_lengths, calls[place])
        for (place, length), width in widths.items()
    )
    return max(sizes, default=0)


def _in_whole_calls(width: int, call: int) -> int:
    """The width of a group, rounded up to whole calls of the engine."""
    return min(-(-width // call), Board.MEMBERS // call) * call


def demand_room(size: int, slots: int, available: int | None) -> None:
    """Raise `TooLarge` if processes of this size need more memory than is available."""
    if available is None or slots * size <= available:
        return
    each = f"{slots} x {amount(size)} = " if slots > 1 else ""
    fitting = int(available // size)
    advice = (
        f"Use --workers {fitting}" if fitting else "Choose a smaller batch, network, length or number of updates"
    )
    raise TooLarge(
        f"Training needs {each}{amount(slots * size)} of memory, but it may use only {amount(available)} "
        f"({SHARE:.0%} of the free memory). {advice}."
    )


def _measure(
    study: Study,
    places: Sequence[tuple[int, int]],
    team: Team,
    interrupts: Interrupts,
    engines: Sequence[str | None],
) -> dict[Workload, Pace]:
    """Measure the pace of the first `MOST_MEASURED` workloads; leave out those whose measurement fails."""
    workloads: dict[Workload, int] = {}
    for place, _ in places:
        workloads.setdefault(Workload.of(study.configurations[place]), place)
    workloads = dict(list(workloads.items())[:MOST_MEASURED])
    lengths = [length for _, length in places]
    chosen = [(study.configurations[place], engines[place]) for place in workloads.values()]
    calls = [
        (one, _measured_lengths(one, min(lengths), max(lengths)), __version__, engine) for one, engine in chosen
    ]
    found: list[Pace | None] = [None] * len(workloads)
    with interrupts.raised(2 if team.here else 0):  # a kernel may take long to compile
        for number, future in team.call_each(measure, calls, interrupts):
            error = future.exception()
            own = is_path(calls[number][0].cell) or is_path(calls[number][0].task)
            if isinstance(error, MemspanError) and not own:  # an error of the user's part ends only its own trials
                raise error
            if error is None:
                found[number] = future.result()
    return {workload: pace for workload, pace in zip(workloads, found, strict=True) if pace is not None}


def _measured_lengths(configuration: Configuration, short: int, long: int) -> tuple[int, int]:
    """Return two lengths near these that the task allows and at which an update takes at most about a second."""
    least = configuration.make_task().least_length
    longest = int(MOST_OPERATIONS / (_operations(configuration) * TOGETHER))
    return max(least, min(short, longest)), max(least, min(long, longest))


def _seconds(study: Study, paces: dict[Workload, Pace], configuration: int, length: int) -> float | None:
    """Estimate the time of a trial from the pace of its workload, else of the same cell, else of any workload."""
    one = study.configurations[configuration]
    similar = [pace for pace in paces.values() if pace.configuration.cell == one.cell] or list(paces.values())
    pace = paces.get(Workload.of(one)) or next(iter(similar), None)
    return None if pace is None else pace.seconds(one, length, study.test_lengths)


def _operations(configuration: Configuration) -> float:
    """Estimate the floating-point operations of an update for each time step."""
    H = configuration.hidden
    gates = FOREIGN_GATES if configuration.factory() else len(configuration.make_cell().gates)
    return 6.0 * configuration.batch * gates * H * (H + 16)


def _on_a_line(lengths: tuple[int, int], values: tuple[float, float], length: int) -> float:
    """Extrapolate a time linearly to another length."""
    (short, long), (first, last) = lengths, values
    if long <= short:
        return last * length / long
    each_step = max(last - first, 0.0) / (long - short)
    return last + each_step * (length - long)
