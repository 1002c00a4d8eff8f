"""Coverage, width and bias of the estimate of a span, by simulation.

    python benchmarks/span_coverage.py [simulations per cell, usually 400]

A cell is a curve of span_curves.py and a design: the lengths and how many trainings each gets. The rules below are
what the estimate has to reach; the script ends with 1 if one fails. It prints the tables and writes them to
benchmarks/results/. Five minutes on two cores.
"""

import itertools
import json
import sys
import textwrap
import time
import zlib
from dataclasses import asdict, dataclass
from multiprocessing import Pool
from pathlib import Path

import numpy as np

from memspan.span import estimate_span, likelihood
from rules import Rule, numbers_of, table_of
from span_curves import (
    CURVES,
    DESIGNS,
    KNOWN,
    KNOWN_DESIGNS,
    KNOWN_FALLS,
    LARGE_DESIGNS,
    RANDOM,
    STEPPED,
    has_gap,
    span_of,
)

RESULTS = Path(__file__).parent / "results"
OUT_OF_REACH = ("two close steps, 0.45 between", "8 x 8")
"""A cell without a rule for its coverage. It is reported."""


@dataclass(frozen=True)
class Cell:
    """What the simulations of one curve and one design gave.

    `bias` is the median of log(estimate / span), where an estimate beyond the tried lengths counts as infinitely
    far on its side. `width` is the median of log(high / low), of the part within the tried lengths.
    """

    share: float
    curve: str
    design: str
    gap: bool
    coverage: float
    width: float
    bias: float
    open: float
    misfits: float


def draws(name: str, design: str, share: float, simulations: int) -> tuple[np.ndarray, np.ndarray]:
    """The solved trainings `[simulation, length]`, and the span of each simulation."""
    rng = np.random.default_rng(zlib.crc32(f"{name}/{design}".encode()))
    lengths, trials = np.array(DESIGNS[design][0], float), DESIGNS[design][1]
    given = CURVES[name]
    curves = [given] * simulations if callable(given) else [given.draw(rng) for _ in range(simulations)]
    spans = {id(curve): span_of(curve, share) for curve in curves}
    solved = rng.binomial(trials, [curve(lengths) for curve in curves])
    return solved, np.array([spans[id(curve)] for curve in curves], float)


def cell_of(job: tuple[str, str, float, int]) -> Cell:
    name, design, share, _ = job
    lengths, trials = DESIGNS[design]
    solved, spans = draws(*job)
    known = {}
    for counts in map(tuple, solved):
        if counts not in known:
            known[counts] = estimate_span(lengths, counts, trials, share)
    found = [known[tuple(counts)] for counts in solved]
    low = np.array([0 if e.low is None else e.low for e in found])
    high = np.array([np.inf if e.high is None else e.high for e in found])
    # The span of an estimate that has none lies on the side to which its interval is open.
    span = [e.span or (np.inf if e.low is not None else 0 if e.high is not None else np.nan) for e in found]
    with np.errstate(divide="ignore"):
        error = np.log(span) - np.log(spans)
    inside = np.clip([low, high], lengths[0], lengths[-1])
    return Cell(
        share,
        name,
        design,
        any(has_gap(lengths, one) for one in spans[:100]),
        coverage=float(np.mean((low <= spans) & (spans <= high))),
        width=float(np.median(np.log(inside[1] / inside[0]))),
        bias=float(np.nanmedian(error)),
        open=float(np.mean((low == 0) | np.isinf(high))),
        misfits=float(np.mean([not e.fits for e in found])),
    )


def milliseconds() -> float:
    """The median time of a call with 7 lengths; other counts in each call."""
    lengths, trials = DESIGNS["7 x 10"]
    solved, _ = draws("medium", "7 x 10", 0.5, 200)
    times = []
    for counts in solved:
        start = time.perf_counter()
        estimate_span(lengths, counts, trials)
        times.append(time.perf_counter() - start)
    return 1e3 * float(np.median(times))


def group_of(cell: Cell) -> str:
    """What was known when the method was made, and what kind of curve it is."""
    kind = "steps and plateaus" if cell.curve in STEPPED else "one fall"
    if cell.design in LARGE_DESIGNS:
        return f"{kind}, many trainings"
    known = cell.curve in KNOWN and cell.design in KNOWN_DESIGNS
    return f"{kind}, {'known' if known else 'random' if cell.curve in RANDOM else 'further'}"


def groups_of(cells: list[Cell]) -> dict[str, list[Cell]]:
    groups: dict[str, list[Cell]] = {}
    for cell in cells:
        groups.setdefault(group_of(cell), []).append(cell)
    return dict(sorted(groups.items()))


def rules(cells: list[Cell], call: float) -> list[Rule]:
    found = []
    for name, members in groups_of(cells).items():
        stepped, many = name.startswith("steps"), name.endswith("many trainings")
        coverage = [cell.coverage for cell in members]
        others = [cell.coverage for cell in members if (cell.curve, cell.design) != OUT_OF_REACH]
        found.append(Rule(f"{name}: mean coverage", float(np.mean(coverage)), "≥", 0.93 if stepped else 0.95))
        if not many:
            which = "a cell" if len(others) == len(members) else "a cell but the one out of reach"
            found.append(Rule(f"{name}: least coverage of {which}", min(others), "≥", 0.84 if stepped else 0.92))
        if not stepped and not many:
            width = float(np.mean([cell.width for cell in members]))
            found.append(Rule(f"{name}: mean of log(high/low)", width, "≤", 0.8))
            bias = float(np.mean([abs(cell.bias) for cell in members if not cell.gap]))
            found.append(Rule(f"{name}: mean absolute bias of log span, designs without gaps", bias, "≤", 0.03))
    return [*found, Rule("milliseconds of a call with 7 lengths", call, "≤", 5.0)]


def summary(cells: list[Cell]) -> list[str]:
    lines = [
        "| curves | cells | coverage | least | | width | open | misfits |",
        "|---|---:|---:|---:|---|---:|---:|---:|",
    ]
    for name, members in groups_of(cells).items():
        coverage, width, opened, misfits = (
            np.mean([getattr(cell, key) for cell in members]) for key in ("coverage", "width", "open", "misfits")
        )
        least = min(members, key=lambda cell: cell.coverage)
        lines.append(
            f"| {name} | {len(members)} | {coverage:.3f} | {least.coverage:.3f} | {least.curve}; {least.design}"
            f" | {width:.2f} | {opened:.2f} | {misfits:.3f} |"
        )
    return lines


def by_curve(cells: list[Cell]) -> list[str]:
    """A row for each curve, a column for each design: coverage, and in brackets the bias in per cent."""
    lines = ["| | " + " | ".join(DESIGNS) + " |", "|---|" + "---:|" * len(DESIGNS)]
    at = {(cell.curve, cell.design): cell for cell in cells}
    for curve in dict.fromkeys(cell.curve for cell in cells):
        row = [at[curve, design] for design in DESIGNS]
        lines.append(
            f"| {curve} | " + " | ".join(f"{cell.coverage:.2f} ({_percent(cell.bias)})" for cell in row) + " |"
        )
    return lines


def _percent(bias: float) -> str:
    return f"{100 * bias:+.0f}" if np.isfinite(bias) else "open"


def assume_steps() -> None:
    """Let the prior have no smooth curves."""
    likelihood.STEPPED = 1.0


def limit(usual: list[Cell], steps: list[Cell]) -> str:
    """Say what is out of reach, and what it would cost."""
    out, by_steps = (next(c for c in cells if (c.curve, c.design) == OUT_OF_REACH) for cells in (usual, steps))
    width, wider = (np.mean([c.width for c in groups_of(cells)["one fall, known"]]) for cells in (usual, steps))
    p, span = CURVES[out.curve](np.array([19.0, 28.0, 41.0])), span_of(CURVES[out.curve])
    return (
        f"**Out of reach:** {out.curve}, {out.design}: {out.coverage:.3f}. At the lengths 19, 28 and 41, p is "
        f"{p[0]:.2f}, {p[1]:.2f} and {p[2]:.2f}, as on a smooth curve whose T50 is 27. But the curve falls at "
        f"once, just beyond 19, and its T50 is {span:.1f}. Nothing in the counts shows that. An interval that "
        "covers such steps is the whole gap wherever the share is crossed. With a prior of steps alone, the "
        f"coverage of this cell is {by_steps.coverage:.3f}, and the mean width of known curves of one fall is "
        f"{wider:.2f} instead of {width:.2f}."
    )


def report(cells: dict[float, list[Cell]], steps: list[Cell], checked: list[Rule], simulations: int) -> str:
    lines = [
        "# Coverage of the span's interval",
        "",
        f"{simulations} simulations in each cell: a curve and a design. The interval is that of 95 %.",
        "*Known* are the curves and designs on which the method was made. *Further* ones were written down before",
        "anything was measured on them; then the method was bettered with an eye on them. *Random* curves were",
        "written down before that, and measured at the end. Width is the median of log(high/low); misfits are the",
        "share of estimates that say that no smooth curve fits. A design has a gap if the tried lengths next to",
        "the span differ by more than a factor of 1.5, as in 5 x 5, 4 x 50, and around most spans in 6 x 10.",
        "The designs with *many trainings* have no rule for a single cell.",
        "",
        *table_of(checked),
        "",
        *textwrap.wrap(limit(cells[0.5], steps), 115),
    ]
    for share, members in cells.items():
        lines += ["", f"## T{100 * share:g}", "", *summary(members)]
        lines += ["", "Coverage, and the bias of the span in per cent:", "", *by_curve(members)]
    return "\n".join(lines) + "\n"


def of_docs(cells: dict[float, list[Cell]]) -> dict[str, str]:
    """The numbers in docs/span.md: mean coverages."""
    found = {}
    for share, members in cells.items():
        for name, group in groups_of(members).items():
            kind, _, which = name.partition(", ")
            mean = np.mean([cell.coverage for cell in group])
            found[f"T{100 * share:g}.{kind.split()[-1]}.{which.split()[0]}"] = f"{mean:.2f}"
    return found


def main() -> None:
    simulations = int(sys.argv[1]) if len(sys.argv) > 1 else 400
    cells = {}
    with Pool(2) as pool:
        for share in (0.5, 0.9):
            names = [n for n, curve in CURVES.items() if not callable(curve) or (span_of(curve, share) or 0) > 2]
            jobs = [(*pair, share, simulations) for pair in itertools.product(names, DESIGNS)]
            cells[share] = pool.map(cell_of, jobs, chunksize=4)
    with Pool(2, initializer=assume_steps) as pool:
        jobs = [(*pair, 0.5, simulations) for pair in itertools.product(KNOWN_FALLS, KNOWN_DESIGNS)]
        steps = pool.map(cell_of, [*jobs, (*OUT_OF_REACH, 0.5, simulations)], chunksize=4)
    checked = rules(cells[0.5], milliseconds())
    text = report(cells, steps, checked, simulations)
    print(text)
    (RESULTS / "span_coverage.md").write_text(text)
    rows = {f"T{100 * share:g}": [asdict(cell) for cell in members] for share, members in cells.items()}
    found = {"simulations": simulations, "rules": numbers_of(checked), "docs": of_docs(cells)}
    (RESULTS / "span_coverage.json").write_text(json.dumps(found | rows, indent=1) + "\n")
    sys.exit(0 if all(rule.kept for rule in checked) else 1)


if __name__ == "__main__":
    main()
