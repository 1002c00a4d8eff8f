"""Measure what it costs to record the gradient during training, and to measure it once.

    python benchmarks/flow_cost.py

A network is trained with and without recording, in turns, in one process with one thread. A recorded training
measures the norm of every sample's dL/da[t] in every tenth update, as a study with 1,500 updates does, and keeps
quantiles and shares. A study would record one of several networks; here it is the only one. There are no
evaluations, apart from one batch at the end. The script takes about five minutes, prints a table and writes it to
benchmarks/results/flow_cost.json. It fails if recording takes more than 3 % of the time, for any cell or size.

`GradientFlow.of` and `Attribution.of` are timed together with the forward and backward pass of the readable engine
that they need, in units of an update of the compiled engine.
"""

import json
import os
import sys
import time
from pathlib import Path

import numpy as np

from memspan import Adam, Attribution, Batches, Chain, ClipByNorm, GradientFlow, MSELoss, Network, Recall
from memspan.bench.measure import machine
from memspan.runtime.blas import one_blas_thread
from memspan.training.ensemble import Ensemble
from rules import Rule, numbers_of, table_of

RESULTS = Path(__file__).parent / "results"
CELLS = ("rnn", "gru", "lstm")
SIZES = ((50, 64, 32), (50, 64, 128), (200, 20, 32))  # T, B, H
EVERY = 10
UPDATES = 50  # that are timed in a training
ROUNDS = 20
LIMIT = 0.03
NAME = "{cell}, T, B, H = {length}, {batch}, {hidden}: extra time"


def ensemble_of(cell: str, length: int, batch: int, hidden: int) -> Ensemble:
    """Return a network before training, with the choices of a study."""
    model = Network(cell, 1, hidden, 1, dtype="float32", rng=0)
    batches = Batches(Recall(), length, batch, rng=1, dtype="float32")
    return Ensemble([model], MSELoss(), [batches], Chain(ClipByNorm(1.0), Adam(0.003)))


def seconds(ensemble: Ensemble, every: int) -> np.ndarray:
    """Return the processor time of each update of a training `[UPDATES]`, without the first ones.

    The first of ten updates is a recorded one, if any, and has its part of the summary of the recorded ones.
    """
    times: list[float] = []
    ensemble.fit(
        UPDATES + EVERY,
        evaluate_every=10**9,
        final_batches=1,
        stop_when_solved=False,
        progress=False,
        observe=lambda: times.append(time.process_time()),
        flow_every=every,
    )
    began = time.process_time()
    ensemble.members[0].spreads  # noqa: B018  (computes what waits to be summarised)
    summary = time.process_time() - began
    found = np.diff(times[EVERY - 1 :])
    found[::EVERY] += summary / (1 + UPDATES // EVERY)
    return found


def cost(cell: str, length: int, batch: int, hidden: int) -> dict[str, object]:
    """Return the share of time that recording adds.

    A round is ten updates, and recording measures the first of them. The time of a round is the sum of the ten
    median times. The quartiles are those of single rounds, so they also show what else the machine does.
    """
    ensemble = ensemble_of(cell, length, batch, hidden)  # the same for both, so that they share their buffers
    for every in (0, EVERY):
        seconds(ensemble, every)
    times: dict[int, list[np.ndarray]] = {0: [], EVERY: []}
    for number in range(ROUNDS):
        for every in sorted(times, reverse=bool(number % 2)):
            times[every].append(seconds(ensemble, every))
    recorded, plain = (np.array(times[every]) for every in (EVERY, 0))
    ten = [np.median(each.reshape(-1, EVERY), axis=0).sum() for each in (recorded, plain)]
    low, high = np.quantile(recorded.sum(axis=1) / plain.sum(axis=1) - 1, (0.25, 0.75))
    extra, update = ten[0] / ten[1] - 1, ten[1] / EVERY
    alone = {of.__name__: once(of, ensemble) / update for of in (GradientFlow, Attribution)}
    sizes = {"cell": cell, "length": length, "batch": batch, "hidden": hidden, "dtype": "float32"}
    shares = {"extra": float(extra), "low": float(low), "high": float(high)}
    return sizes | {"update_ms": 1e3 * update} | shares | {"updates": alone}


def once(of: type[GradientFlow] | type[Attribution], ensemble: Ensemble) -> float:
    """Return the processor time of one measurement of a network, with the passes that it needs."""
    (member,), loss, times = ensemble.members, MSELoss(), []
    for _ in range(5):
        x, y = member.draw()
        began = time.process_time()
        loss.forward(member.model.forward(x), y)
        of.of(member.model.backpropagate(loss.backward()))
        times.append(time.process_time() - began)
    return float(np.median(times))


def main() -> int:
    """Measure, write the result, and return the exit status."""
    with one_blas_thread():
        rows = [cost(cell, *sizes) for cell in CELLS for sizes in SIZES]
    rules = [Rule(NAME.format(**row), row["extra"], "≤", LIMIT) for row in rows]
    print("\n".join(table_of(rules)))
    found = {"machine": machine(()), "threads": 1, "cores": os.cpu_count(), "every": EVERY, "updates": UPDATES}
    found |= {"rounds": ROUNDS, "rows": rows, "rules": numbers_of(rules)}
    (RESULTS / "flow_cost.json").write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", "utf-8")
    return int(any(not rule.kept for rule in rules))


if __name__ == "__main__":
    sys.exit(main())
