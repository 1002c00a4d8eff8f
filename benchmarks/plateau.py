"""Measure how long networks stay on the plateau, and compare it with the prediction before training.

    python benchmarks/plateau.py [--keep] [GROUP or NAME of settings, or extra ...]

With --keep, lengths that have been trained are not trained again, but predicted again.

For every setting, 16 networks are trained at lengths 10 % apart, with momentum 0.9, learning rate 0.03, batches of
64 and gradients clipped to norm 1, for at most 1500 updates. A network has left the plateau when its loss over the
last 25 updates, as a share of the trivial risk, has fallen below 0.9. `memspan.why` predicts for the same networks
when that is. No number in the prediction was fitted. The rules at the end were written before the results.
Beside it stands the law C / (rate √Θ), whose C was fitted, on other networks.

The script takes about half an hour on one core, and writes results/plateau.json and results/plateau.md.
"""

import json
import math
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from memspan import Chain, ClipByNorm, Momentum, Network, estimate_span, get_task
from memspan.cells.lstm import lstm
from memspan.engines.compiled import CompiledEngine
from memspan.tasks import Batches
from memspan.why.plateau import LEFT, WINDOW, Descent
from memspan.why.predict import needed_by
from rules import Rule, numbers_of, table_of

RESULTS = Path(__file__).parent / "results"
NETWORKS, BUDGETS, SEED = 16, (200, 600, 1500), 7000
RATE, BATCH, CLIP = 0.03, 64, 1.0
DESCENT = Descent(RATE / (1 - 0.9), BATCH, CLIP, 9.0)
LAW = 0.17  # C of the law
BATCH_UPDATES, LARGE, LARGE_LENGTHS = (50, 100, 200, 300), 1024, (49, 60)
COSTS = ("variance 0.4, H = 32", 17), ("variance 0.6, H = 32", 30), ("gru", 12), ("lstm", 35)
SPACING, FIRST, LONGEST = 1.1, 5, 100
DTYPE = np.dtype(np.float32)
Make = Callable[[np.random.SeedSequence, int], Network]


class Setting(NamedTuple):
    """Some networks and a task."""

    group: str
    name: str
    task: str
    make: Make


def tanh(variance: float, hidden: int) -> Make:
    """Tanh networks whose R has elements of this variance, divided by the number of units."""
    gain = math.sqrt(3 * variance / hidden) / 0.2  # memspan's initial R is uniform in [-0.2, 0.2]
    return lambda seed, inputs: Network("rnn", inputs, hidden, 1, recurrent_gain=gain, dtype=DTYPE, rng=seed)


def cell(kind: Any) -> Make:
    """Networks of 32 units with memspan's initial weights."""
    return lambda seed, inputs: Network(kind, inputs, 32, 1, dtype=DTYPE, rng=seed)


SETTINGS = [
    *(
        Setting("tanh", f"variance {variance}, H = {hidden}", "recall", tanh(variance, hidden))
        for hidden in (16, 32, 64)
        for variance in (0.25, 0.4, 0.6, 0.8)
    ),
    *(
        Setting("gates", name, "recall", cell(kind))
        for name, kind in (("gru", "gru"), ("mgu", "mgu"), ("lstm, b_f = 0", lstm(0.0)), ("lstm", "lstm"))
    ),
    Setting("tasks", "rnn, adding/any", "adding/any", cell("rnn")),
    Setting("tasks", "rnn, delayed-xor", "delayed-xor", cell("rnn")),
    Setting("fast", "lru", "recall", cell("lru")),
    Setting("fast", "rnn, variance 1", "recall", tanh(1.0, 32)),
]


def lengths() -> Iterator[int]:
    """Lengths 10 % apart."""
    found, length = 0, float(FIRST)
    while length <= LONGEST:
        if round(length) > found:
            found = round(length)
            yield found
        length *= SPACING


def measured(
    networks: list[Network],
    task_name: str,
    length: int,
    seeds: list[Any],
    batch: int = BATCH,
    most: int = BUDGETS[-1],
) -> np.ndarray:
    """Train until every network has left the plateau; the update at which it has, infinity for never."""
    task = get_task(task_name)
    loss, rule = task.make_loss(), Chain(ClipByNorm(CLIP), Momentum(RATE, 0.9))
    engine = CompiledEngine(networks[0].layout, DTYPE, loss, output_steps=networks[0].output_steps)
    theta = np.stack([network.parameters for network in networks])
    state, here = rule.init(theta), np.arange(len(theta))
    batches = [Batches(task, length, batch, seed, "float32") for seed in seeds]
    left, shares = np.full(len(theta), np.inf), np.full((most, len(theta)), np.nan)
    answer = task.trivial_answer(length)[..., np.newaxis, :].astype(DTYPE)
    for update in range(most):
        drawn = [next(batches[k]) for k in here]
        found = engine.differentiate(theta, drawn)
        step = rule.step(found.gradients, state)
        theta, state = theta + step.change, step.state
        trivial = [loss.forward(np.broadcast_to(answer, y.shape).astype(DTYPE), y) for _, y in drawn]
        shares[update, here] = found.losses / trivial
        if update + 1 < WINDOW:
            continue
        mean = shares[update + 1 - WINDOW : update + 1, here].mean(axis=0)
        stay = mean >= LEFT
        left[here[~stay]] = update + 1
        theta, here = theta[stay], here[stay]
        state = type(state)(*(part[stay] for part in state))
        if not len(here):
            break
    return left


def compared(setting: Setting, known: dict[int, list[float | None]]) -> dict[str, Any]:
    """Predict at every length, and measure where it is not known, as long as networks leave."""
    task, rows, few = get_task(setting.task), [], 0
    for length in lengths():
        seeds = [np.random.SeedSequence(SEED, spawn_key=(length, k)).spawn(2) for k in range(NETWORKS)]
        inputs = task.shape(length).features
        networks = [setting.make(weights, inputs) for weights, _ in seeds]
        networks = [network.with_output_steps(task.shape(length).output_steps) for network in networks]
        needed = needed_by(networks, task, length, DESCENT, BUDGETS[-1], SEED)
        law = WINDOW / 2 + LAW / (DESCENT.rate * np.sqrt(np.maximum(needed.theta, 1e-300)))
        if length not in known:
            known[length] = _listed(measured(networks, setting.task, length, [data for _, data in seeds]))
        left = np.array([np.inf if update is None else update for update in known[length]])
        row = {"measured": known[length], "predicted": _listed(needed.updates), "law": _listed(law)}
        rows.append({"length": length, **row})
        few = few + 1 if max((left <= BUDGETS[-1]).sum(), (needed.updates <= BUDGETS[-1]).sum()) < 2 else 0
        if few == 2:
            break
    return {"group": setting.group, "name": setting.name, "rows": rows, "spans": spans_of(rows)}


def spans_of(rows: list[dict[str, Any]]) -> list[dict[str, float]]:
    """For each budget, the length at which half of the networks leave: measured and predicted."""
    found = []
    for budget in BUDGETS:
        spans = {}
        for kind in ("measured", "predicted", "law"):
            counts = [sum(n is not None and n <= budget for n in row[kind]) for row in rows]
            estimate = estimate_span([row["length"] for row in rows], counts, [NETWORKS] * len(rows))
            spans[kind] = estimate.span
        both = spans["predicted"] and spans["measured"]
        found.append(
            {"budget": budget, **spans, "ratio": spans["predicted"] / spans["measured"] if both else None}
        )
    return found


def single_ratios(settings: list[dict[str, Any]]) -> np.ndarray:
    """Measured over predicted updates of every network for which both are known."""
    pairs = [
        pair
        for setting in settings
        for row in setting["rows"]
        for pair in zip(row["measured"], row["predicted"], strict=True)
    ]
    return np.array([m / p for m, p in pairs if m is not None and p is not None and p > WINDOW])


def batches_of(setting: Setting, length: int, batch: int) -> dict[str, Any]:
    """How many of the networks leave within some updates, measured and predicted, for another batch size."""
    task = get_task(setting.task)
    seeds = [np.random.SeedSequence(SEED, spawn_key=(length, k)).spawn(2) for k in range(NETWORKS)]
    networks = [setting.make(weights, task.shape(length).features) for weights, _ in seeds]
    needed = needed_by(networks, task, length, replace(DESCENT, batch=batch), BATCH_UPDATES[-1], SEED).updates
    left = measured(networks, setting.task, length, [data for _, data in seeds], batch, BATCH_UPDATES[-1])
    counts = {
        name: [int((updates <= given).sum()) for given in BATCH_UPDATES]
        for name, updates in (("measured", left), ("predicted", needed))
    }
    return {"name": setting.name, "length": length, "batch": batch, "updates": BATCH_UPDATES, **counts}


def cost_of(setting: Setting, length: int) -> dict[str, Any]:
    """The processor time of a prediction of one network at one length, in updates of its training."""
    task = get_task(setting.task)
    seeds = [np.random.SeedSequence(SEED, spawn_key=(length, k)).spawn(2) for k in range(NETWORKS)]
    networks = [setting.make(weights, task.shape(length).features) for weights, _ in seeds]

    def seconds(call: Callable[[], object]) -> float:
        call()  # compiles
        began = time.process_time()
        call()
        return (time.process_time() - began) / NETWORKS

    predicted = seconds(lambda: needed_by(networks, task, length, DESCENT, BUDGETS[-1], SEED))
    trained = seconds(lambda: measured(networks, setting.task, length, [one for _, one in seeds], most=WINDOW - 1))
    return {"name": setting.name, "length": length, "updates": predicted / trained * (WINDOW - 1)}


def rules_of(settings: list[dict[str, Any]]) -> list[Rule]:
    """The rules, written before the results."""

    def worst(group: str) -> float:
        ratios = [span["ratio"] for one in settings if one["group"] == group for span in one["spans"]]
        return max(max(ratio, 1 / ratio) if ratio else math.inf for ratio in ratios)

    known = [one for one in settings if one["group"] in ("tanh", "gates")]
    ratios = single_ratios(known)
    within = float(np.mean((ratios > 1 / 3) & (ratios < 3)))
    return [
        Rule("tanh: largest ratio of a predicted to a measured length, or its inverse", worst("tanh"), "≤", 1.25),
        Rule("gru, mgu, lstm: the same", worst("gates"), "≤", 1.3),
        Rule("single networks: share predicted within a factor of 3", within, "≥", 0.75),
    ]


def _listed(values: np.ndarray) -> list[float | None]:
    return [round(float(value), 1) if np.isfinite(value) else None for value in values]


def _text(span: float | None) -> str:
    return "-" if span is None else f"{span:.1f}"


def page(settings: list[dict[str, Any]], rules: list[Rule]) -> str:
    """The tables."""
    lines = ["# Leaving the plateau: measured and predicted", "", "Made by `python benchmarks/plateau.py`.", ""]
    heads = [f"{budget} updates" for budget in BUDGETS]
    lines += [f"| setting | {' | '.join(heads)} |", "|---|" + "---:|" * len(heads)]
    for one in settings:
        cells = [
            f"{_text(s['measured'])} / {_text(s['predicted'])} / {_text(s['law'])}"
            + (f" ({s['ratio']:.2f})" if s["ratio"] else "")
            for s in one["spans"]
        ]
        lines.append(f"| {one['name']} | {' | '.join(cells)} |")
    lines += [
        "",
        "Length at which half of 16 networks leave: measured / predicted / by the law (predicted : measured).",
        "",
    ]
    return "\n".join([*lines, *table_of(rules), ""])


def main() -> None:
    names = {*sys.argv[1:]} - {"--keep"}
    chosen = [one for one in SETTINGS if not names or names & {one.group, one.name}]
    path = RESULTS / "plateau.json"
    kept = json.loads(path.read_text("utf-8"))["settings"] if path.exists() else []
    found = {one["name"]: one for one in kept}
    if not names or "extra" in names:
        by_name = {one.name: one for one in SETTINGS}
        extra = {
            "batches": [
                batches_of(by_name["variance 0.8, H = 64"], length, batch)
                for length in LARGE_LENGTHS
                for batch in (BATCH, LARGE)
            ],
            "costs": [cost_of(by_name[name], length) for name, length in COSTS],
        }
        (RESULTS / "plateau_extra.json").write_text(json.dumps(extra, indent=1) + "\n", "utf-8")
    for setting in chosen:
        began = time.perf_counter()
        old = found[setting.name]["rows"] if "--keep" in sys.argv and setting.name in found else []
        found[setting.name] = compared(setting, {row["length"]: row["measured"] for row in old})
        spans = "; ".join(
            f"{_text(s['measured'])} / {_text(s['predicted'])}" for s in found[setting.name]["spans"]
        )
        print(f"{setting.name}: {spans} ({time.perf_counter() - began:.0f} s)", flush=True)
        settings = [found[one.name] for one in SETTINGS if one.name in found]
        groups = {one["group"] for one in settings}
        rules = rules_of(settings) if {"tanh", "gates"} <= groups else []
        path.write_text(json.dumps({"settings": settings, "rules": numbers_of(rules)}, indent=1) + "\n", "utf-8")
        (RESULTS / "plateau.md").write_text(page(settings, rules), "utf-8")


if __name__ == "__main__":
    main()
