"""Does the window limit the span? Spans of rnn and lstm, with gradients that go back through at most k steps.

    python benchmarks/windows.py

The networks and their training are the defaults of `memspan span`: 32 units, the task `recall`, Adam 0.01, at most
1500 updates of 64 sequences. Only `truncate` differs. Each span comes from at most 64 trainings at lengths up to
100; all configurations share their sequences and initial weights. The number to recall is T steps old counting its
own, so a window of k steps contains it if T ≤ k.

The rules, written before the measurement:

- A window *limits* the span of a cell if the 95 % interval of the ratio of its span to that with the whole
  gradient lies below 1.
- A window is a *wall* if the upper end of the interval of its span is at most k: the network solves no length at
  which the number to recall lies outside the window.
- A window is *passed* if the lower end is above k. If neither holds, the measurement does not decide between them.

The script writes results/windows.json after each span; a second run adds the spans that the file lacks. Then it
draws docs/figures/windows.png. Fifteen minutes on two cores.
"""

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from memspan import Configuration, find_span
from memspan.figures.style import BLUE, GREY, ORANGE, new_figure, own_style, save_picture, tidy
from memspan.span.compare import compare_spans
from memspan.span.likelihood import Likelihood

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ROOT = Path(__file__).parents[1]
RESULT = ROOT / "benchmarks" / "results" / "windows.json"
PICTURE = ROOT / "docs" / "figures" / "windows.png"
CELLS = ("rnn", "lstm")
WINDOWS = (None, 1, 2, 5, 10, 15, 20, 30)
BUDGET, LONGEST, WIDTH = 64, 100, 0.1


def span(cell: str, window: int | None) -> dict[str, Any]:
    """Find one span, and keep the counts that it comes from."""
    began = time.perf_counter()
    configuration = Configuration(cell=cell, truncate=window)
    result = find_span(configuration, WIDTH, budget=BUDGET, longest=LONGEST, progress=False)
    found, (lengths, solved, trained) = result.estimate, result.counts()
    row = {"cell": cell, "window": window, "span": found.span, "low": found.low, "high": found.high}
    row |= {name: [int(one) for one in each] for name, each in (("lengths", lengths), ("solved", solved))}
    row |= {"trained": [int(one) for one in trained], "seconds": round(time.perf_counter() - began, 1)}
    print(cell, window, found, flush=True)
    return row


def verdict(row: dict[str, Any], whole: dict[str, Any]) -> dict[str, Any]:
    """What the rules say about a window."""
    ratio = compare_spans(*(Likelihood.of(one["lengths"], one["solved"], one["trained"]) for one in (row, whole)))
    k, low, high = row["window"], row["low"], row["high"]
    return {
        "ratio": ratio.short,
        "limits": ratio.high is not None and ratio.high < 1,
        "wall": high is not None and high <= k,
        "passed": low is not None and low > k,
    }


def judged(spans: list[dict[str, Any]]) -> None:
    """Add the verdicts to the rows of the windows."""
    whole = {row["cell"]: row for row in spans if row["window"] is None}
    for row in spans:
        if row["window"] is not None:
            row |= verdict(row, whole[row["cell"]])


def draw(ax: "Axes", rows: list[dict[str, Any]], cell: str) -> None:
    """Draw the spans of a cell against the window, with that of the whole gradient as a band."""
    (whole,) = (row for row in rows if row["window"] is None)
    cut = [row for row in rows if row["window"] is not None]
    windows, spans = (np.array([row[name] for row in cut]) for name in ("window", "span"))
    low, high = (np.array([row[end] for row in cut], float) for end in ("low", "high"))
    # An end that the tried lengths leave open is drawn as an end at the span itself.
    bars = [np.nan_to_num(spans - low), np.nan_to_num(high - spans)]
    ax.axhspan(whole["low"] or 1, whole["high"] or LONGEST, color=ORANGE, alpha=0.25, linewidth=0)
    ax.axhline(whole["span"], color=ORANGE, label="whole gradient, 95 % interval")
    ax.errorbar(windows, spans, bars, fmt="o", color=BLUE, capsize=3, label="truncated gradient, 95 % interval")
    ends = np.array([0.9, 1.1 * max(windows)])
    ax.plot(ends, ends, color=GREY, linestyle="--", label="span = window")
    ax.set(xscale="log", yscale="log", title=cell, xlabel="window k (time steps)")
    ax.set_xticks(windows)
    ax.set_yticks([1, 2, 5, 10, 20, 50])
    ax.xaxis.set_major_formatter("{x:g}")
    ax.yaxis.set_major_formatter("{x:g}")
    ax.minorticks_off()
    tidy(ax)


def main() -> None:
    """Measure what is missing, judge and draw."""
    spans = json.loads(RESULT.read_text("utf-8"))["spans"] if RESULT.exists() else []
    done = {(row["cell"], row["window"]) for row in spans}
    for cell in CELLS:
        for window in WINDOWS:
            if (cell, window) not in done:
                spans.append(span(cell, window))
                judged(spans)
                found = {"budget": BUDGET, "longest": LONGEST, "spans": spans}
                RESULT.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    title = f"Span against window: {Configuration().describe().partition(', ')[2]}"
    with own_style():
        figure = new_figure(9.0, 4.2, title)
        axes = figure.subplots(1, len(CELLS), sharey=True)
        for ax, cell in zip(axes, CELLS, strict=True):
            draw(ax, [row for row in spans if row["cell"] == cell], cell)
        axes[0].set_ylabel("span (time steps)")
        axes[0].legend(frameon=False, fontsize="small")
        save_picture(figure, PICTURE, dpi=110)


if __name__ == "__main__":
    main()
