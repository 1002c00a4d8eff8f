"""Measure what it costs to record the gradient during training.

    python benchmarks/flow_cost.py

Networks are trained with and without recording, in turns, in one process with one thread. A recorded training
measures the norm of every sample's dL/da[t] in every tenth update, as a study with 1,500 updates does, and keeps
quantiles and shares. A study would record one of several networks; here it is the only one. There are no
evaluations, apart from one batch at the end. The script takes about five minutes, prints a table and writes it to
benchmarks/results/flow_cost.json. It fails if recording takes more than 3 % of the time, for any cell or size.
"""

import json
import os
import sys
import time
from pathlib import Path

import numpy as np

from memspan import Adam, Batches, Chain, ClipByNorm, MSELoss, Network, Recall
from memspan.bench.measure import machine
from memspan.runtime.blas import one_blas_thread
from memspan.training.ensemble import Ensemble
from rules import Rule, numbers_of, table_of

RESULTS = Path(__file__).parent / "results"
CELLS = ("rnn", "gru", "lstm")
SIZES = ((50, 64, 32), (50, 64, 128), (200, 20, 32))  # T, B, H
EVERY = 10
UPDATES = 50  # of a timed training
ROUNDS = 30
LIMIT = 0.03
NAME = "{cell}, T, B, H = {length}, {batch}, {hidden}: extra time"


def ensemble_of(cell: str, length: int, batch: int, hidden: int) -> Ensemble:
    """Return a network before training, with the choices of a study."""
    model = Network(cell, 1, hidden, 1, dtype="float32", rng=0)
    batches = Batches(Recall(), length, batch, rng=1, dtype="float32")
    return Ensemble([model], MSELoss(), [batches], Chain(ClipByNorm(1.0), Adam(0.003)))


def seconds(ensemble: Ensemble, every: int) -> float:
    """Return the processor time of a training."""
    began = time.process_time()
    ensemble.fit(
        UPDATES, evaluate_every=10**9, final_batches=1, stop_when_solved=False, progress=False, flow_every=every
    )
    return time.process_time() - began


def cost(cell: str, length: int, batch: int, hidden: int) -> dict[str, object]:
    """Return the share of time that recording adds: median and quartiles of rounds that time both."""
    both = {every: ensemble_of(cell, length, batch, hidden) for every in (0, EVERY)}
    for every, ensemble in both.items():
        seconds(ensemble, every)
    times: dict[int, list[float]] = {every: [] for every in both}
    for number in range(ROUNDS):
        for every in sorted(both, reverse=bool(number % 2)):
            times[every].append(seconds(both[every], every))
    low, extra, high = np.quantile(np.divide(times[EVERY], times[0]) - 1, (0.25, 0.5, 0.75))
    update = float(np.median(times[0])) / UPDATES
    sizes = {"cell": cell, "length": length, "batch": batch, "hidden": hidden, "dtype": "float32"}
    return sizes | {"update_ms": 1e3 * update, "extra": float(extra), "low": float(low), "high": float(high)}


def main() -> int:
    """Measure, write the result, and return the exit status."""
    with one_blas_thread():
        rows = [cost(cell, *sizes) for cell in CELLS for sizes in SIZES]
    rules = [Rule(NAME.format(**row), row["extra"], "≤", LIMIT) for row in rows]
    print("\n".join(table_of(rules)))
    found = {"machine": machine(()), "threads": 1, "cores": os.cpu_count(), "every": EVERY, "updates": UPDATES}
    found |= {"rounds": ROUNDS, "rows": rows, "rules": numbers_of(rules)}
    (RESULTS / "flow_cost.json").write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", "utf-8")
    return int(not all(rule.kept for rule in rules))


if __name__ == "__main__":
    sys.exit(main())
