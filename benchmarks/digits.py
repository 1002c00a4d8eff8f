"""Does the span on a synthetic task predict the span on real data? `recall` and `digits/rows`, three cells.

    python benchmarks/digits.py [--workers N]

For each of two ways of training (Adam 0.003 for 3000 updates, Adam 0.01 for 1500), and each of the cells rnn, gru
and lstm with 32 units, the script searches for the span on both tasks: to ± 20 %, with at most 64 trainings, at
lengths up to 100. The intervals are those of 95 %.

The rule, written before the searches ran:

- Order. Two spans differ significantly if the interval of their ratio excludes 1 and its p-value, corrected by
  Holm, is below 5 %. For each way of training, recall *predicts* the order of the cells if every two cells whose
  spans differ significantly on recall also differ significantly on the digits, in the same direction. It
  *contradicts* the order if two cells differ significantly on both tasks, in opposite directions. Otherwise the
  order is *not confirmed*. If no two cells differ significantly on recall, it says *nothing* about the order.
- Size. For each cell and way of training, recall *predicts* the size of the span if the interval of the ratio,
  digits to recall, lies within 1/1.5 to 1.5, and *fails* if it lies outside. Otherwise the size is *undecided*.
- Rank. Spearman's rank correlation of the six spans, with its exact one-sided p-value over all 720 orders. At 5 %
  recall ranks the networks better than chance.

The script writes results/digits.json after each search, and then the figure docs/figures/digits.png. A second run
adds the spans that the file lacks. It took 34 minutes on two cores that other work shared.
"""

import json
import sys
import time
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np

from memspan import Configuration, find_span
from memspan.span.compare import SpanRatio, compare_all, compare_spans
from memspan.span.likelihood import Likelihood

RESULT = Path(__file__).parent / "results" / "digits.json"
FIGURE = Path(__file__).parent.parent / "docs" / "figures" / "digits.png"
TASKS = ("recall", "digits/rows")
CELLS = ("rnn", "gru", "lstm")
TRAININGS: dict[str, dict[str, Any]] = {
    "Adam 0.003": {"learning_rate": 0.003, "updates": 3000},
    "Adam 0.01": {"learning_rate": 0.01, "updates": 1500},
}
WIDTH, BUDGET, LONGEST = 0.2, 64, 100
FACTOR = 1.5


def search(task: str, training: str, cell: str, workers: int) -> dict[str, Any]:
    """Find one span; keep how many trainings solved each length."""
    began = time.perf_counter()
    configuration = Configuration(task=task, cell=cell, **TRAININGS[training])
    limits = {"budget": BUDGET, "longest": LONGEST}
    found = find_span(configuration, WIDTH, **limits, workers=workers, progress=False)
    estimate = found.estimate
    assert estimate is not None
    shares = {row.length: (row.share.solved, row.share.trials) for row in found.summaries()}
    row = {"task": task, "training": training, "cell": cell, "short": estimate.short}
    row |= {name: getattr(estimate, name) for name in ("span", "low", "high", "trainings")}
    return row | {"shares": shares, "seconds": round(time.perf_counter() - began)}


def likelihood(row: dict[str, Any]) -> Likelihood:
    """What is known of a span."""
    lengths = [int(length) for length in row["shares"]]
    solved, trials = zip(*row["shares"].values(), strict=True)
    return Likelihood.of(lengths, solved, trials)


def judged(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Apply the rule to all spans."""
    spans = {(row["task"], row["training"], row["cell"]): row for row in rows}
    found: dict[str, Any] = {"order": {}, "pairs": {}, "size": [], "ratios": []}
    for training in TRAININGS:
        both = [compare_all({cell: likelihood(spans[task, training, cell]) for cell in CELLS}) for task in TASKS]
        directions = [[direction(pair.ratio) if pair.told_apart else 0 for pair in pairs] for pairs in both]
        found["order"][training] = verdict_on_order(*directions)
        found["pairs"][training] = [
            {
                "pair": f"{on[0].a} : {on[0].b}",
                **{task: one.ratio.short for task, one in zip(TASKS, on, strict=True)},
            }
            for on in zip(*both, strict=True)
        ]
        for cell in CELLS:
            on_recall, on_digits = (likelihood(spans[task, training, cell]) for task in TASKS)
            ratio = compare_spans(on_digits, on_recall)
            found["size"].append(verdict_on_size(ratio))
            found["ratios"].append(
                {"training": training, "cell": cell, "ratio": ratio.ratio, "short": ratio.short}
            )
    each = [[spans[task, training, cell]["span"] for training in TRAININGS for cell in CELLS] for task in TASKS]
    if all(span is not None for span in (*each[0], *each[1])):
        found["rank"], found["p"] = rank_correlation(*map(np.array, each))
    return found


def direction(ratio: SpanRatio) -> int:
    """1 if the first of two spans is the longer one, else -1."""
    return 1 if ratio.low is not None and ratio.low > 1 else -1


def verdict_on_order(recall: list[int], digits: list[int]) -> str:
    """Compare the directions of all pairs; 0 stands for a pair that is not told apart."""
    if not any(recall):
        return "nothing"
    pairs = [(one, other) for one, other in zip(recall, digits, strict=True) if one]
    if any(one == -other for one, other in pairs):
        return "contradicts"
    return "predicts" if all(one == other for one, other in pairs) else "not confirmed"


def verdict_on_size(ratio: SpanRatio) -> str:
    """Whether the interval of the ratio lies within the factor."""
    low, high = ratio.low or 0.0, ratio.high or np.inf
    if low >= 1 / FACTOR and high <= FACTOR:
        return "predicts"
    return "fails" if high < 1 / FACTOR or low > FACTOR else "undecided"


def rank_correlation(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """Spearman's rank correlation, and the share of all orders with at least as large a one."""
    ranks = [np.argsort(np.argsort(values)) for values in (a, b)]
    every = np.array([np.corrcoef(ranks[0], order)[0, 1] for order in permutations(ranks[1])])
    found = float(np.corrcoef(*ranks)[0, 1])
    return found, float(np.mean(every >= found - 1e-12))


def draw(rows: list[dict[str, Any]]) -> None:
    """Draw the spans on the digits against those on recall."""
    from matplotlib.ticker import NullFormatter, ScalarFormatter

    from memspan.figures.style import BLUE, GREEN, GREY, ORANGE, new_figure, own_style, save_picture, tidy

    spans = {(row["task"], row["training"], row["cell"]): row for row in rows}
    with own_style():
        figure = new_figure(6.4, 5.0)
        ax = figure.subplots()
        for (cell, colour), (training, mark) in (
            (one, other)
            for one in zip(CELLS, (BLUE, ORANGE, GREEN), strict=True)
            for other in zip(TRAININGS, ("o", "s"), strict=True)
        ):
            x, y = (spans[task, training, cell] for task in TASKS)
            low, high = ([one["low"] or one["span"], one["high"] or one["span"]] for one in (x, y))
            ax.plot(low, [y["span"]] * 2, color=colour, linewidth=1.2)
            ax.plot([x["span"]] * 2, high, color=colour, linewidth=1.2)
            ax.plot(x["span"], y["span"], mark, color=colour, markersize=6, label=f"{cell}, {training}")
        values = [end for row in rows for end in (row["low"], row["span"], row["high"]) if end]
        ends = np.array([min(values) / 1.15, max(values) * 1.15])
        ax.plot(ends, ends, color=GREY, linewidth=1, label="equal spans")
        for factor in (1 / FACTOR, FACTOR):
            ax.plot(ends, factor * ends, color=GREY, linewidth=0.8, linestyle="--")
        ax.set(
            xscale="log",
            yscale="log",
            xlim=ends,
            ylim=ends,
            xlabel="span on recall (time steps)",
            ylabel="span on digits/rows (time steps)",
        )
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_major_formatter(ScalarFormatter())
            axis.set_minor_formatter(NullFormatter())
            axis.set_ticks([tick for tick in (5, 7, 10, 15, 20, 30, 50, 70, 100) if ends[0] <= tick <= ends[1]])
        tidy(ax)
        figure.legend(loc="outside right upper", frameon=False, fontsize="small")
        ax.set_title(f"Spans with intervals of 95 %; dashed: a factor of {FACTOR:g}", fontsize="medium")
        save_picture(figure, FIGURE, dpi=110)


def main() -> None:
    workers = int(sys.argv[sys.argv.index("--workers") + 1]) if "--workers" in sys.argv else 2
    rows = json.loads(RESULT.read_text("utf-8"))["spans"] if RESULT.exists() else []
    done = {(row["task"], row["training"], row["cell"]) for row in rows}
    for training in TRAININGS:
        for cell in CELLS:
            for task in TASKS:
                if (task, training, cell) not in done:
                    rows.append(search(task, training, cell, workers))
                    print(*rows[-1].values(), flush=True)
                    RESULT.write_text(json.dumps({"spans": rows}, indent=1) + "\n", "utf-8")
    result = {"spans": rows, "judged": judged(json.loads(json.dumps(rows)))}
    RESULT.write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    draw(rows)


if __name__ == "__main__":
    main()
