"""Bai, Kolter & Koltun 2018: the LSTM and the copying problem."""

from itertools import pairwise

import numpy as np

from memspan.reproduce.base import Finding, Options, Reproduction, Verdict, trained
from memspan.study import Study

SOURCE = "Bai, Kolter & Koltun 2018, An empirical evaluation of generic convolutional and recurrent networks"
ARXIV = "arXiv:1803.01271"
UPDATES = 15_650
"""50 epochs of 10,000 sequences, 32 at a time."""
SHORT = 1_500
"""About a tenth of these."""
LENGTHS = (5, 10, 20, 50, 100)

COMMON = {
    "task": "copying/tcn",
    "cell": "lstm",
    "hidden": 50,
    "optimizer": "rmsprop",
    "learning_rate": 5e-4,
    "clip": 1.0,
    "batch": 32,
    "threshold": 1.0,
}
BASELINE = Study(**COMMON, updates=UPDATES, evaluate_every=UPDATES, lengths=(1000,), repetitions=2)
FIGURE_5 = Study(**COMMON, updates=UPDATES, evaluate_every=UPDATES, lengths=LENGTHS, repetitions=3)

Scores = dict[str, dict[str, list[float]]]
"""Of each length as a string the `loss` and `accuracy` of every network, and in `updates` how many it had."""


def _scores(study: Study, options: Options) -> Scores:
    result = trained(study, options)
    return {
        str(length): {
            name: [getattr(trial, name) for trial in result.of_length(length)]
            for name in ("updates", "loss", "accuracy")
        }
        for length in study.lengths
    }


def measure_baseline(options: Options) -> Scores:
    """Networks at T = 1000."""
    return _scores(BASELINE if options.full else BASELINE.with_(updates=SHORT, evaluate_every=SHORT), options)


def judge_baseline(measured: Scores) -> list[Finding]:
    """Table 1: an LSTM at T = 1000 does as well as an answer that is blank at the right steps and then guesses."""
    task, found = BASELINE.configuration.make_task(), measured["1000"]
    trivial, chance = task.trivial_risk(1000), task.chance_accuracy(1000)
    done = min(found["updates"]) >= UPDATES
    near = all(abs(loss / trivial - 1) <= 0.02 for loss in found["loss"])
    rule = f"each within 2 % of 10 log(8) / 1020 = {trivial:.4f}, after all {UPDATES:,} updates"
    return [
        Finding(
            f"cross-entropy at T = 1000, after {min(found['updates']):,.0f} updates",
            "0.0204",
            ", ".join(f"{loss:.4f}" for loss in found["loss"]),
            rule,
            Verdict.of(near) if done or not near else Verdict.UNDECIDED,
        ),
        Finding(
            "accuracy on the last 10 symbols",
            f"not published; a guess gets {chance:g}",
            ", ".join(f"{accuracy:.3f}" for accuracy in found["accuracy"]),
            "–",
            Verdict.NOT_COMPARED,
        ),
    ]


def measure_figure_5(options: Options) -> Scores:
    """Networks at each length."""
    return _scores(FIGURE_5 if options.full else FIGURE_5.with_(repetitions=2), options)


def judge_figure_5(measured: Scores) -> list[Finding]:
    """Figure 5: the accuracy of an LSTM of 10,000 weights on the last 10 symbols, against T."""
    means = {int(length): float(np.mean(found["accuracy"])) for length, found in measured.items()}
    each = "each at most 0.02 above the one before"
    falls = all(later <= earlier + 0.02 for earlier, later in pairwise(means.values()))
    return [
        Finding(
            f"accuracy at T = {', '.join(map(str, means))}",
            "falls with T",
            ", ".join(f"{mean:.2f}" for mean in means.values()),
            each,
            Verdict.of(falls),
        ),
        Finding("accuracy at T = 50", "below 0.20", f"{means[50]:.3f}", "below 0.20", Verdict.of(means[50] < 0.2)),
        Finding("accuracy at T = 5", "not published", f"{means[5]:.3f}", "–", Verdict.NOT_COMPARED),
    ]


SETTING = (
    "`copying/tcn`, cell `lstm` with 50 units and gradients clipped to a norm of 1 (table 3, T = 1000), RMSprop "
    "5e-4, batches of 32, 15,650 updates"
)
DIFFERENCES = (
    "new sequences at every update instead of 10,000 that are used again.",
    "no dropout, where table 3 has 0.05.",
    "optimiser and rate are those of the authors' code for their own network; table 3 does not give a rate.",
    "initial weights, and a forget-gate bias of 1, are those of the cell here; table 3 gives no bias for this "
    "task.",
)
TABLE_1 = ("50 units make 11,000 weights, where table 1 says 16,000.",)
CHANGED = (
    "a guess's accuracy was to be met within 0.02, and twice that of a guess at T = 5; nothing of the kind is "
    "published, and both are now given without a verdict.",
    "61 and 48 units without clipping, after the authors' code for their own network, before table 3 was read.",
)

COPYING = Reproduction(
    "copying-baseline",
    "The copying problem at T = 1000: an LSTM stays at the baseline",
    f"{SOURCE} ({ARXIV}), table 1",
    f"{SETTING}, {BASELINE.repetitions} networks.",
    (*DIFFERENCES, *TABLE_1),
    measure_baseline,
    judge_baseline,
    shortened=f"{SHORT} updates, {100 * SHORT / UPDATES:.0f} % of all: too few to say that it never leaves the "
    "baseline.",
    changed=CHANGED,
)
CURVE = Reproduction(
    "copying-by-length",
    "The copying problem: the accuracy of an LSTM against T",
    f"{SOURCE} ({ARXIV}), figure 5",
    f"{SETTING}, {FIGURE_5.repetitions} networks a length.",
    (*DIFFERENCES, "table 3 begins at T = 500; here its settings for T = 1000 are taken at every T."),
    measure_figure_5,
    judge_figure_5,
    shortened="2 networks a length.",
    changed=CHANGED,
)
