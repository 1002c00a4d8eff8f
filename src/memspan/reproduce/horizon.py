"""The horizon: where gradient descent and Adam stop learning, over gain and length, beside what is known before.

Every network is a tanh network with 32 units for the task `recall`, and its R has a variance of σ_R² / H. Gradient
descent is predicted for the same networks before training (`memspan.why`): the length at which half of them leave
the plateau. The older horizon is 6 ξ, with ξ = -1 / ln χ₁ (`MeanField.xi`): Schoenholz et al. 2017
(arXiv:1611.01232) found that feedforward networks can be trained up to about this depth.

What was verified of 6 ξ: the paper's abstract (depth scales bound the depth that can be trained; one diverges at
the edge of chaos). The text of the paper could not be read. The formula and the factor are those of two later
sources, which cite it: a summary that says L ≲ 6 ξ_c, and public code that draws 6 ξ_c with ξ_c = -1 / ln χ.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from math import inf, sqrt
from typing import Any

import numpy as np

from memspan.diagnostics import MeanField
from memspan.figures.horizon import Curve, Horizon, Remark, ShareMap, draw_horizon
from memspan.reproduce.base import Finding, Options, Picture, Reproduction, Verdict, run_each
from memspan.runtime.floats import quiet
from memspan.runtime.interrupts import interrupts_deferred
from memspan.span import Group, SpanEstimate, estimate_span
from memspan.study.configuration import Configuration
from memspan.study.group import fit, prepared
from memspan.training.history import Outcome
from memspan.why.plateau import LEFT, WINDOW, left_at
from memspan.why.predict import updates_needed

HIDDEN, UPDATES, NETWORKS = 32, 1500, 8
RULES: dict[str, dict[str, Any]] = {
    "momentum": {"optimizer": "momentum", "learning_rate": 0.03},
    "adam": {"optimizer": "adam", "learning_rate": 0.01},
}
"""The optimisers; gradients are clipped to norm 1 for both."""
VARIANCES = (0.1, 0.16, 0.25, 0.32, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.2, 1.6, 2.4, 4.5)
"""H times the variance of an element of R, σ_R²."""
LENGTHS = (*range(3, 13), 14, 16, 18, 20, 23, 26, 29, 33, 37, 42, 47, 53, 60, 68, 77, 88)
LAST = 3
"""The lengths in a row that tell whether longer ones would say anything new."""
GAINS, GIVEN = (0.25, 0.4, 0.6, 0.8), (60, 100, 170, 300, 500, 900, 1500)
"""The variances and the updates given of the second panel."""
UNIFORM = 0.04 / 3
"""The variance of U(-0.2, 0.2), from which the initial weights are drawn."""
CALM, NEAR, LARGE = 0.6, (0.9, 1.0), 1.6
"""The largest variance at which the prediction is held to its rule, those near the critical one, and one above."""
CLOSE = (0.8, 1.25)
"""The range of the ratios of predicted to measured lengths that a rule allows."""


def configuration(rule: str, variance: float, seed: int) -> Configuration:
    """Return the configuration of one column."""
    gain = sqrt(variance / (HIDDEN * UNIFORM))
    how: dict[str, Any] = {"clip": 1.0, "updates": UPDATES, "seed": seed, **RULES[rule]}
    return Configuration(cell="rnn", task="recall", hidden=HIDDEN, init="uniform", recurrent_gain=gain, **how)


def measure(options: Options) -> dict[str, list[dict[str, Any]]]:
    """Train and predict every column. The longest ones come first, so that all workers are busy to the end."""
    columns = [(rule, variance, options.seed) for rule in RULES for variance in VARIANCES]
    with interrupts_deferred():  # compiled here once, so that every worker finds the kernels in the cache
        first = configuration("momentum", VARIANCES[0], options.seed)
        prepared(first, LENGTHS[0], [0])
        updates_needed(first, Group(LENGTHS[0], 0, 1))
    columns.sort(key=lambda column: -column[1])
    found = run_each(measure_column, columns, options, "columns of the map")
    by_key = dict(zip(columns, found, strict=True))
    return {rule: [by_key[rule, variance, options.seed] for variance in VARIANCES] for rule in RULES}


@quiet
def measure_column(argument: tuple[str, float, int]) -> dict[str, Any]:
    """Train networks of rising length until more would say nothing new, and predict them for gradient descent."""
    began = time.process_time()
    rule, variance, seed = argument
    one, rows = configuration(rule, variance, seed), list[dict[str, Any]]()
    for length in LENGTHS:
        if len(rows) >= LAST and settled(rows[-LAST:], rule):
            break
        rows.append(_train(one, length))
    found: dict[str, Any] = {"variance": variance, "trained": rows}
    if rule == "momentum":
        found["predicted"] = [_predict(one, row["length"]) for row in rows]
    return found | {"cpu_seconds": round(time.process_time() - began, 1)}


def settled(rows: Sequence[Mapping[str, Any]], rule: str) -> bool:
    """Return whether at most one network of some lengths solves, and nearly all or none leave the plateau.

    Adam leaves it by noise at any length, so only the networks that solve count.
    """
    solved, left = (
        sum(counts) for counts in zip(*((row["solved"], len(row["left"])) for row in rows), strict=True)
    )
    return solved <= 1 and (rule == "adam" or left <= 1 or left >= len(rows) * NETWORKS - 1)


def _train(one: Configuration, length: int) -> dict[str, Any]:
    """Train the networks of one length: how many solve it, and when those that leave the plateau do so."""
    ensemble = prepared(one, length, range(NETWORKS))
    fit(ensemble, one, range(NETWORKS))
    risk = one.make_task().trivial_risk(length)
    left = [left_at(np.array(member.history.loss) / risk) for member in ensemble.members]
    return {
        "length": length,
        "solved": sum(result.outcome is Outcome.SOLVED for result in ensemble.results),
        "left": sorted(int(update) for update in left if update < inf),
    }


def _predict(one: Configuration, length: int) -> dict[str, Any]:
    """Predict the same for the same networks."""
    updates = updates_needed(one, Group(length, 0, NETWORKS)).updates
    return {"length": length, "left": sorted(np.round(updates[updates <= one.updates], 1).tolist())}


def half(rows: Sequence[Mapping[str, Any]], given: int | None = None) -> SpanEstimate:
    """Return the length that half of the networks solve; with `given`, whose plateau half leave in time."""
    counts = [row["solved"] if given is None else sum(update <= given for update in row["left"]) for row in rows]
    return estimate_span([row["length"] for row in rows], counts, NETWORKS)


Spans = dict[float, SpanEstimate]
"""The lengths at which half of the networks do something, by variance."""


def _spans(columns: Iterable[Mapping[str, Any]], kind: str = "trained", given: int | None = None) -> Spans:
    return {column["variance"]: half(column[kind], given) for column in columns}


def _xi(variance: float) -> float:
    """6 ξ."""
    return 6 * MeanField(variance, 1, HIDDEN).xi


def critical_variance() -> float:
    """Return the variance of R times H at which χ₁ = 1, for the inputs of `recall`."""
    from scipy.optimize import brentq

    return float(brentq(lambda variance: MeanField(variance, 1, HIDDEN).chi_1 - 1, 0.5, 4))


def judge(measured: Mapping[str, Any]) -> list[Finding]:
    """Judge the rules, which were written before the result."""
    descent, adam = measured["momentum"], measured["adam"]
    solved, with_adam = _spans(descent), _spans(adam)
    columns = {column["variance"]: column for column in descent}
    left = {variance: half(columns[variance]["trained"], UPDATES) for variance in solved if variance <= CALM}

    def off(variances: Iterable[float], updates: Iterable[int]) -> list[float | None]:
        """The predicted lengths over the measured ones."""
        pairs = [(columns[variance], given) for variance, given in product(variances, updates)]
        return [_ratio(half(one["predicted"], n).span, half(one["trained"], n).span) for one, n in pairs]

    *few, last = GAINS
    leave, solve = "length at which half leave", "length that half solve"
    return [
        _within(f"{leave}, predicted : measured, variances up to {CALM}", off(left, [UPDATES]), *CLOSE),
        _within(
            f"the same for {GIVEN[0]} to {UPDATES:,} updates, variances {_listed(few)}", off(few, GIVEN), *CLOSE
        ),
        _within(f"the same for {GIVEN[0]} to {UPDATES:,} updates, variance {last}", off([last], GIVEN), *CLOSE),
        _within(
            f"{leave} : 6 ξ, variances up to {CALM}",
            [_ratio(estimate.span, _xi(variance)) for variance, estimate in left.items()],
            1.5,
        ),
        _within(
            f"{solve}, Adam : gradient descent, variances up to 0.5",
            [_ratio(with_adam[variance].span, one.span) for variance, one in solved.items() if variance <= 0.5],
            1,
        ),
        _within(
            f"{solve}, gradient descent : Adam, variances from 1 to 3",
            [_ratio(one.span, with_adam[variance].span) for variance, one in solved.items() if 1 <= variance <= 3],
            1,
        ),
        _within(
            f"predicted {leave} : {solve}, variances {_listed(NEAR)}",
            [_ratio(_known(half(columns[one]["predicted"], UPDATES)), solved[one].span) for one in NEAR],
            1.25,
        ),
    ]


def _listed(values: Iterable[float]) -> str:
    return ", ".join(f"{value:g}" for value in values)


def _known(estimate: SpanEstimate) -> float | None:
    """The span, or its lower bound where it is beyond the lengths that were looked at."""
    return estimate.low if estimate.span is None else estimate.span


def _ratio(above: float | None, below: float | None) -> float | None:
    return None if above is None or below is None else above / below


def _within(quantity: str, ratios: Sequence[float | None], least: float, most: float = inf) -> Finding:
    """Demand that all ratios are in a range. Ratios that are not known leave it open whether they are."""
    known = [ratio for ratio in ratios if ratio is not None]
    rule = f"all above {least:g}" if most == inf else f"all from {least:g} to {most:g}"
    verdict = Verdict.of(all(least < ratio < most for ratio in known))
    if verdict is Verdict.AGREES and len(known) < len(ratios):
        verdict = Verdict.UNDECIDED
    ours = f"{min(known):.2f} to {max(known):.2f}" if known else "–"
    ours += f"; {len(ratios) - len(known)} of {len(ratios)} not known" if len(known) < len(ratios) else ""
    expected = "1" if most < inf else f"above {least:g}"
    return Finding(quantity, expected, ours, rule, verdict)


def picture(measured: Mapping[str, Any]) -> Horizon:
    """Return the data of the picture."""
    descent, adam = measured["momentum"], measured["adam"]
    critical = critical_variance()
    fine = np.geomspace(VARIANCES[0] / 1.1, critical, 200)[:-1].tolist()
    columns = {column["variance"]: column for column in descent}
    by_updates = {variance: _by_updates(columns[variance]) for variance in GAINS}
    return Horizon(
        title="Below the critical gain, gradient descent stops where it needs more updates than it is given: "
        "a length that is known before training",
        lengths=LENGTHS,
        networks=NETWORKS,
        updates=UPDATES,
        descent=_map("A  Gradient descent (momentum 0.9, rate 0.03, clip 1)", descent),
        adam=_map("C  Adam (rate 0.01, clip 1)", adam),
        predicted=_by_variance(_spans(descent, "predicted", UPDATES)),
        left=_by_variance(_spans(descent, given=UPDATES)),
        solved=_by_variance(_spans(descent)),
        solved_adam=_by_variance(_spans(adam)),
        xi=Curve(fine, [_xi(variance) for variance in fine]),
        critical=critical,
        by_updates=by_updates,
        remarks=_remarks(descent),
        notes=_notes(descent, adam),
        setting=f"Tanh networks of {HIDDEN} units that must answer with the first of T random numbers, "
        f"after at most {UPDATES:,} updates",
    )


def _by_updates(column: Mapping[str, Any]) -> tuple[Curve, Curve]:
    """The length at which half leave the plateau against the updates given, predicted and measured."""
    predicted, left = ([half(column[kind], given) for given in GIVEN] for kind in ("predicted", "trained"))
    return _curve_of(GIVEN, predicted), _curve_of(GIVEN, left)


def _remarks(descent: Sequence[Mapping[str, Any]]) -> list[Remark]:
    """Point to where training and prediction part, if they do."""
    left, predicted, solved = (
        _spans(descent, given=UPDATES),
        _spans(descent, "predicted", UPDATES),
        _spans(descent),
    )
    near, last = NEAR[-1], VARIANCES[-1]
    found = []
    if (_known(left[near]) or 0) > (high := solved[near].span or inf):
        middle = sqrt(high * (_known(left[near]) or high))
        words = "near the critical gain, half leave\nthe plateau of lengths that fewer solve"
        found.append(Remark(words, (near, middle), (0.03, 0.86)))
    if (low := predicted[last].span or inf) < (_known(left[last]) or 0):
        found.append(Remark("above it, the prediction\nis too short", (last, low), (0.72, 0.42)))
    return found


def _notes(descent: Sequence[Mapping[str, Any]], adam: Sequence[Mapping[str, Any]]) -> list[str]:
    """Say with numbers how far prediction and measurement agree, where they part, and what Adam does."""
    left, predicted = _spans(descent, given=UPDATES), _spans(descent, "predicted", UPDATES)
    solved, with_adam = (
        {variance: _text(estimate) for variance, estimate in _spans(columns).items()}
        for columns in (descent, adam)
    )
    calm = [variance for variance in solved if variance <= CALM]
    off = [_ratio(predicted[variance].span, left[variance].span) or inf for variance in calm]
    short = [_ratio(left[variance].span, _xi(variance)) or inf for variance in calm]
    worst = max(max(ratio, 1 / ratio) for ratio in off)
    near, last, small, large = NEAR[-1], VARIANCES[-1], GAINS[0], LARGE
    return [
        f"Up to a variance of {CALM:g}, the length at which half leave is within {100 * (worst - 1):.0f} % of the "
        f"predicted one. 6 ξ is {min(short):.1f} to {max(short):.1f} times too short.",
        f"Near the critical gain, to leave is not to solve: at a variance of {near:g}, half are predicted to "
        f"leave {_up_to(predicted[near])}, leave {_up_to(left[near])}, and solve up to {solved[near]}.",
        f"Above it: at {last:g}, half are predicted to leave {_up_to(predicted[last])}, and leave "
        f"{_up_to(left[last])}.",
        f"Adam: half solve {with_adam[small]} at {small:g} (gradient descent: {solved[small]}), and "
        f"{with_adam[large]} at {large:g} ({solved[large]}).",
    ]


def _up_to(estimate: SpanEstimate) -> str:
    beyond = estimate.span is None and estimate.low is not None
    return f"beyond T = {estimate.low:.0f}" if beyond else f"up to {_text(estimate)}"


def _text(estimate: SpanEstimate) -> str:
    """The span as a length, or the bound that is known of it."""
    if estimate.span is not None:
        return f"T = {estimate.span:.0f}"
    return f"T > {estimate.low:.0f}" if estimate.low is not None else "no length"


def _curve_of(at: Sequence[float], estimates: Sequence[SpanEstimate]) -> Curve:
    ends = ([getattr(one, name) for one in estimates] for name in ("span", "low", "high"))
    return Curve(at, *ends)


def _by_variance(spans: Spans) -> Curve:
    return _curve_of(list(spans), list(spans.values()))


def _map(title: str, columns: Iterable[Mapping[str, Any]]) -> ShareMap:
    return ShareMap(
        title,
        {
            column["variance"]: {row["length"]: row["solved"] / NETWORKS for row in column["trained"]}
            for column in columns
        },
    )


def table(measured: Mapping[str, Any]) -> str:
    """Return the lengths of every variance as a table in Markdown, and what they cost."""
    descent, adam = measured["momentum"], measured["adam"]
    head = "| variance | 6 ξ | half leave, predicted | half leave, measured | half solve | half solve with Adam |"
    columns = (
        _spans(descent, "predicted", UPDATES),
        _spans(descent, given=UPDATES),
        _spans(descent),
        _spans(adam),
    )
    rows = [
        f"| {variance:g} | {_xi(variance):.1f} | ".replace("inf", "–")
        + " | ".join(spans[variance].short for spans in columns)
        + " |"
        for variance in columns[0]
    ]
    cost = f"Processor time of all trainings and predictions: {minutes(measured):.0f} minutes."
    return "\n".join([head, "|---:" * 6 + "|", *rows]) + f"\n\n{cost}"


def minutes(measured: Mapping[str, Any]) -> float:
    """Return the processor time of all trainings and predictions."""
    return sum(column["cpu_seconds"] for columns in measured.values() for column in columns) / 60


REPRODUCTION = Reproduction(
    "horizon",
    "The horizon: where learning stops, predicted and measured, over gain and length",
    "memspan's own; 6 ξ is that of Schoenholz, Gilmer, Ganguli & Sohl-Dickstein 2017, Deep information "
    "propagation (arXiv:1611.01232)",
    f"tanh networks of {HIDDEN} units, which must answer with the first of T random numbers (`recall`), at "
    f"most {UPDATES:,} updates, batches of 64, gradients clipped to norm 1; momentum 0.9 with learning rate "
    f"0.03, and Adam with 0.01. {NETWORKS} networks in each cell; R is uniform with a variance of "
    f"{VARIANCES[0]} to {VARIANCES[-1]}, divided by {HIDDEN}. A network has left the plateau when its loss "
    f"over the last {WINDOW} updates has fallen below {LEFT} of the trivial risk. It has solved T when its "
    "accuracy on 10,000 sequences drawn after training is at least 0.9. The lengths at which half of the "
    "networks leave or solve have 95 % intervals. The prediction is that of `memspan predict`, for the same "
    "networks. A column ends where, over three lengths, at most one network solves, and nearly all or none "
    "leave the plateau.",
    (
        "6 ξ was found for feedforward networks. Here it stands for a recurrent network that is unrolled "
        "over T steps. Of the paper only the abstract could be read; the formula ξ = -1 / ln χ₁ and the "
        "factor 6 are from two later sources that cite it. It is drawn below the critical gain, where χ₁ < "
        "1.",
        "a cell that was not trained is taken to be unsolved.",
        "the ratios compare single numbers, and with eight networks a predicted length is uncertain too: the "
        "interval of the one that is furthest off, at a variance of 0.6 with 170 updates, is [18.1, 38.8].",
    ),
    measure,
    judge,
    against="rule",
    tried=(
        "the columns of the variances 0.25, 0.4 and 0.6 with seed 1. Half leave at 12.0, 17.7 and 29.6, predicted "
        "11.8, 16.8 and 27.4.",
    ),
    picture=Picture(picture, draw_horizon),
    extra=table,
)
