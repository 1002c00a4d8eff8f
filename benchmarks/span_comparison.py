"""Comparisons of two spans by simulation: false positives, power, and the coverage of the ratio.

    python benchmarks/span_comparison.py [pairs per cell, usually 400]

Both networks of a pair have the same curve, stretched by the root of the ratio and squeezed by it; where the pair
lies among the tried lengths is random. In `OPEN_PAIRS`, one or both designs end before the span or begin beyond
it: there, posteriors reach far beyond the tried lengths. The rules below are what `compare_spans` has to reach;
the script ends with 1 if one fails. It prints the table and writes it to benchmarks/results/. Five minutes on two
cores.
"""

import itertools
import json
import sys
import zlib
from dataclasses import asdict, dataclass
from multiprocessing import Pool
from pathlib import Path

import numpy as np

from memspan.span.compare import compare_spans
from memspan.span.likelihood import Likelihood
from rules import Rule, numbers_of, table_of
from span_curves import DESIGNS, FURTHER_STEPS, KNOWN, Cliff

RESULTS = Path(__file__).parent / "results"
DESIGN_PAIRS = (("7 x 10", "7 x 10"), ("12 x 4", "12 x 4"), ("4 x 50", "4 x 50"), ("7 x 10", "12 x 4"))
OPEN_DESIGNS = {
    "2-5": ((2, 3, 5), 8),
    "4-14": ((4, 6, 9, 14), 4),
    "4-20": ((4, 6, 9, 14, 20), 4),
    "100-220": ((100, 150, 220), 8),
}
OPEN_PAIRS = (
    *(("2-5", "12 x 4"), ("4-14", "12 x 4"), ("4-20", "7 x 10"), ("100-220", "7 x 10")),
    *(("2-5", "4-14"), ("4-14", "100-220")),
)
CURVES = {name: curve for name, curve in (KNOWN | FURTHER_STEPS).items() if not isinstance(curve, Cliff)}
RATIOS = (1.25, 1.5, 2.0)
POWER_OF = ("medium", "steep", "medium, lapses 10 %", "two steps, 0.6 between")
SPREAD = 0.25  # the pair is shifted by up to this much in log T, either way


@dataclass(frozen=True)
class Cell:
    """Pairs of one curve, two designs and one ratio."""

    curve: str
    designs: str
    ratio: float
    told_apart: float
    coverage: float
    width: float


def cell_of(job: tuple[str, tuple[str, str], float, int]) -> Cell:
    name, designs, ratio, pairs = job
    rng = np.random.default_rng(zlib.crc32(f"{name}/{designs}/{ratio}".encode()))
    found = []
    for _ in range(pairs):
        shift = np.exp(rng.uniform(-SPREAD, SPREAD))
        spans = []
        for design, scale in zip(designs, (ratio**0.5, ratio**-0.5), strict=True):
            lengths, trials = (DESIGNS | OPEN_DESIGNS)[design]
            solved = rng.binomial(trials, CURVES[name](np.array(lengths) / (shift * scale)))
            spans.append(Likelihood.of(lengths, solved, trials))
        found.append(compare_spans(*spans))
    low = np.array([0 if one.low is None else one.low for one in found])
    high = np.array([np.inf if one.high is None else one.high for one in found])
    with np.errstate(divide="ignore"):
        width = np.median(np.log(high) - np.log(low))
    return Cell(
        name,
        named(designs),
        ratio,
        told_apart=float(np.mean([one.p < 0.05 for one in found])),
        coverage=float(np.mean((low <= ratio) & (ratio <= high))),
        width=float(width),
    )


def named(designs: tuple[str, str]) -> str:
    return " and ".join(dict.fromkeys(designs))


def table(cells: list[Cell], ratio: float, what: str) -> list[str]:
    """A row for each curve, a column for each design."""
    chosen = [cell for cell in cells if cell.ratio == ratio]
    designs = list(dict.fromkeys(cell.designs for cell in chosen))
    at = {(cell.curve, cell.designs): f"{getattr(cell, what):.3f}" for cell in chosen}
    curves = dict.fromkeys(cell.curve for cell in chosen)
    rows = (" | ".join([curve, *(at[curve, design] for design in designs)]) for curve in curves)
    return ["| | " + " | ".join(designs) + " |", "|---|" + "---:|" * len(designs), *(f"| {row} |" for row in rows)]


def main() -> None:
    pairs = int(sys.argv[1]) if len(sys.argv) > 1 else 400
    jobs = [(*one, 1.0, pairs) for one in itertools.product(CURVES, DESIGN_PAIRS + OPEN_PAIRS)]
    jobs += [(*one, pairs) for one in itertools.product(POWER_OF, DESIGN_PAIRS, RATIOS)]
    with Pool(2) as pool:
        cells = pool.map(cell_of, jobs, chunksize=2)
    is_open = set(map(named, OPEN_PAIRS))
    closed = [cell for cell in cells if cell.designs not in is_open]
    equal = [cell.told_apart for cell in closed if cell.ratio == 1]
    at_open_ends = [cell.told_apart for cell in cells if cell.designs in is_open]
    coverage = [cell.coverage for cell in closed]
    rules = [
        Rule("equal spans told apart at 5 %: mean", float(np.mean(equal)), "≤", 0.05),
        Rule("equal spans told apart at 5 %: most, of a cell", max(equal), "≤", 0.07),
        Rule("likewise, with open ends: most, of a cell", max(at_open_ends), "≤", 0.07),
        Rule("coverage of the ratio: mean", float(np.mean(coverage)), "≥", 0.95),
    ]
    lines = [
        "# Comparisons of two spans",
        "",
        f"{pairs} pairs in each cell: a curve, two designs and a ratio of the spans. The level of the",
        "interval is 95 %; pairs are told apart at 5 %.",
        "",
        *table_of(rules),
    ]
    lines += ["", "## Equal spans told apart", "", *table(cells, 1.0, "told_apart")]
    for ratio in RATIOS:
        lines += ["", f"## Power at a ratio of {ratio:g}", "", *table(cells, ratio, "told_apart")]
    for ratio in (1.0, 2.0):
        lines += ["", f"## Coverage of a ratio of {ratio:g}", "", *table(cells, ratio, "coverage")]
    text = "\n".join(lines) + "\n"
    print(text)
    (RESULTS / "span_comparison.md").write_text(text)
    found = {"pairs": pairs, "rules": numbers_of(rules), "cells": [asdict(cell) for cell in cells]}
    (RESULTS / "span_comparison.json").write_text(json.dumps(found, indent=1) + "\n")
    sys.exit(0 if all(rule.kept for rule in rules) else 1)


if __name__ == "__main__":
    main()
