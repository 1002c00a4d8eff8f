"""What the search for the span costs, against grids of lengths, on simulated curves.

    python benchmarks/span_search.py [SEARCHES]

Each search has its own scale: T50 is about 24 times a random factor from 0.5 to 8. A solved training stops after
a tenth of the updates in the mean (Beta(1, 9), as in memspan's first study), an unsolved one takes all of them.
Costs are in time steps trained, or, as "plain", as if every training took all updates.

The grids have 12 lengths, from a sixth of T50 to 4.4 times T50, with 4 or 16 repetitions. So they are told where
the span is, and the search is not. A *ratio* is what the search had cost (the median) when its interval was as
narrow as that of the grid (the median), over the cost of the grid; narrow in log(high/low). It may take up to 320
trainings for that. Everything else is said of a search that ends at a width of 10 % (or, where a table says so,
20 %) or after 160 trainings. Curves are those of `span_curves.py`, and a dip. A number is missing where it is
infinite: where the median interval has an open end, for example.

The search was chosen among some 40 variants on these curves, with searches of other seeds. Rules, written before
the final run:

1. the median ratio over the curves to 12 x 4 is at most 0.5;
2. the median ratio over the curves to 12 x 16 is at most 0.2;
3. no ratio to 12 x 16 is above 0.35;
4. at the end of a search its interval covers T50 in at least 94 % of all searches;
5. and in at least 90 % of those on each curve;
6. the bias, which is the median of log(span/T50) at the end, is under 2 % on every curve. Twice its standard error
   is allowed for, which is estimated from the quartiles.

Two of them fail. A curve that falls over a range of lengths as wide as the grid (shallow) says as little at one
length as at another, so that it hardly matters where a search trains; what it saves are unsolved trainings. And
where a curve has a plateau near one half, the span is one end of the plateau or the other. To tell a share of 0.55
from one half takes 400 trainings at one length (two standard errors), and a search has 160.

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
from memspan.span import Answer, SpanSearch, estimate_span, search
from span_curves import FURTHER, KNOWN, RANDOM, fall, span_of

RESULTS = Path(__file__).parent / "results"
UPDATES, SOLVED_AFTER = 1000, (1, 9)  # of an unsolved training; Beta distribution of the fraction of a solved one
SCALES = 0.5, 8.0
LENGTHS = np.array(span_curves.DESIGNS["12 x 4"][0], float)  # for a T50 of 24
GRIDS = 4, 16
WIDTHS = 0.1, 0.2
SEARCHES = 120  # on each curve; on each of a variant, a third
FIRST_SEED = 1000  # smaller ones chose the search
BUDGET, PATH = 160, 320  # trainings of a search, and of its continuation
USUAL = {name: getattr(search, name) for name in ("FACTOR", "RUNGS")}


def dip(lengths):
    """Falls, recovers, and falls: not monotone."""
    return fall(slope=8.0, middle=32.0)(lengths) * (1 - 0.65 * np.exp(-((np.log(lengths / 12) / 0.15) ** 2)))


CURVES = KNOWN | {"dip": dip} | FURTHER | RANDOM
VARIED = [*KNOWN, "dip"]


class Plain(SpanSearch):
    """Does not look at the steps: asks for quantiles of the posterior itself."""

    def _weights(self, likelihood):
        return likelihood.posterior


class Unlearned(SpanSearch):
    """Takes an unsolved training to cost as much as a solved one."""

    def _updates(self, likelihood):
        return np.ones_like(likelihood.tau)


class Unladdered(SpanSearch):
    """Leaves the ladder after its first round, whatever is solved."""

    def _wanted(self, likelihood):
        if likelihood is None:
            return super()._wanted(likelihood)
        return self._spread(likelihood)


VARIANTS = {  # the class, constants of memspan.span.search, settings
    "as it is": (SpanSearch, {}, {}),
    "costs are taken to be equal": (Unlearned, {}, {}),
    "quantiles of the posterior": (Plain, {}, {}),
    "no ladder after the first round": (Unladdered, {}, {}),
    "ladder by factors of 2": (SpanSearch, {"FACTOR": 2.0}, {}),
    "one rung of the ladder a round": (SpanSearch, {"RUNGS": 1}, {}),
    "factors of 2, quantiles of the posterior": (Plain, {"FACTOR": 2.0}, {}),
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
    path, rows, plain = kind(width=1e-9, budget=PATH, **settings), [], 0
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
    """Return how many rounds a search takes, until its interval is narrow enough or to its budget, and its end."""
    rows = [row for row in rows if row.trainings <= BUDGET]
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


def excess(found):
    """Return by how much the bias exceeds twice its standard error."""
    return abs(found["at 0.1"]["bias"]) - 2 * found["at 0.1"]["standard error"]


RULES = {  # text: the number of a curve, how those of all are taken together, the sign of the bound, the bound
    "median ratio to 12 x 4": (lambda found: found["steps ratio to 12 x 4"], np.nanmedian, 1, 0.5),
    "median ratio to 12 x 16": (lambda found: found["steps ratio to 12 x 16"], np.nanmedian, 1, 0.2),
    "largest ratio to 12 x 16": (lambda found: found["steps ratio to 12 x 16"], np.nanmax, 1, 0.35),
    "coverage of all searches": (lambda found: found["at 0.1"]["covers"], np.mean, -1, 0.94),
    "least coverage of a curve": (lambda found: found["at 0.1"]["covers"], np.min, -1, 0.90),
    "largest bias less 2 standard errors": (excess, np.max, 1, 0.02),
}


def checked(curves):
    """Return for each rule the number found, the bound, and the curves that are beyond it if no curve may be."""
    result = {}
    for text, (number, together, sign, bound) in RULES.items():
        numbers = {name: number(found) for name, found in curves.items()}
        beyond = [name for name, value in numbers.items() if sign * value > sign * bound]
        total = float(together([*numbers.values()]))
        each = together not in (np.nanmedian, np.mean)
        result[text] = {
            "found": total,
            "at most" if sign > 0 else "at least": bound,
            "holds": sign * total <= sign * bound,
            "beyond": beyond if each else [],
        }
    return result


def cell(number, form):
    """Return a number as text; empty if it is not finite."""
    return f"{number:{form}}" if np.isfinite(number) else ""


def line(cells):
    return f"| {' | '.join(cells)} |"


def rows_of_rules(curves):
    yield from ("| rule | found | bound | | beyond it |", "|---|---:|---|---|---|")
    for text, found in checked(curves).items():
        kind = "at most" if "at most" in found else "at least"
        holds = "holds" if found["holds"] else "**fails**"
        yield line([text, cell(found["found"], ".3f"), f"{kind} {found[kind]}", holds, "; ".join(found["beyond"])])


def rows_of_curves(curves):
    grids = " | ".join(f"12 x {n}: width | ratio | plain" for n in GRIDS)
    yield f"| curve | {grids} | at 20 %: covers | at 10 %: covers | bias | +- | trainings | rounds | steps |"
    yield "|---|" + "---:|" * 13
    for name, found in curves.items():
        cells = [name]
        for n in GRIDS:
            keys = f"width of 12 x {n}", f"steps ratio to 12 x {n}", f"plain ratio to 12 x {n}"
            cells += [cell(found[key], ".2f") for key in keys]
        end = found["at 0.1"]
        cells += [f"{found['at 0.2']['covers']:.2f}", f"{end['covers']:.2f}"]
        cells.append(f"{100 * end['bias']:+.1f} ± {100 * end['standard error']:.1f} %")
        cells.append(cell(100 * end["width"], ".0f"))
        yield line([*cells, *(f"{end[key]:.0f}" for key in ("trainings", "rounds", "steps"))])


def rows_of_variants(variants):
    ends = "trainings | rounds | steps | covers | least | bias"
    yield f"| variant | 12 x 4: ratio | 12 x 16: ratio | largest | at 20 %: {ends} | at 10 %: {ends} |"
    yield "|---|" + "---:|" * 15
    for name, curves in variants.items():
        small, large = ([found[f"steps ratio to 12 x {n}"] for found in curves.values()] for n in GRIDS)
        cells = [name, *(cell(number, ".2f") for number in (np.nanmedian(small), np.nanmedian(large), max(large)))]
        for width in reversed(WIDTHS):
            each = [found[f"at {width:g}"] for found in curves.values()]
            cells += [f"{np.mean([end[key] for end in each]):.0f}" for key in ("trainings", "rounds", "steps")]
            covers = [end["covers"] for end in each]
            cells += [f"{np.mean(covers):.3f}", f"{np.min(covers):.2f}"]
            cells.append(f"{100 * np.median([abs(end['bias']) for end in each]):.1f} %")
        yield line(cells)


def text_of(found, searches):
    """Return the tables."""
    curves = found["as it is"]
    variants = {name: {n: each[n] for n in VARIED} for name, each in found.items()}
    lines = [
        f"{searches} searches on each of {len(curves)} curves. The docstring of `span_search.py` says what the",
        "columns mean. Steps are in updates times T50.",
        "",
        *rows_of_rules(curves),
        "",
        "The docstring says why two of the rules fail.",
        "",
        *rows_of_curves(curves),
        "",
        f"Variants, {searches // 3} searches (as it is: {searches}) on each of the {len(VARIED)} curves on which",
        "the method was made. Ratios are medians over the curves, the bias is the median of its size, and other",
        "numbers are means.",
        "",
        *rows_of_variants(variants),
    ]
    return "\n".join(lines) + "\n"


def simulated(pool, function, first, names, count):
    """Return what a function gives for each name and seed, by name."""
    jobs = [(first, name, FIRST_SEED + seed) for name in names for seed in range(count)]
    found = pool.starmap(function, jobs, chunksize=4)
    return {name: found[i * count : (i + 1) * count] for i, name in enumerate(names)}


def finite(value):
    """Return what can be written as JSON: None for numbers that are not finite."""
    if isinstance(value, dict):
        return {key: finite(one) for key, one in value.items()}
    return value if not isinstance(value, float) or np.isfinite(value) else None


def main():
    began, searches = time.perf_counter(), int(sys.argv[1]) if len(sys.argv) > 1 else SEARCHES
    found = {}
    with Pool(2) as pool:
        grids = {n: simulated(pool, grid_of, n, CURVES, searches) for n in GRIDS}
        for variant in VARIANTS:
            names, count = (CURVES, searches) if variant == "as it is" else (VARIED, searches // 3)
            paths = simulated(pool, search_of, variant, names, count)
            found[variant] = {n: measured(paths[n], {g: grids[g][n] for g in GRIDS}) for n in names}
    text = text_of(found, searches)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "span_search.md").write_text(text, encoding="utf-8")
    record = {"searches": searches, "rules": checked(found["as it is"]), "found": found, "numpy": np.__version__}
    (RESULTS / "span_search.json").write_text(json.dumps(finite(record), indent=1) + "\n", encoding="utf-8")
    print(text)
    print(f"{time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
