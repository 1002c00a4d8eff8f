"""What the search for the span costs, against grids of lengths, on simulated curves.

    python benchmarks/span_search.py [SEARCHES]

Each search has its own scale: T50 is about 24 times a random factor from 0.5 to 8. A solved training stops after
a tenth of the updates in the mean (Beta(1, 9), as in memspan's first study), an unsolved one takes all of them.
Costs are in time steps trained, or, as "plain", as if every training took all updates.

The grids have 12 lengths, from a sixth of T50 to 4.4 times T50, with 4 or 16 repetitions. So they are told where
the span is, and the search is not. A *ratio* is what the search had cost (the median) when its interval was as
narrow as that of the grid (the median), over the cost of the grid; narrow in log(high/low). Curves are those of
`span_curves.py`, and a dip. A search ends at a width of 10 % (or, where a table says so, 20 %) or after 160
trainings. A number is missing where it is infinite: where the median interval has an open end, for example.

Rules, written before the final run:

1. the median ratio over the curves to 12 x 4 is at most 0.5;
2. the median ratio over the curves to 12 x 16 is at most 0.2;
3. no ratio to 12 x 16 is above 0.35;
4. at the end of a search its interval covers T50 in at least 94 % of all searches;
5. and in at least 90 % of those on each curve;
6. the bias, which is the median of log(span/T50) at the end, is under 2 % on every curve. Twice its standard error
   is allowed for, which is estimated from the quartiles.

The script prints the tables and writes them to benchmarks/results/.
"""

import json
import sys
import time
import zlib
from multiprocessing import Pool
from pathlib import Path
from typing import NamedTuple

import numpy as np

import span_curves
from memspan.span import Answer, SpanSearch, estimate_span, quantiles, search
from span_curves import FURTHER, KNOWN, RANDOM, fall, span_of

RESULTS = Path(__file__).parent / "results"
UPDATES, SOLVED_AFTER = 1000, (1, 9)  # of an unsolved training; Beta distribution of the fraction of a solved one
SCALES = 0.5, 8.0
LENGTHS = np.array(span_curves.DESIGNS["12 x 4"][0], float)  # for a T50 of 24
GRIDS = 4, 16
WIDTHS = 0.1, 0.2
SEARCHES = 80  # on each curve
USUAL = {name: getattr(search, name) for name in ("FACTOR", "RUNGS")}


def dip(lengths):
    """Falls, recovers, and falls: not monotone."""
    return fall(slope=8.0, middle=32.0)(lengths) * (1 - 0.65 * np.exp(-((np.log(lengths / 12) / 0.15) ** 2)))


CURVES = KNOWN | {"dip": dip} | FURTHER | RANDOM
VARIED = [*KNOWN, "dip"]


class Leaning(SpanSearch):
    """Leans to cheaper lengths: weighs the posterior by 1/sqrt(expected updates), from the steps told so far.

    Expects every length below the span to be solved, and none beyond it. (The square root is the best allocation
    to strata of different costs: Cochran, Sampling Techniques, 1977, section 5.5.)
    """

    def __init__(self, **settings):
        self.steps_of, self.lengths_of = {True: 0, False: 0}, {True: 0, False: 0}
        super().__init__(**settings)

    def tell(self, answers):
        """Add up what solved and unsolved trainings took."""
        answers = list(answers)
        for answer in answers:
            self.steps_of[answer.solved] += answer.steps
            self.lengths_of[answer.solved] += answer.length
        super().tell(answers)

    def _spread(self, likelihood):
        solves = np.cumsum(likelihood.posterior[::-1])[::-1]
        solved, unsolved = (self.steps_of[which] / max(self.lengths_of[which], 1) for which in (True, False))
        updates = solved * solves + unsolved * (1 - solves) if solved and unsolved else 1.0
        levels = (np.arange(self.groups) + 0.5) / self.groups
        return np.exp(quantiles(likelihood.tau, likelihood.posterior / np.sqrt(updates), levels))


VARIANTS = {  # the class, constants of memspan.span.search, settings
    "as it is": (SpanSearch, {}, {}),
    "the ladder's factor is 2": (SpanSearch, {"FACTOR": 2.0}, {}),
    "one length of the ladder a round": (SpanSearch, {"RUNGS": 1}, {}),
    "leans to cheaper lengths": (Leaning, {}, {}),
    "2 groups a round": (SpanSearch, {}, {"groups": 2}),
    "8 groups a round": (SpanSearch, {}, {"groups": 8}),
    "16 groups a round": (SpanSearch, {}, {"groups": 16}),
}


def drawn(name, rng):
    """Return a curve and its T50. Some names stand for random curves."""
    curve = CURVES[name].draw(rng) if hasattr(CURVES[name], "draw") else CURVES[name]
    return curve, span_of(curve)


class Row(NamedTuple):
    """A search after a round, or a grid. Costs are in updates times T50, lengths in logarithms over T50."""

    trainings: int
    steps: float
    plain: float
    low: float
    span: float
    high: float
    width: float

    @classmethod
    def of(cls, found, span, steps, plain):
        """Return the row of an estimate. An open end is infinite, and a span outside the tried lengths is nan."""
        low, high = found.low or 0.0, found.high or np.inf
        with np.errstate(divide="ignore"):
            low, middle, high = np.log(np.array([low, found.span or np.nan, high]) / span)
        return cls(found.trainings, steps / span, plain / span, low, middle, high, found.relative_width)

    @property
    def covers(self):
        """Whether T50 lies within the interval."""
        return self.low <= 0 <= self.high


def search_of(variant, name, seed):
    """Return the rows of a search, one for each round."""
    rng = np.random.default_rng([zlib.crc32(name.encode()), seed])
    curve, span = drawn(name, rng)
    scale = np.exp(rng.uniform(*np.log(SCALES)))
    kind, constants, settings = VARIANTS[variant]
    for constant, value in (USUAL | constants).items():
        setattr(search, constant, value)
    path, rows, plain = kind(width=1e-9, **settings), [], 0
    while groups := path.ask():
        answers = []
        for length, first, count in groups:
            solved = rng.random(count) < curve(np.array(length / scale))
            updates = np.where(solved, np.ceil(UPDATES * rng.beta(*SOLVED_AFTER, count)), UPDATES).astype(int)
            answers += map(Answer, [length] * count, range(first, first + count), solved, updates * length)
            plain += length * count
        path.tell(answers)
        rows.append(Row.of(path.estimate, scale * span, path.steps / UPDATES, plain))
    return rows


def grid_of(repetitions, name, seed):
    """Return the row of a grid. T50 is anywhere between two neighbours; the steps are the expected ones."""
    rng = np.random.default_rng([zlib.crc32(name.encode()), seed, repetitions])
    curve, span = drawn(name, rng)
    lengths = LENGTHS * span / 24 * np.exp(rng.uniform(-0.15, 0.15))
    p = curve(lengths)
    found = estimate_span(lengths, rng.binomial(repetitions, p), repetitions)
    updates = 1 - p + p * SOLVED_AFTER[0] / sum(SOLVED_AFTER)
    return Row.of(found, span, repetitions * np.sum(lengths * updates), repetitions * np.sum(lengths))


def end_of(rows, width):
    """Return how many rounds it takes until the interval is narrow enough, or all, and the row after them."""
    rounds = next((i for i, row in enumerate(rows, 1) if row.width <= width), len(rows))
    return rounds, rows[rounds - 1]


def ratio(searches, grids, cost):
    """Return the cost of a search whose interval is as narrow as the grid's, over that of the grid: of medians."""
    width = np.median([row.high - row.low for row in grids])
    if not np.isfinite(width):
        return np.nan
    costs = [next((getattr(r, cost) for r in rows if r.high - r.low <= width), np.inf) for rows in searches]
    return np.median(costs) / np.mean([getattr(row, cost) for row in grids])


def ended(searches, width):
    """Return what the searches have come to at their ends, as a dict of numbers."""
    ends = [end_of(rows, width) for rows in searches]
    errors = np.array([row.span for _, row in ends])
    low, bias, high = np.nanquantile(errors, [0.25, 0.5, 0.75])
    return {
        "trainings": np.median([row.trainings for _, row in ends]),
        "rounds": np.median([rounds for rounds, _ in ends]),
        "steps": np.median([row.steps for _, row in ends]),
        "width": np.median([row.width for _, row in ends]),
        "covers": np.mean([row.covers for _, row in ends]),
        "bias": bias,
        "standard error": 1.2533 * (high - low) / 1.349 / np.sqrt(len(ends)),  # of the median of normal numbers
    }


def measured(searches, grids):
    """Return the numbers of one curve."""
    found = {f"at {width:g}": ended(searches, width) for width in WIDTHS}
    for repetitions, rows in grids.items():
        found[f"width of 12 x {repetitions}"] = np.median([row.high - row.low for row in rows])
        for cost in ("steps", "plain"):
            found[f"{cost} ratio to 12 x {repetitions}"] = ratio(searches, rows, cost)
    return found


def rules(curves):
    """Return for each rule: its text, the number, the bound, and whether it holds."""
    small, large = ([found[f"steps ratio to 12 x {n}"] for found in curves.values()] for n in GRIDS)
    covers = [found["at 0.1"]["covers"] for found in curves.values()]
    excess = {abs(e["bias"]) - 2 * e["standard error"] for e in (found["at 0.1"] for found in curves.values())}
    rows = [
        ("median ratio to 12 x 4", np.nanmedian(small), 0.5),
        ("median ratio to 12 x 16", np.nanmedian(large), 0.2),
        ("largest ratio to 12 x 16", np.nanmax(large), 0.35),
        ("coverage of all searches", np.mean(covers), 0.94),
        ("least coverage of a curve", np.min(covers), 0.90),
        ("largest bias less 2 standard errors", max(excess), 0.02),
    ]
    return [(t, n, bound, bool(n >= bound if "coverage" in t else n <= bound)) for t, n, bound in rows]


def rows_of_curves(curves):
    lines = [
        "| curve | 12 x 4: width | ratio | plain | 12 x 16: width | ratio | plain | trainings | rounds | steps "
        "| +- | covers | bias | covers at 20 % |",
        "|---|" + "---:|" * 13,
    ]
    for name, found in curves.items():
        cells = [name]
        for n in GRIDS:
            cells.append(f"{found[f'width of 12 x {n}']:.2f}")
            cells += [f"{found[f'{cost} ratio to 12 x {n}']:.2f}" for cost in ("steps", "plain")]
        end, rough = found["at 0.1"], found["at 0.2"]
        cells += [f"{end[key]:.0f}" for key in ("trainings", "rounds", "steps")]
        cells += [f"{100 * end['width']:.0f} %", f"{end['covers']:.2f}"]
        cells += [f"{100 * end['bias']:+.1f} +- {100 * end['standard error']:.1f} %", f"{rough['covers']:.2f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def rows_of_variants(variants):
    ends = "trainings | rounds | steps | covers | least | largest bias"
    lines = [
        f"| variant | ratio to 12 x 4 | to 12 x 16 | largest | at 20 %: {ends} | at 10 %: {ends} |",
        "|---|" + "---:|" * 15,
    ]
    for name, curves in variants.items():
        small, large = ([found[f"steps ratio to 12 x {n}"] for found in curves.values()] for n in GRIDS)
        cells = [name, f"{np.nanmedian(small):.2f}", f"{np.nanmedian(large):.2f}", f"{np.nanmax(large):.2f}"]
        for width in reversed(WIDTHS):
            ends = [found[f"at {width:g}"] for found in curves.values()]
            cells += [f"{np.mean([end[key] for end in ends]):.0f}" for key in ("trainings", "rounds", "steps")]
            covers = [end["covers"] for end in ends]
            cells += [f"{np.mean(covers):.3f}", f"{np.min(covers):.2f}"]
            cells.append(f"{100 * max(abs(end['bias']) for end in ends):.1f} %")
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def simulated(pool, function, first, names, count):
    """Return what a function gives for each name and seed, by name."""
    jobs = [(first, name, seed) for name in names for seed in range(count)]
    found = pool.starmap(function, jobs, chunksize=4)
    return {name: found[i * count : (i + 1) * count] for i, name in enumerate(names)}


def main():
    began, searches = time.perf_counter(), int(sys.argv[1]) if len(sys.argv) > 1 else SEARCHES
    with Pool(2) as pool:
        grids = {n: simulated(pool, grid_of, n, CURVES, searches) for n in GRIDS}
        found = {}
        for variant in VARIANTS:
            names, count = (CURVES, searches) if variant == "as it is" else (VARIED, searches // 2)
            paths = simulated(pool, search_of, variant, names, count)
            found[variant] = {n: measured(paths[n], {g: grids[g][n] for g in GRIDS}) for n in names}
    curves = found["as it is"]
    variants = {name: {n: each[n] for n in VARIED} for name, each in found.items()}
    checked = rules(curves)
    text = "\n".join(
        [
            f"{searches} searches on each of {len(curves)} curves; the docstring of span_search.py says what the "
            "columns mean, and has the rules. Steps are in updates times T50.",
            "",
            "| rule | found | at most (coverage: at least) | |",
            "|---|---:|---:|---|",
            *(f"| {t} | {n:.3f} | {bound:g} | {'holds' if ok else '**fails**'} |" for t, n, bound, ok in checked),
            "",
            *rows_of_curves(curves),
            "",
            f"Variants, {searches // 2} searches on each of the {len(VARIED)} curves that the method was made on "
            f"(as it is: {searches}). Numbers are means over the curves, ratios medians:",
            "",
            *rows_of_variants(variants),
            "",
        ]
    )
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "span_search.md").write_text(text, encoding="utf-8")
    record = {"searches": searches, "rules": checked, "found": found, "numpy": np.__version__}
    (RESULTS / "span_search.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(text)
    print(f"{time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
