"""Measure the errors of right gradients, from which the tolerances of `gradient_check` are set.

    python benchmarks/calibrate_gradcheck.py

The script measures five cells at five lengths with five seeds, and then one cell at rising gain, for saturation
and chaos. It prints the tables and writes them to benchmarks/results/.
"""

import json
import time
from collections import defaultdict
from pathlib import Path

import numpy as np

from memspan import CELLS, Network, lstm
from memspan.gradcheck import GradientReport, gradient_check
from memspan.gradcheck.objective import central_difference
from memspan.gradcheck.oracle import Oracle
from memspan.gradcheck.tolerance import FLOOR, PER_STEP, ROUNDINGS, tolerance

RESULTS = Path(__file__).parent / "results"
LENGTHS, SEEDS, HIDDEN, BATCH = (1, 2, 10, 100, 1000), range(5), 4, 2
SUBJECTS = {
    "rnn, uniform": (CELLS["rnn"], "uniform"),
    "rnn-relu, identity": (CELLS["rnn-relu"], "identity"),
    "rnn-linear, orthogonal": (CELLS["rnn-linear"], "orthogonal"),
    "lstm, forget bias 1, uniform": (lstm(1.0), "uniform"),
    "lstm, forget bias 0, glorot": (lstm(0.0), "glorot"),
}
KINDS = (
    "sum over time",
    "each step on its own scale",
    "float32, sum over time",
    "float32, each step",
    "central difference, sum",
)
GAINS = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)


def errors_of(report: GradientReport, scope: str) -> list[float]:
    """The errors of one scope; for steps, one error for each weight and step."""
    if scope == "steps":
        return [float(error) for errors in report.step_errors.values() for error in errors]
    return [row.error for row in report.comparisons if row.scope == scope and not row.moved]


def central_errors(model: Network, x: np.ndarray, rng: np.random.Generator) -> list[float]:
    """Compare the central difference with the complex step at two elements of each weight."""
    y_hat = model.forward(x)
    oracle = Oracle.of(model, y_hat, np.ones_like(y_hat))
    found = []
    for name, shape in model.layout.shapes.items():
        size = int(np.prod(shape))
        truth = oracle.weight(name, np.arange(size))
        for flat in rng.choice(size, min(2, size), replace=False):
            index = tuple(int(i) for i in np.unravel_index(flat, shape))
            central = central_difference(model, x, oracle.d_y_hat, name, index)
            scale = np.abs(truth).max()
            found.append(abs(central - truth[flat]) / scale if scale else abs(central))
    return found


def measure() -> dict[tuple[str, int], list[float]]:
    """Measure all errors, by kind and length."""
    errors = defaultdict(list)
    for cell, start in SUBJECTS.values():
        for T in LENGTHS:
            for seed in SEEDS:
                rng = np.random.default_rng([seed, T])
                model = Network(cell, 1, HIDDEN, 1, init=start, rng=rng)
                x = rng.uniform(-1, 1, (T, BATCH, 1))
                report = gradient_check(model, x, elements=50)
                errors["sum over time", T] += errors_of(report, "sum")
                errors["each step on its own scale", T] += errors_of(report, "steps")
                single = gradient_check(model.astype(np.float32), x, elements=50)
                errors["float32, sum over time", T] += errors_of(single, "sum")
                errors["float32, each step", T] += errors_of(single, "steps")
                errors["central difference, sum", T] += central_errors(model, x, rng)
    return dict(sorted(errors.items(), key=lambda item: (KINDS.index(item[0][0]), item[0][1])))


def rising_gain() -> list[dict[str, float]]:
    """Measure the tanh cell, init glorot, T = 100: chaotic from a gain of about 2, saturated from about 8."""
    rows = []
    for gain in GAINS:
        reports = []
        for seed in SEEDS:
            rng = np.random.default_rng([seed, 100])
            model = Network("rnn", 1, HIDDEN, 1, init="glorot", gain=gain, rng=rng)
            reports.append(gradient_check(model, rng.uniform(-1, 1, (100, BATCH, 1))))
        given = [row for report in reports for row in report.comparisons if not row.moved]
        compared = [row for row in given if row.scope in ("sum", "steps") and row.checked]
        steps = [error for report in reports for error in errors_of(report, "steps")]
        rows.append(
            {
                "gain": gain,
                "median": float(np.median(steps)),
                "largest": max(steps),
                "largest_tolerance": max(row.tolerance for row in compared),
                "largest_share": max(row.error / row.tolerance for row in compared),
                "blind": sum(len(row.blind) for row in given),
                "steps": len(steps),
                "alarms": sum(bool(report.failures) for report in reports),
            }
        )
    return rows


def tables(errors: dict[tuple[str, int], list[float]], gains: list[dict[str, float]]) -> str:
    lines = [
        "| compared | T | values | median | 99.9 % | largest | tolerance |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for (kind, T), values in errors.items():
        median, most = np.quantile(values, [0.5, 0.999])
        dtype = np.dtype(np.float32 if "float32" in kind else np.float64)
        allowed = "none" if "central" in kind else f"{tolerance(T, dtype):.1e}"
        lines.append(
            f"| {kind} | {T} | {len(values)} | {median:.1e} | {most:.1e} | {max(values):.1e} | {allowed} |"
        )
    lines += [
        "",
        f"The tolerance of T steps is max({FLOOR:g}, {PER_STEP:g}·T) machine epsilons, plus "
        f"{ROUNDINGS:g} times the change of the gradient when the cell's derivatives are rounded once more. The "
        "second part matters where a network is chaotic or saturated (tanh, init glorot, T = 100, float64):",
        "",
        "| gain | median error | largest error | widest tolerance | error / tolerance | not compared "
        "| false alarms |",
        "|---:|---:|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {row['gain']:g} | {row['median']:.1e} | {row['largest']:.1e} | {row['largest_tolerance']:.1e} "
        f"| {row['largest_share']:.2f} | {row['blind']} of {row['steps']} | {row['alarms']} of {len(SEEDS)} |"
        for row in gains
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    began = time.perf_counter()
    errors, gains = measure(), rising_gain()
    text = tables(errors, gains)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "gradcheck_calibration.md").write_text(text, encoding="utf-8")
    summary = [
        {
            "compared": kind,
            "T": T,
            "values": len(values),
            "median": float(np.median(values)),
            "p99.9": float(np.quantile(values, 0.999)),
            "largest": max(values),
        }
        for (kind, T), values in errors.items()
    ]
    constants = {"FLOOR": FLOOR, "PER_STEP": PER_STEP, "ROUNDINGS": ROUNDINGS}
    record = {"constants": constants, "errors": summary, "gains": gains, "numpy": np.__version__}
    (RESULTS / "gradcheck_calibration.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(text)
    print(f"{time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
