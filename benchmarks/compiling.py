"""Measure how long Numba takes to compile the first kernel of a process, and then each cell's kernel.

    python benchmarks/compiling.py [--rounds 3]

Every round is a new process with an empty cache. The script writes results/compiling.md.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

RESULTS = Path(__file__).parent / "results"
FIRST = "rnn, the first of a process"
ONE_ROUND = f"""
import json, time
import numpy as np
from memspan import CELLS, MSELoss, Network
from memspan.engines.compiled import CompiledEngine, compiling

compiling.LOADING_SECONDS = 1e9  # print no messages about compiling
found = {{}}
for cell in ("rnn", *CELLS):
    if cell == "rnn" and found:  # the same kernel is not compiled twice
        continue
    network = Network(cell, 1, 3, 1, dtype="float32", rng=0)
    began = time.perf_counter()
    CompiledEngine(network.layout, np.dtype("float32"), MSELoss())
    found[cell if found else {FIRST!r}] = time.perf_counter() - began
print(json.dumps(found))
"""


def one_round() -> dict[str, float]:
    """Measure the seconds of each cell in a new process."""
    with tempfile.TemporaryDirectory() as cache:
        environment = {**os.environ, "NUMBA_CACHE_DIR": cache, "OPENBLAS_NUM_THREADS": "1"}
        done = subprocess.run([sys.executable, "-c", ONE_ROUND], env=environment, capture_output=True, check=True)
    return json.loads(done.stdout)


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = [one_round() for _ in range(parser.parse_args().rounds)]
    rows = [
        f"| {cell} | {statistics.median(times):.1f} | {min(times):.1f}-{max(times):.1f} |"
        for cell in rounds[0]
        for times in [[found[cell] for found in rounds]]
    ]
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    text = "\n".join(
        [
            "# How long a kernel takes to compile",
            "",
            f"{machine}; float32, one after the other in one process;",
            f"medians of {len(rounds)} processes, each with an empty cache. Later, kernels are loaded from disk.",
            "",
            "| cell | seconds | |",
            "|---|---:|---:|",
            *rows,
            "",
        ]
    )
    print(text)
    (RESULTS / "compiling.md").write_text(text)


if __name__ == "__main__":
    main()
