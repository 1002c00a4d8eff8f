"""Measure what each diagnostic costs, in training steps of the same network.

    python benchmarks/diagnostics.py [--rounds 25]

A training step draws a batch of 64 sequences of the task recall, differentiates the loss of one network with the
compiled engine in float32, clips the gradient and takes a step of gradient descent with momentum. In each round
the step and every diagnostic are timed in turn, so that a slow phase of the machine slows all of them alike; the
cost is the median over the rounds of a diagnostic's time divided by the step's time in the same round. Times are
processor times, so other programs disturb them little. The script
takes about two minutes and writes results/diagnostics.json and .md. It ends with an error if a rule of `LIMITS` is
broken.

To add a diagnostic, write a function that prepares it for a `Case`, and enter it in `DIAGNOSTICS`.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import numpy as np

from memspan import (
    Batches,
    Chain,
    ClipByNorm,
    GradientFlow,
    Jacobians,
    LyapunovExponents,
    Momentum,
    MSELoss,
    Network,
    Recall,
    Saturation,
    Twins,
    label_gradient,
    label_signal,
    recurrent_spectra,
)
from memspan.diagnostics.label import label_engine
from memspan.engines.compiled import CompiledEngine
from memspan.runtime.blas import one_blas_thread
from rules import Rule, numbers_of, table_of

RESULTS = Path(__file__).parent / "results"
BATCH, HIDDEN, FEW = 64, 32, 2
PAIRS, LENGTHS = 128, 10
LEAST_SECONDS = 0.005  # one timing repeats a short call for at least so long


@dataclass(frozen=True)
class Case:
    """A network of 32 units and a length of the task recall, and what the diagnostics read."""

    cell: str
    length: int

    def __str__(self) -> str:
        return f"{self.cell} T = {self.length}"

    @cached_property
    def network(self) -> Network:
        """The network, untrained, in float32."""
        return Network(self.cell, 1, HIDDEN, 1, dtype="float32", rng=0)

    @cached_property
    def batches(self) -> Batches:
        """Batches for training."""
        return Batches(Recall(), length=self.length, batch=BATCH, rng=1, dtype="float32")

    @cached_property
    def few(self) -> np.ndarray:
        """The inputs of two sequences; the diagnostics of Jacobians need no more."""
        return next(self.batches)[0][:, :FEW]

    @cached_property
    def jacobians(self) -> Jacobians:
        """The Jacobians of these two sequences."""
        return Jacobians.of(self.network, self.few)

    def twins(self, length: int | None = None) -> Twins:
        """Twins of the task, at this length or another one."""
        return Twins.of(Recall(), length or self.length, PAIRS)


def training_step(case: Case) -> Callable[[], object]:
    """The unit: batch, loss and gradient, clip and step of one network."""
    engine = CompiledEngine(case.network.layout, np.dtype("float32"), MSELoss())
    optimizer = Chain(ClipByNorm(1.0), Momentum(0.03))
    parameters = case.network.parameters[np.newaxis].copy()
    state = optimizer.init(parameters)

    def step() -> None:
        nonlocal state
        found = engine.differentiate(parameters, [next(case.batches)])
        change = optimizer.step(found.gradients, state)
        parameters[:] += change.change
        state = change.state

    return step


def gradient_flow(case: Case) -> Callable[[], object]:
    """The norms of a backward pass that has been done."""
    x, y = next(case.batches)
    loss = MSELoss()
    loss.forward(case.network.forward(x), y)
    return partial(GradientFlow.of, case.network.backward(loss.backward()))


def jacobians(case: Case) -> Callable[[], object]:
    """The Jacobians of two sequences, with their forward pass."""
    return partial(Jacobians.of, case.network, case.few)


def log_det(case: Case) -> Callable[[], object]:
    """ln |det J| of each, from the Jacobians."""
    return case.jacobians.log_det


def singular_values(case: Case) -> Callable[[], object]:
    """The singular values at four lags, from the Jacobians."""
    T = case.length
    return partial(case.jacobians.singular_values, (1, T // 10, T // 2, T))


def all_exponents(case: Case) -> Callable[[], object]:
    """All exponents, from the Jacobians."""
    return partial(LyapunovExponents.of, case.jacobians)


def eight_exponents(case: Case) -> Callable[[], object]:
    """Eight exponents, from the Jacobians."""
    return partial(LyapunovExponents.of, case.jacobians, 8)


def largest_exponent(case: Case) -> Callable[[], object]:
    """The largest exponent alone, with its forward pass."""
    return partial(LyapunovExponents.largest, case.network, case.few)


def saturation(case: Case) -> Callable[[], object]:
    """Slopes and openness on a batch, with its forward pass."""
    return partial(Saturation.of, case.network, next(case.batches)[0])


def spectra(case: Case) -> Callable[[], object]:
    """Eigenvalues and singular values of each block of R."""
    return partial(recurrent_spectra, case.network)


def twins(case: Case) -> Callable[[], object]:
    """Drawing the twins."""
    return case.twins


def of_label_gradient(case: Case) -> Callable[[], object]:
    """The label gradient in 16 parts, from twins and with an engine that are there already."""
    return partial(label_gradient, case.network, case.twins(), engine=label_engine(case.network))


def theta(case: Case) -> Callable[[], object]:
    """The label gradient with the drawing of its twins."""
    engine = label_engine(case.network)
    return lambda: label_gradient(case.network, case.twins(), engine=engine)


def theta_at_ten_lengths(case: Case) -> Callable[[], object]:
    """The same at ten lengths up to T, from one engine."""
    engine, lengths = label_engine(case.network), np.geomspace(5, case.length, LENGTHS).round().astype(int)
    return lambda: [label_gradient(case.network, case.twins(int(length)), engine=engine) for length in lengths]


def signal(case: Case) -> Callable[[], object]:
    """The label signal at all lengths up to T, with the drawing of its twins."""
    return lambda: label_signal(case.network, case.twins())


CASES = Case("rnn", 50), Case("lstm", 50), Case("rnn", 100), Case("lstm", 100), Case("rnn", 200)
DIAGNOSTICS: dict[str, Callable[[Case], Callable[[], object]]] = {
    "gradient flow of a backward pass, batch of 64": gradient_flow,
    "Jacobians, 2 sequences": jacobians,
    "ln abs det J, from the Jacobians": log_det,
    "singular values at 4 lags, from the Jacobians": singular_values,
    "all exponents, from the Jacobians": all_exponents,
    "8 exponents, from the Jacobians": eight_exponents,
    "largest exponent alone, 2 sequences": largest_exponent,
    "saturation, batch of 64": saturation,
    "spectra of R": spectra,
    f"drawing twins, {PAIRS} pairs": twins,
    f"label gradient of {PAIRS} pairs, 16 parts": of_label_gradient,
    "both together: Θ at one length": theta,
    f"Θ at {LENGTHS} lengths from 5 to T": theta_at_ten_lengths,
    f"label signal at all lengths up to T, {PAIRS} pairs with their drawing": signal,
}
"""What is measured, by the row of the table. The name of the function is the key in the JSON file."""
LIMITS = {theta: 10.0, signal: 100.0}
"""The most that a diagnostic may cost in every case, in training steps."""


def seconds(call: Callable[[], object], repeats: int) -> float:
    """The processor time of one call, as the mean of several. All calls run in one thread."""
    began = time.process_time()
    for _ in range(repeats):
        call()
    return (time.process_time() - began) / repeats


def measure(case: Case, rounds: int) -> dict[str, object]:
    """Time the training step and all diagnostics in turns."""
    calls = {"training_step": training_step(case)} | {f.__name__: f(case) for f in DIAGNOSTICS.values()}
    repeats = {}
    for name, call in calls.items():
        call()  # the first call may compile, and touches its memory for the first time
        repeats[name] = max(1, round(LEAST_SECONDS / seconds(call, 3)))
    turns = [{name: seconds(call, repeats[name]) for name, call in calls.items()} for _ in range(rounds)]
    ratios = {name: [turn[name] / turn["training_step"] for turn in turns] for name in calls}
    return {
        "case": str(case),
        "step_ms": 1e3 * statistics.median(turn["training_step"] for turn in turns),
        "steps": {name: statistics.median(ratios[name]) for name in ratios if name != "training_step"},
        "spread": {name: [min(ratios[name]), max(ratios[name])] for name in ratios if name != "training_step"},
    }


def rules_of(found: list[dict[str, object]]) -> list[Rule]:
    """The largest cost of each limited diagnostic over the cases."""
    rows = {prepared: row for row, prepared in DIAGNOSTICS.items()}
    return [
        Rule(rows[prepared], max(one["steps"][prepared.__name__] for one in found), "≤", limit)
        for prepared, limit in LIMITS.items()
    ]


def table(found: list[dict[str, object]]) -> str:
    """The costs as a Markdown table, a column for each case."""
    milliseconds = (f"{one['step_ms']:.2f}" for one in found)
    lines = [
        f"| | {' | '.join(one['case'] for one in found)} |",
        f"|---|{'---:|' * len(found)}",
        f"| a training step, milliseconds | {' | '.join(milliseconds)} |",
    ]
    for row, prepared in DIAGNOSTICS.items():
        costs = (one["steps"][prepared.__name__] for one in found)
        lines.append(f"| {row} | {' | '.join(f'{cost:.2g}' if cost < 10 else f'{cost:.0f}' for cost in costs)} |")
    return "\n".join(lines)


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=25)
    rounds = parser.parse_args().rounds
    with one_blas_thread():
        found = [measure(case, rounds) for case in CASES]
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    about = f"{machine}, numpy {np.__version__}; processor time, medians of {rounds} rounds; {HIDDEN} units."
    rules = rules_of(found)
    lines = "\n".join(table_of(rules))
    text = f"# What the diagnostics cost, in training steps\n\n{about}\n\n{table(found)}\n\n{lines}\n"
    print(text)
    result = {"about": about, "batch": BATCH, "table": table(found), "rules": numbers_of(rules), "cases": found}
    (RESULTS / "diagnostics.json").write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    (RESULTS / "diagnostics.md").write_text(text, "utf-8")
    if not all(rule.kept for rule in rules):
        sys.exit(1)


if __name__ == "__main__":
    main()
