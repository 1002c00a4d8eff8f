"""Measure the overhead of a study: the coordinator, the processes, Dask, and the store.

    python benchmarks/studies.py [--quick]

The runs of one comparison take turns within one run of the script. It writes results/studies.md and .json.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from memspan import Study, run_study
from memspan.execution.events import Listener

sys.path.append(str(Path(__file__).parents[1] / "tests" / "faults"))

RESULTS = Path(__file__).parent / "results"
TINY = {"hidden": 1, "batch": 1, "updates": 1, "final_batches": 1, "evaluation_samples": 1, "keep_weights": 0}
TRAINING = Study(
    cell="lstm",
    hidden=32,
    lengths=(50, 60, 70, 80),
    repetitions=12,
    updates=400,
    threshold=1.0,
    evaluate_every=200,
    final_batches=2,
)


def coordinator(folder: Path, trials: int) -> dict[str, float]:
    """Measure the coordinator's processor time per tiny trial, and the wall time without the worker's time."""
    study = Study(**TINY, lengths=range(1, 11), repetitions=trials // 10, name="tiny")
    store = folder / f"{trials}.sqlite"
    began, clock = time.process_time(), time.perf_counter()
    result = run_study(study, store, workers=1, progress=False)
    cpu, wall = time.process_time() - began, time.perf_counter() - clock
    assert len(result.trials) == trials
    assert result.complete
    work = sum(trial.seconds for trial in result.trials)
    clock = time.perf_counter()
    run_study(study, store, workers=1, progress=False)
    again = time.perf_counter() - clock
    return {
        "trials": trials,
        "coordinator_cpu_ms": 1000 * cpu / trials,
        "clock_less_work_ms": 1000 * (wall - work) / trials,
        "work_ms": 1000 * work / trials,
        "again_s": again,
        "bytes": store.stat().st_size / trials,
    }


def bytes_of_usual_trials(folder: Path) -> float:
    """The bytes per trial in the store of the README's study."""
    store = folder / "usual.sqlite"
    result = run_study(Study(), store, workers=2, progress=False)
    return store.stat().st_size / len(result.trials)


def in_turns(rounds: int, runs: dict[str, Callable[[Listener], object]]) -> dict[str, list[list[float]]]:
    """Time each run several times, in turns: seconds from start to end, and from the plan to the last trial."""
    found: dict[str, list[list[float]]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            moments: dict[str, float] = {}
            began = time.perf_counter()
            run(lambda event, moments=moments: moments.update({type(event).__name__: time.perf_counter()}))
            took = time.perf_counter() - began
            found[name].append([took, moments["Finished"] - moments["Planned"]])
            print(f"  {name}: {took:.2f} s, {found[name][-1][1]:.2f} s of work", flush=True)
    return found


def local(workers: int) -> Callable[[Listener], object]:
    """Return a run in worker processes on this machine."""
    return lambda listen: run_study(TRAINING, workers=workers, progress=False, listen=listen)


def compare_processes(rounds: int) -> dict[str, list[list[float]]]:
    """Compare one process with two."""
    return in_turns(rounds, {"1 process": local(1), "2 processes": local(2)})


def compare_dask(rounds: int) -> dict[str, list[list[float]]]:
    """Compare two processes with two Dask workers that are already running."""
    from servers import dask_cluster

    with tempfile.TemporaryDirectory() as name, dask_cluster(Path(name)) as cluster:
        warm = TRAINING.with_(updates=2, repetitions=2)
        run_study(warm, scheduler=cluster.address, progress=False)

        def dask(listen: Listener) -> object:
            return run_study(TRAINING, scheduler=cluster.address, progress=False, listen=listen)

        return in_turns(rounds, {"2 processes": local(2), "Dask, 2 workers": dask})


def markdown(found: dict) -> str:
    one, two = found["processes"]["1 process"], found["processes"]["2 processes"]
    beside, dask = found["dask"]["2 processes"], found["dask"]["Dask, 2 workers"]
    rows = [
        f"| {row['trials']:,} | {row['coordinator_cpu_ms']:.2f} | {row['clock_less_work_ms']:.2f} "
        f"| {row['work_ms']:.2f} | {row['again_s']:.1f} | {row['bytes']:,.0f} |"
        for row in found["coordinator"]
    ]
    return f"""# The overhead of a study

{found["machine"]}. One BLAS thread and one kernel thread in each process.

## The coordinator

Tiny trials (one unit, one sequence, one update) in one worker process, with a SQLite file and full
synchronisation. Milliseconds per trial: the processor time of the coordinator, the wall time without the worker's
time, and the worker's time. Then the seconds of running the finished study again.

| trials | coordinator | wall time without work | work of a trial | run again, s | bytes in the store |
|---:|---:|---:|---:|---:|---:|
{chr(10).join(rows)}

The aim is at most 2 ms for any number of trials.

A trial of the README's study takes {found["usual_bytes"]:,.0f} bytes: its curve of 150 points and the gradients at
every time step, and for the first repetition of each length also the history of these gradients and the weights.

## Processes and Dask

48 LSTMs of 32 units at T = 50 to 80, with 400 updates each. "Seconds" is the time from start to end, including the
plan and the start of processes (Dask's workers are already running); "seconds of work" is the time from the plan
to the last trial. Medians of {len(one)} rounds, in turns. Dask's scheduler and workers run only during the second
comparison.

| | seconds | | seconds of work | | aim |
|---|---:|---|---:|---|---:|
| 1 process | {_median(one, 0)} | | {_median(one, 1)} | | |
| 2 processes | {_median(two, 0)} | {_ratio(one, two, 0)} times as fast | {_median(two, 1)} \
| {_ratio(one, two, 1)} | 1.85 |
| 2 processes | {_median(beside, 0)} | | {_median(beside, 1)} | | |
| Dask, 2 workers | {_median(dask, 0)} | {_ratio(beside, dask, 0)} of that speed | {_median(dask, 1)} \
| {_ratio(beside, dask, 1)} | 0.95 |
"""


def _median(times: list[list[float]], k: int) -> str:
    return f"{statistics.median(pair[k] for pair in times):.1f}"


def _ratio(first: list[list[float]], second: list[list[float]], k: int) -> str:
    ratios = [a[k] / b[k] for a, b in zip(first, second, strict=True)]
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    sizes = (1000, 2000) if quick else (1000, 10_000, 100_000)
    with tempfile.TemporaryDirectory() as name:
        rows = []
        for trials in sizes:
            rows.append(coordinator(Path(name), trials))
            print(rows[-1], flush=True)
        usual = bytes_of_usual_trials(Path(name))
    found = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "coordinator": rows,
        "usual_bytes": usual,
        "processes": compare_processes(1 if quick else 3),
        "dask": compare_dask(1 if quick else 3),
    }
    print(markdown(found))
    if not quick:
        (RESULTS / "studies.json").write_text(json.dumps(found, indent=1) + "\n")
        (RESULTS / "studies.md").write_text(markdown(found))


if __name__ == "__main__":
    main()
