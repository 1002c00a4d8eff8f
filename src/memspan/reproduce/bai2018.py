"""Bai, Kolter & Koltun 2018: the LSTM and the copying problem."""

import numpy as np

from memspan.reproduce.base import Finding, Options, Reproduction, trained
from memspan.study import Study

SOURCE = "Bai, Kolter & Koltun 2018, An empirical evaluation of generic convolutional and recurrent networks"
ARXIV = "arXiv:1803.01271"
UPDATES = 15_650
"""50 epochs of 10,000 sequences, 32 at a time."""

COMMON = {"task": "copying/tcn", "cell": "lstm", "optimizer": "rmsprop", "learning_rate": 5e-4, "clip": 0.0}
BASELINE = Study(**COMMON, hidden=61, batch=32, updates=UPDATES, lengths=(1000,), repetitions=3, threshold=1.0)
"""16,000 weights."""
FIGURE_5 = Study(
    **COMMON, hidden=48, batch=32, updates=UPDATES, lengths=(5, 10, 20, 50, 100), repetitions=3, threshold=1.0
)
"""10,000 weights."""
SHORT_BASELINE = {"updates": 1500, "repetitions": 2}
SHORT_FIGURE_5 = {"repetitions": 2}

DIFFERENCES = (
    "new sequences at every update instead of 10,000 that are used again.",
    "rate and optimiser are those of the authors' code for their own network; those of their LSTM are in a "
    "supplement.",
)


def baseline(options: Options) -> list[Finding]:
    """Table 1: an LSTM at T = 1000 stays where one is who knows when to answer blank, and guesses."""
    result = trained(BASELINE if options.full else BASELINE.with_(**SHORT_BASELINE), options)
    trials, task = result.of_length(1000), result.study.configuration.make_task()
    trivial, chance = task.trivial_risk(1000), task.chance_accuracy(1000)
    losses, accuracies = ([getattr(trial, name) for trial in trials] for name in ("loss", "accuracy"))
    return [
        Finding(
            "cross-entropy at T = 1000",
            "0.0204",
            ", ".join(f"{loss:.4f}" for loss in losses),
            f"each within 2 % of 10 log(8) / 1020 = {trivial:.4f}",
            all(abs(loss / trivial - 1) <= 0.02 for loss in losses),
        ),
        Finding(
            "accuracy on the last 10 symbols",
            f"not told; a guess gets {chance:g}",
            ", ".join(f"{accuracy:.3f}" for accuracy in accuracies),
            "–",
            None,
        ),
    ]


def figure_5(options: Options) -> list[Finding]:
    """Figure 5: the accuracy of an LSTM of 10,000 weights on the last 10 symbols, against T."""
    result = trained(FIGURE_5 if options.full else FIGURE_5.with_(**SHORT_FIGURE_5), options)
    means = {
        length: float(np.mean([trial.accuracy for trial in result.of_length(length)]))
        for length in result.study.lengths
    }
    curve = ", ".join(f"{mean:.2f}" for mean in means.values())
    lengths = ", ".join(map(str, means))
    return [
        Finding(
            f"accuracy at T = {lengths}",
            "falls with T",
            curve,
            "each at most 0.02 above the one before",
            all(
                later <= earlier + 0.02
                for earlier, later in zip(means.values(), [*means.values()][1:], strict=False)
            ),
        ),
        Finding("accuracy at T = 50", "below 0.20", f"{means[50]:.3f}", "below 0.20", means[50] < 0.2),
        Finding(
            "accuracy at T = 5",
            "not told",
            f"{means[5]:.3f}",
            "–",
            None,
        ),
    ]


COPYING = Reproduction(
    "copying-baseline",
    "The copying problem at T = 1000: an LSTM stays at the baseline",
    f"{SOURCE} ({ARXIV}), table 1",
    "`copying/tcn`, cell `lstm` with 61 units (16,000 weights), RMSprop 5e-4, batches of 32, 15,650 updates, 3 "
    "networks. No clipping: the authors' code clips gradients before they are computed, which does nothing.",
    DIFFERENCES,
    "1500 updates and 2 networks.",
    baseline,
)
CURVE = Reproduction(
    "copying-by-length",
    "The copying problem: the accuracy of an LSTM against T",
    f"{SOURCE} ({ARXIV}), figure 5",
    "`copying/tcn`, cell `lstm` with 48 units (10,000 weights), RMSprop 5e-4, batches of 32, 15,650 updates, 3 "
    "networks a length. No clipping: the authors' code clips gradients before they are computed, which does "
    "nothing.",
    DIFFERENCES,
    "2 networks a length.",
    figure_5,
)
