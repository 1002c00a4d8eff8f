"""Measure how the compiled engine scales with length, limited memory, small networks, and processes.

    python benchmarks/scaling.py

Every measurement runs in a separate process with one thread, pinned to one core (the last in two processes on two
cores). The script takes a few minutes, prints the table and writes it to benchmarks/results/.
"""

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from memspan import Adam, Batches, Chain, ClipByNorm, Learner, MSELoss, Network, Recall
from memspan.bench import Case, core_numbers
from memspan.bench.measure import machine
from memspan.bench.peers import compiled
from memspan.bench.worker import EngineProcesses, environment, median_seconds
from memspan.engines.compiled import MEMORY, CompiledEngine

RESULTS = Path(__file__).parent / "results"
ROUNDS = 9
GIBIBYTE = 2**30

Finding = dict[str, object]


def quartiles(values: list[float], digits: int = 3) -> str:
    low, median, high = np.quantile(values, (0.25, 0.5, 0.75))
    return f"{median:.{digits}g} ({low:.{digits}g}-{high:.{digits}g})"


def time_per_step() -> list[Finding]:
    """Measure the microseconds per time step, which should not depend on the length."""
    found = []
    for cell in ("rnn", "lstm"):
        cases = [Case(cell, length, 20, 32) for length in (100, 1000, 10_000)]
        runs = {case: compiled(case)["kernel"].run for case in cases}
        steps: dict[Case, list[float]] = {case: [] for case in cases}
        for run in runs.values():
            run()
        for _ in range(ROUNDS):
            for case, run in runs.items():
                steps[case].append(1e6 * median_seconds(run, 0.2) / case.time)
        for case in cases:
            against_first = np.divide(steps[case], steps[cases[0]])
            found.append(
                {
                    "what": f"time for each step, {case}",
                    "result": f"{quartiles(steps[case])} us; {np.median(against_first):.2f} of that at T=100",
                    "aim": "0.8-1.2 of it",
                }
            )
    return found


def peak_memory(budget: int) -> Finding:
    """Run two passes over a very long sequence; measure the peak memory and the time of the second pass.

    (During the first pass the system allocates the memory, which on some machines takes longer than the pass.)
    """
    case = Case("lstm", 100_000, 64, 32)
    network, x, y = case.problem()
    engine = CompiledEngine(network.layout, network.dtype, MSELoss(), memory=budget)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    _, seconds = (timed(lambda: engine.differentiate(network.parameters[np.newaxis], [(x, y)])) for _ in range(2))
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "what": f"peak memory of a pass, {case}, a budget of {budget / GIBIBYTE:.3g} GiB",
        "result": f"{(after - before) / 2**20:.3g} GiB above the {before / 2**20:.2g} GiB before; {seconds:.1f} s",
        "aim": "below the budget",
    }


def overhead(length: int) -> list[Finding]:
    """Measure the time that Python adds to the kernel in one update of one small network."""
    rng = np.random.default_rng(0)
    network = Network("rnn", 1, 32, 1, dtype=np.float32, rng=rng)
    batches = Batches(Recall(), length=length, batch=64, rng=rng, dtype=np.float32)
    learner = Learner(network, MSELoss(), batches, Chain(ClipByNorm(1.0), Adam(1e-4)))
    engine, parameters = CompiledEngine(network.layout, network.dtype, MSELoss()), network.parameters[np.newaxis]
    batch, seconds, updates = next(batches), {name: [] for name in ("update", "batch", "pass", "kernel")}, 500

    def fit(number: int) -> Callable[[], object]:
        return lambda: learner.fit(number, progress=False, stop_when_solved=False, final_batches=1)

    engine.differentiate(parameters, [batch])
    work = engine._workspace(batch.x.shape, 1, backward=True)
    found = engine.differentiate(parameters, [batch])
    for _ in range(ROUNDS):
        once, many = (timed(fit(number)) for number in (1, updates))
        seconds["update"].append((many - once) / (updates - 1))
        seconds["batch"].append(median_seconds(lambda: next(batches), 0.1))
        seconds["pass"].append(median_seconds(lambda: engine.differentiate(parameters, [batch]), 0.1))
        seconds["kernel"].append(
            median_seconds(lambda: work.run(engine._kernel, parameters, *found[1::-1], work.whole), 0.1)
        )
    micro = {name: 1e6 * np.array(values) for name, values in seconds.items()}
    what = f"rnn T={length} B=64 H=32"
    parts = ", ".join(f"{name} {quartiles(list(values))} us" for name, values in micro.items())
    above = micro["update"] - micro["batch"] - micro["kernel"]
    result = f"{quartiles(list(above))} us above kernel and batch ({parts})"
    return [{"what": f"an update of one network, {what}", "result": result, "aim": "at most 60 us"}]


def timed(run: Callable[[], object]) -> float:
    began = time.process_time()  # leaves out the time of other processes on this core
    run()
    return time.process_time() - began


def warm_start() -> list[float]:
    """Seconds for the first engine of a process and for a second one; an earlier process has compiled both.

    The first includes the start of Numba.
    """
    layouts = [Case(cell, 50, 64, 32).layout for cell in ("rnn", "lstm")]
    return [timed(lambda: CompiledEngine(layout, np.dtype(np.float32), MSELoss())) for layout in layouts]  # noqa: B023


def two_processes() -> list[Finding]:
    """Measure the throughput of two processes relative to one."""
    cores = core_numbers()[-2:]
    if len(cores) < 2:
        return []
    found = []
    with (
        EngineProcesses(compiled, [{cores[1]}]) as one,
        EngineProcesses(compiled, [{core} for core in cores]) as two,
    ):
        for cell in ("rnn", "lstm"):
            case = Case(cell, 50, 64, 32)
            one.prepare(case)
            two.prepare(case)
            ratios = [one.seconds("kernel", 0.5) / two.seconds("kernel", 0.5) for _ in range(2 * ROUNDS)]
            what = f"throughput of two processes against one, {case}"
            found.append({"what": what, "result": quartiles(ratios), "aim": "at least 1.85"})
    return found


ALONE: dict[str, Callable[[str], object]] = {
    "time_per_step": lambda _: time_per_step(),
    "peak_memory": lambda budget: peak_memory(int(budget)),
    "overhead": lambda length: overhead(int(length)),
    "warm_start": lambda _: warm_start(),
}


def alone(name: str, argument: int = 0) -> object:
    """Call a function of `ALONE` in a new process on one core."""
    with environment(1):
        command = [sys.executable, __file__, name, str(argument)]
        return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def main() -> None:
    rows = alone("time_per_step")
    rows += [alone("peak_memory", budget) for budget in (8 * GIBIBYTE, MEMORY, GIBIBYTE // 4)]
    rows += [row for length in (5, 20) for row in alone("overhead", length)]
    starts = [alone("warm_start") for _ in range(ROUNDS + 1)][1:]
    for which, seconds in zip(("the first, rnn", "the second, lstm"), zip(*starts, strict=True), strict=True):
        what = f"an engine whose kernel is on disk, in a new process, {which}"
        rows += [{"what": what, "result": f"{quartiles(list(seconds))} s", "aim": "at most 0.1 s"}]
    rows += two_processes()
    versions = ", ".join(f"{name} {value}" for name, value in machine(()).items())
    lines = [f"The compiled engine, float32; medians (quartiles) of {ROUNDS} rounds; {versions}.", ""]
    lines += ["| what | result | aim |", "|---|---|---|"]
    lines += ["| {what} | {result} | {aim} |".format(**row) for row in rows]
    text = "\n".join(lines) + "\n"
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "scaling.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__" and len(sys.argv) > 1:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {core_numbers()[-1]})
    print(json.dumps(ALONE[sys.argv[1]](sys.argv[2])))
elif __name__ == "__main__":
    main()
