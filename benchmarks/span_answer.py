"""Measure the README's span: by searches with several seeds, and by grids, with time and trainings.

    python benchmarks/span_answer.py

The script takes some minutes on two cores, and writes results/span_answer.json. `docs/make_numbers.py` writes the
numbers into the pages. Each search runs in two processes, one after the other.
"""

import json
import platform
import time
from pathlib import Path
from typing import Any

from memspan import Comparison, Configuration, Study, compare, find_span, run_study
from memspan.study.results import StudyResult

RESULTS = Path(__file__).parent / "results" / "span_answer.json"
SEEDS = range(3)
WIDTHS = (0.15, 0.1)
GRID = (4, 6, 8, 11, 15, 20, 26, 34, 45, 60, 80, 106)
CELLS = "rnn,gru,lstm"
PROCESSES = 2


def numbers(result: StudyResult, seconds: float) -> dict[str, Any]:
    """The span with its interval, and what it cost."""
    estimate = result.estimate
    ends = {name: getattr(estimate, name) for name in ("span", "low", "high", "fits", "trainings")}
    steps = sum(trial.updates * trial.length for trial in result.trials)
    return ends | {"short": estimate.short, "sentence": result.sentence, "steps": steps, "seconds": seconds}


def searched(seed: int, width: float) -> dict[str, Any]:
    """Search once."""
    started = time.perf_counter()
    result = find_span(Configuration(seed=seed), width, workers=PROCESSES, progress=False)
    return numbers(result, time.perf_counter() - started) | {"ended": str(result.path.ended)}


def gridded(repetitions: int) -> dict[str, Any]:
    """Train a grid."""
    started = time.perf_counter()
    study = Study(lengths=GRID, repetitions=repetitions, keep_weights=0)
    return numbers(run_study(study, workers=PROCESSES, progress=False), time.perf_counter() - started)


def main() -> None:
    find_span(Configuration(updates=1), budget=16, progress=False)  # compiles the kernel
    compared = compare(Comparison(cell=CELLS), workers=PROCESSES, progress=False)
    found = {
        "machine": f"{platform.machine()}, {PROCESSES} processes, Python {platform.python_version()}",
        "searches": {f"{width}": [searched(seed, width) for seed in SEEDS] for width in WIDTHS},
        "grids": {f"{repetitions}": gridded(repetitions) for repetitions in (4, 16)},
        "compared": compared.numbers() | {"sentence": compared.sentence},
    }
    RESULTS.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
