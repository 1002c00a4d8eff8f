"""Measure spans under Adam, and what untrained networks say that might predict them (`docs/adam.md`).

    python benchmarks/adam_race.py

Tanh networks on the task `recall`, 1500 updates of 64 sequences, clip 1; three learning rates, sizes and variances of
R. Each span comes from at most 48 trainings at lengths up to 100. At each of `LENGTHS`, from the twelve networks of a
configuration before training: the label gradient g, the variance of the gradient of a batch, and the ratio of
|2 g|² to it. The script writes results/adam-race.json after each span. A second run adds what the file lacks.
"""

import json
import time
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from memspan import Configuration, find_span
from memspan.diagnostics import Twins, label_gradient
from memspan.diagnostics.label import label_engine
from memspan.study.group import untrained
from memspan.why.plateau import Plateau

RESULT = Path(__file__).parent / "results" / "adam-race.json"
BUDGET, LONGEST, WIDTH, SEED, NETWORKS = 48, 100, 0.25, 11, 12
LENGTHS = (5, 7, 10, 14, 20, 28, 40, 56, 80)
GRID = tuple(product((32, 16, 64), (0.4, 0.2, 0.8), (0.01, 0.003, 0.02)))
"""Hidden units, variance of R times H, and learning rate."""


def configuration(hidden: int, variance: float, rate: float) -> Configuration:
    """The configuration of a point of the grid. The elements of R come from a uniform distribution."""
    gain = (variance / hidden / (0.2**2 / 3)) ** 0.5
    return Configuration(hidden=hidden, recurrent_gain=gain, learning_rate=rate, seed=SEED)


def start(one: Configuration, length: int) -> dict[str, float]:
    """Medians over untrained networks."""
    networks = [untrained(one, length, k)[0] for k in range(NETWORKS)]
    task, engine = one.make_task(), label_engine(networks[0])
    twins = Twins.of(task, length, 256, 3)
    plateau = Plateau(networks[0], task, length, twins)
    theta = np.array([label_gradient(network, twins, engine=engine).theta for network in networks])
    square, _ = plateau._noise(np.stack([network.parameters for network in networks]).astype(np.float64))
    variance = plateau._tau * square / one.batch
    return {
        "length": length,
        "theta": float(np.median(theta)),
        "variance": float(np.median(variance)),
        "ratio": float(np.median(4 * theta / variance)),
    }


def measured(hidden: int, variance: float, rate: float) -> dict[str, Any]:
    """Find one span and look at the networks before training."""
    began, one = time.perf_counter(), configuration(hidden, variance, rate)
    found = find_span(one, WIDTH, budget=BUDGET, longest=LONGEST, workers=1, progress=False).estimate
    row = {"hidden": hidden, "variance": variance, "rate": rate}
    row |= {"span": found.span, "low": found.low, "high": found.high, "trainings": found.trainings}
    row["seconds"] = round(time.perf_counter() - began, 1)
    print(*row.values(), flush=True)
    return row | {"start": [start(one, length) for length in LENGTHS]}


def main() -> None:
    """Measure what is not stored."""
    result: dict[str, Any] = {"budget": BUDGET, "longest": LONGEST, "width": WIDTH, "seed": SEED, "rows": []}
    if RESULT.exists():
        result["rows"] = json.loads(RESULT.read_text("utf-8"))["rows"]
    done = {(row["hidden"], row["variance"], row["rate"]) for row in result["rows"]}
    for point in GRID:
        if point not in done:
            result["rows"].append(measured(*point))
            RESULT.write_text(json.dumps(result, indent=None) + "\n", "utf-8")


if __name__ == "__main__":
    main()
