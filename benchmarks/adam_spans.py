"""Measure what the remedies against the jump of Adam do to the span (`docs/adam.md`).

    python benchmarks/adam_spans.py

Tanh networks with 32 units on the task `recall`, with Adam. Each span comes from at most 96 trainings, at lengths
up to 200. A study cannot set epsilon, beta2 or AMSGrad; for them the page has the shares solved at one length.
The script writes results/adam-spans.json after each span. A second run adds the spans that the file lacks.
"""

import json
import time
from pathlib import Path
from typing import Any

from memspan import Configuration, find_span

RESULT = Path(__file__).parent / "results" / "adam-spans.json"
BUDGET, LONGEST, WIDTH = 96, 200, 0.2
THIRD: dict[str, Any] = {"learning_rate": 0.01 / 3}
CHANGES: dict[str, dict[str, Any]] = {
    "baseline": {},
    "lr / 3": THIRD,
    "lr / 3, 4500 updates": THIRD | {"updates": 4500},
    "batch 256": {"batch": 256},
    "critical": {"init": "critical"},
    "critical, lr / 3": THIRD | {"init": "critical"},
    "critical, lr / 3, 4500 updates": THIRD | {"init": "critical", "updates": 4500},
}
"""What is changed in `Configuration()`: a learning rate of 0.01, 1500 updates of 64 sequences, clip 1."""


def span(change: str) -> dict[str, Any]:
    """Find one span."""
    began, configuration = time.perf_counter(), Configuration(**CHANGES[change])
    found = find_span(configuration, WIDTH, budget=BUDGET, longest=LONGEST, workers=1, progress=False).estimate
    row = {"change": change, "span": found.span, "low": found.low, "high": found.high}
    row |= {"trainings": found.trainings, "seconds": round(time.perf_counter() - began, 1)}
    print(*row.values(), flush=True)
    return row


def main() -> None:
    """Measure every span that is not stored."""
    result: dict[str, Any] = {"budget": BUDGET, "longest": LONGEST, "width": WIDTH, "spans": []}
    if RESULT.exists():
        result["spans"] = json.loads(RESULT.read_text("utf-8"))["spans"]
    done = {row["change"] for row in result["spans"]}
    for change in CHANGES:
        if change not in done:
            result["spans"].append(span(change))
            RESULT.write_text(json.dumps(result, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
