"""Measure the report: size, time and memory for the README's study, and for a study of 100,000 trials.

    python benchmarks/report_pages.py

It takes some minutes. A large study has networks of one unit and one update, so only its trials are many. It has
100 configurations, or a single one. The script writes results/report_pages.json and .md, but not on Windows.

The targets, which the script judges: below 3 MB for the README's study, and for the large ones below 5 MB, 10 s
and 300 MB of memory beyond that of an empty report.
"""

import json
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

RESULTS = Path(__file__).parent / "results"
TRIALS = 100_000
TINY = ["--hidden", "1", "--batch", "1", "--updates", "1", "--final-batches", "1", "--evaluation-samples", "1"]
TINY += ["--keep-weights", "0", "--lengths", ",".join(map(str, range(1, 11)))]
STUDIES = {
    "README's study": [],
    "100,000 trials, 100 configurations": [
        *(*TINY, "--seed", ",".join(map(str, range(100)))),
        *("--repetitions", str(TRIALS // 1000)),
    ],
    "100,000 trials, 1 configuration": [*TINY, "--repetitions", str(TRIALS // 10)],
}
TARGETS = {"README's study": {"megabytes": 3.0}}
LARGE = {"megabytes": 5.0, "seconds": 10.0, "memory_megabytes": 300.0}
BUILD = """
import json, resource, sys, time
from memspan import Report, Store
from memspan.cli.report import explained, result_of
from memspan.study.figures import draws_trials
unit = 1 if sys.platform == "darwin" else 1024
Report("empty").add("An empty report loads what every report needs.").html()
import matplotlib.backends.backend_svg, memspan.report.study
with Store("memspan.sqlite") as store:
    (overview,) = store.overviews()
    entry = store.find(overview.name)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.perf_counter()
    result = result_of(entry)
    read = time.perf_counter()
    path = Report(entry.name).add(result, overview=overview).save("report.html")
    ended = time.perf_counter()
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({
    "megabytes": path.stat().st_size / 1e6, "seconds": ended - began, "seconds_of_reading": read - began,
    "memory_megabytes": (after - before) * unit / 1e6,
}))
"""


def measured(options: list[str]) -> dict[str, float]:
    """Run a study with these options, build its report in a new process, and return what that took."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["study", "run", *options, "--no-figures", "--progress", "none"]
        subprocess.run(
            [sys.executable, "-m", "memspan", *command], cwd=folder, check=True, stdout=subprocess.DEVNULL
        )
        done = subprocess.run(
            [sys.executable, "-c", BUILD], cwd=folder, capture_output=True, check=True, text=True
        )
    return {name: round(value, 2) for name, value in json.loads(done.stdout).items()}


def main() -> None:
    """Measure, judge, print and write."""
    found = {}
    for name, options in STUDIES.items():
        found[name] = measured(options)
        targets = TARGETS.get(name, LARGE)
        found[name]["met"] = all(found[name][what] < most for what, most in targets.items())
        print(name, found[name], flush=True)
    record = {"machine": platform.machine(), "python": platform.python_version(), "studies": found}
    (RESULTS / "report_pages.json").write_text(json.dumps(record, indent=1) + "\n")
    lines = ["# The report's page", "", f"{platform.machine()}, Python {platform.python_version()}.", ""]
    lines += [
        "| study | MB | seconds | of which reading | MB of memory | targets met |",
        "|---|---:|---:|---:|---:|---|",
    ]
    for name, one in found.items():
        numbers = (one["megabytes"], one["seconds"], one["seconds_of_reading"], one["memory_megabytes"])
        lines.append(f"| {name} | {' | '.join(f'{n:.1f}' for n in numbers)} | {'yes' if one['met'] else 'no'} |")
    (RESULTS / "report_pages.md").write_text("\n".join(lines) + "\n")
    if not all(one["met"] for one in found.values()):
        raise SystemExit("A target is not met.")


if __name__ == "__main__":
    main()
