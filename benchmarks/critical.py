"""Measure what `init="critical"` brings: spans with the default initial weights and with the critical gain of R.

    python benchmarks/critical.py

Three cells with 32 units on the task `recall`, three rules of training, 1500 updates of 64 sequences, clip 1. Each
span comes from at most 48 trainings, at lengths up to 100. The gains are those that `critical` chooses. The script
takes about 15 minutes on one core, and writes results/critical.json after each
span. A second run adds the spans that the file lacks.
"""

import json
import time
from pathlib import Path
from typing import Any

from memspan import Configuration, find_span
from memspan.study.group import run_group

RESULT = Path(__file__).parent / "results" / "critical.json"
CELLS = ("rnn", "gru", "lstm")
RULES: dict[str, dict[str, Any]] = {
    "momentum 0.03": {"optimizer": "momentum", "learning_rate": 0.03},
    "Adam 0.003": {"optimizer": "adam", "learning_rate": 0.003},
    "Adam 0.01": {"optimizer": "adam", "learning_rate": 0.01},
}
LENGTHS = (10, 20, 30, 60, 100)
BUDGET, LONGEST, WIDTH = 48, 100, 0.25


def gains(cell: str) -> list[float | None]:
    """The critical gain at each of `LENGTHS`."""
    return [Configuration(cell=cell, init="critical").critical_gain(length) for length in LENGTHS]


def cost(cell: str, length: int = 60) -> float:
    """The time in which the gain is found, in training steps of 64 sequences; the engines are compiled before."""
    configuration = Configuration(cell=cell, init="critical", updates=300, evaluate_every=300, seed=1)
    configuration.with_(updates=2).critical_gain(5)
    run_group(configuration.with_(init=None, updates=2), length, [0])
    began = time.process_time()
    configuration.critical_gain(length)
    found = time.process_time() - began
    times = []
    for updates in (20, 320):
        began = time.process_time()
        run_group(configuration.with_(init=None, updates=updates, threshold=1.0), length, [0])
        times.append(time.process_time() - began)
    return found / ((times[1] - times[0]) / 300)


def stored() -> list[dict[str, Any]]:
    """The spans that an interrupted run has left."""
    return json.loads(RESULT.read_text("utf-8"))["spans"] if RESULT.exists() else []


def span(cell: str, rule: str, init: str | None) -> dict[str, Any]:
    """Find one span."""
    began = time.perf_counter()
    given = {} if init is None else {"init": init}
    configuration = Configuration(cell=cell, **RULES[rule], **given)
    found = find_span(configuration, WIDTH, budget=BUDGET, longest=LONGEST, progress=False).estimate
    row = {"cell": cell, "rule": rule, "init": init, "span": found.span, "low": found.low, "high": found.high}
    row |= {"trainings": found.trainings, "seconds": round(time.perf_counter() - began, 1)}
    print(*row.values(), flush=True)
    return row


def main() -> None:
    """Measure everything."""
    result: dict[str, Any] = {"lengths": LENGTHS, "budget": BUDGET, "longest": LONGEST}
    result |= {"gains": {cell: gains(cell) for cell in CELLS}, "spans": stored()}
    result["cost"] = {cell: round(cost(cell)) for cell in CELLS}
    RESULT.write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    done = {(row["rule"], row["cell"], row["init"]) for row in result["spans"]}
    for rule in RULES:
        for cell in CELLS:
            for init in (None, "critical"):
                if (rule, cell, init) in done:
                    continue
                result["spans"].append(span(cell, rule, init))
                RESULT.write_text(json.dumps(result, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
