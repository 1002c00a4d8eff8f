"""Measure a study of a million trials on the command line: time, memory of the largest process, size of the store.

    python benchmarks/million.py [--trials 1000000]

The script takes about a quarter of an hour. The networks have one unit and one update, so that it measures memspan
and not the training. It writes results/million.md. It does not run on Windows.
"""

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RESULTS = Path(__file__).parent / "results"
STUDY = """\
name = "million"
hidden = 1
batch = 1
updates = 1
final_batches = 1
evaluation_samples = 1
keep_weights = 0
lengths = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
seed = [{seeds}]
repetitions = {repetitions}
"""
CONFIGURATIONS = 100
IN_MEMORY = """
import tracemalloc
from memspan import Store, Study, StudyResult, run_study
study = Study(updates=200)
run_study(study, "usual.sqlite", progress=False)
with Store("usual.sqlite") as store:
    entry = store.enter(study)
    entry.result()  # load the data that all trials share, so that it is not counted
    for curves in (False, True):
        tracemalloc.start()
        result = entry.result(curves=curves)
        print(tracemalloc.get_traced_memory()[0] // len(result.trials))
        tracemalloc.stop()
"""
COMMANDS = {
    "`study run`, 2 processes": ["study", "run", "study.toml", "--workers", "2", "--progress", "none"],
    "`study run` again": ["study", "run", "study.toml", "--workers", "2", "--progress", "none"],
    "`study show`": ["study", "show", "million"],
    "`study status`": ["study", "status", "million"],
}


def measured(command: list[str], folder: str) -> tuple[float, float]:
    """Run a command; return its time in seconds and the memory of its largest process in MB."""
    began = time.perf_counter()
    with open(os.devnull, "w") as nowhere:
        process = subprocess.Popen([sys.executable, "-m", "memspan", *command], cwd=folder, stdout=nowhere)
        _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"memspan {' '.join(command)} ended with {os.waitstatus_to_exitcode(status)}")
    unit = 1 if sys.platform == "darwin" else 1024
    return time.perf_counter() - began, usage.ru_maxrss * unit / 1e6


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=1_000_000)
    trials = parser.parse_args().trials
    seeds = ", ".join(map(str, range(CONFIGURATIONS)))
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        text = STUDY.format(seeds=seeds, repetitions=trials // (10 * CONFIGURATIONS))
        (Path(folder) / "study.toml").write_text(text)
        for name, command in COMMANDS.items():
            seconds, megabytes = measured(command, folder)
            rows.append(f"| {name} | {seconds:,.0f} | {megabytes:,.0f} |")
            print(rows[-1], flush=True)
        size = (Path(folder) / "memspan.sqlite").stat().st_size / 1e6
        found = subprocess.run([sys.executable, "-c", IN_MEMORY], cwd=folder, capture_output=True, check=True)
    plain, whole = map(int, found.stdout.split())
    lines = [
        f"# A study of {trials:,} trials",
        "",
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}. "
        f"{CONFIGURATIONS} configurations of 10 lengths, networks of one unit, one update.",
        "",
        "| | seconds | MB of the largest process |",
        "|---|---:|---:|",
        *rows,
        "",
        f"The store takes {size:,.0f} MB. In Python a trial of the README's study takes {plain:,} bytes "
        f"of memory, and {whole:,} with its curves.",
        "",
    ]
    print("\n".join(lines))
    (RESULTS / "million.md").write_text("\n".join(lines))


if __name__ == "__main__":
    main()
