"""Time engines in turns, so that a slow phase of the machine slows all of them alike."""

import os
import platform
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from memspan._version import __version__
from memspan.bench.case import Case, Result
from memspan.bench.peers import ENGINES, Peer
from memspan.bench.record import ROOFLINE, Benchmark, Timing
from memspan.bench.worker import EngineFailed, EngineProcesses
from memspan.errors import InvalidArgument, whole_number

TOLERANCE = 1e-4
"""Relative error that a loss or a gradient may have in float32."""
HOPELESS = 4  # a way that takes longer than this many times the fastest way in the first round is dropped
PACKAGES = ("memspan", "numpy", "numba", "scipy", "torch", "jax")

Tell = Callable[[float, str], None]
"""Called with the number of rounds done, out of `work`, and a description of the current one."""


def measure(
    cases: Sequence[Case],
    engines: Mapping[str, Peer] = ENGINES,
    *,
    cores: list[int],
    rounds: int = 5,
    seconds: float = 0.2,
    tell: Tell = lambda done, note: None,
) -> Benchmark:
    """Time the engines on one core, and on `cores` if there are several.

    An engine is left out if it is not installed, or if its loss or gradient differs from that of the readable
    engine in float64. The record names it.

    Parameters
    ----------
    cases : sequence of Case
    engines : mapping of str to Peer
    cores : list of int
        The numbers of the processor's cores. On several cores each engine runs in as many processes; an engine
        with threads is also timed with threads.
    rounds : int
        The number of rounds; every engine is timed once in each.
    seconds : float
        How long one timing repeats a pass.
    tell : callable
        Receives the progress, see `Tell`.
    """
    session = _Session(cases, whole_number("rounds", rounds), seconds, tell)
    session.time_all(engines, cores[-1:])
    if len(cores) > 1:
        session.time_all(engines, cores)
    # An engine that is missing is missing in both settings.
    remarks, wrong = (tuple(dict.fromkeys(lines)) for lines in (session.remarks, session.wrong))
    return Benchmark(tuple(session.timings), remarks, wrong, machine(engines))


def spreads(engine: Peer, cores: list[int]) -> dict[str, list[set[int]]]:
    """Return the ways to spread an engine over cores, each as the cores of its processes."""
    apart = [{core} for core in cores]
    if len(cores) == 1:
        return {"": apart}
    processes = {f"{len(cores)} processes": apart}
    return processes | ({f"{len(cores)} threads": [set(cores)]} if engine.threaded else {})


def difference(found: Result, right: Result, case: Case) -> tuple[float, str]:
    """Return the largest relative error, and where it is: in the loss or in the gradient of a weight."""
    errors = {"loss": abs(found.loss - right.loss) / abs(right.loss)}
    given, expected = (case.layout.by_name(part.gradient) for part in (found, right))
    for name, gradient in expected.items():
        errors[f"gradient of {name}"] = float(np.linalg.norm(given[name] - gradient) / np.linalg.norm(gradient))
    what = max(errors, key=lambda name: np.nan_to_num(errors[name], nan=np.inf))
    return errors[what], what


def hopeless(found: Mapping[tuple[str, str], list[float]], engine: str, way: str) -> bool:
    """Whether another way of the same engine is fast enough to drop this one."""
    best = min(seconds[0] for (name, _), seconds in found.items() if name == engine)
    return engine != ROOFLINE and found[engine, way][0] > HOPELESS * best


def machine(engines: Iterable[str]) -> dict[str, str]:
    """Return the processor and the library versions, on which the timings depend."""
    wanted = [name for name in PACKAGES if name in engines or name not in ENGINES]
    found = {"processor": processor(), "Python": platform.python_version()}
    for name in wanted:
        try:
            found[name] = __version__ if name == "memspan" else version(name)
        except PackageNotFoundError:
            continue
    return found


def processor() -> str:
    """Return the name of the processor, or an empty text if the system does not give it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def core_numbers(wanted: int | None = None) -> list[int]:
    """Return the numbers of the last `wanted` cores that this process may use, or of all of them."""
    numbers = (
        sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [*range(os.cpu_count() or 1)]
    )
    if wanted is None:
        return numbers
    if whole_number("cores", wanted) > len(numbers):
        raise InvalidArgument("cores", f"at most {len(numbers)}, the cores of this machine", wanted)
    return numbers[-wanted:]


def work(cases: Sequence[Case], cores: Sequence[int], rounds: int) -> int:
    """Return the number of rounds that `measure` takes, on one core and on several."""
    return len(cases) * whole_number("rounds", rounds) * (1 if len(cores) == 1 else 2)


class _Session:
    """The timings so far, on one core and then on several."""

    def __init__(self, cases: Sequence[Case], rounds: int, seconds: float, tell: Tell) -> None:
        self.cases, self.rounds, self.duration, self.tell = cases, rounds, seconds, tell
        self.right = {case: case.result() for case in cases}
        self.timings: list[Timing] = []
        self.remarks: list[str] = []
        self.wrong: list[str] = []
        self.done = 0

    def time_all(self, engines: Mapping[str, Peer], cores: list[int]) -> None:
        """Time every engine and the roofline, case by case."""
        from memspan.bench.roofline import roofline  # imports Numba, which the help of memspan does without

        with ExitStack() as stack:
            running = {
                (name, spread): stack.enter_context(EngineProcesses(engine.passes, sets))
                for name, engine in {**engines, ROOFLINE: Peer(roofline)}.items()
                for spread, sets in spreads(engine, cores).items()
            }
            for case in self.cases:
                self.time_one(running, case, len(cores))

    def time_one(self, running: dict[tuple[str, str], EngineProcesses], case: Case, cores: int) -> None:
        """Time rounds, in each of which every way of every engine has its turn."""
        turns = [
            (engine, ", ".join(filter(None, (spread, way))), processes, way)
            for (engine, spread), processes in running.items()
            if self.prepared(processes, engine, case)
            for way in processes.ways
        ]
        found: dict[tuple[str, str], list[float]] = defaultdict(list)
        for _ in range(self.rounds):
            for turn in list(turns):
                engine, name, processes, way = turn
                try:
                    found[engine, name].append(processes.seconds(way, self.duration))
                except EngineFailed as error:
                    self.remarks.append(f"{engine} ({name}) failed at {case}: {error}")
                    turns.remove(turn)
                    found.pop((engine, name), None)
            turns = [turn for turn in turns if not hopeless(found, *turn[:2])]
            self.done += 1
            self.tell(self.done, str(case))
        self.timings += [Timing(case, cores, *key, tuple(seconds)) for key, seconds in found.items()]

    def prepared(self, processes: EngineProcesses, engine: str, case: Case) -> bool:
        """Whether the engine can run the case and its results are right."""
        self.tell(self.done, f"{case}: {engine}")
        try:
            ways = processes.prepare(case)
        except EngineFailed as error:
            self.remarks.append(f"{engine} is skipped: {error}")
            return False
        for way, (_, result) in ways.items():
            if result is not None:
                share, what = difference(result, self.right[case], case)
                if not share <= TOLERANCE:
                    self.wrong.append(f"{engine} ({way}) is not timed at {case}: its {what} is off by {share:.1g}")
                    return False
        return True
