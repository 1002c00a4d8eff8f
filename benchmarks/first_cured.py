"""The first study explained and cured by `memspan explain --try`, for several seeds.

    python benchmarks/first_cured.py [--workers N]

For each seed: `memspan study run --seed S` and `memspan explain --try --rounds 2 --json` in an empty folder, with
nothing else said. The script writes what the second command printed, and how long it took, to
results/first_cured.json.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

RESULT = Path(__file__).parent / "results" / "first_cured.json"
SEEDS = (0, 1, 2)
ROUNDS = 2


def memspan(folder: str, *arguments: str) -> str:
    """Run a command of memspan in a folder, and return what it printed."""
    command = [sys.executable, "-m", "memspan", *arguments]
    return subprocess.run(command, cwd=folder, check=True, stdout=subprocess.PIPE, text=True).stdout


def cured(seed: int, workers: str) -> dict[str, Any]:
    """Run the study of a seed, and explain it with its remedies."""
    with tempfile.TemporaryDirectory() as folder:
        memspan(folder, "study", "run", "--seed", str(seed), "--no-figures", "--workers", workers)
        began = time.perf_counter()
        tries = ("--try", "--rounds", str(ROUNDS), "--json", "--workers", workers)
        explained = json.loads(memspan(folder, "explain", *tries))
        return {"seed": seed, "seconds": round(time.perf_counter() - began), "explained": explained}


def main() -> None:
    workers = sys.argv[sys.argv.index("--workers") + 1] if "--workers" in sys.argv else "2"
    found = []
    for seed in SEEDS:
        found.append(cured(seed, workers))
        for one in found[-1]["explained"]:
            for tried in one["tried"]:
                spans = (tried[when]["span"] for when in ("before", "after"))
                print(seed, tried["length"], tried["verdict"], tried["to"], *spans, flush=True)
        RESULT.write_text(json.dumps(found, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
