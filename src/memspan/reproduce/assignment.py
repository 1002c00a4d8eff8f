"""The memory task of the assignment (Kratzert 2019): the error of ten tanh units, as a function of the length.

The recurrent weights start as the identity. The published numbers come from two public solutions.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from memspan.reproduce.base import Finding, Options, Reproduction, Verdict, trained
from memspan.span import SolvedShare
from memspan.study import Study

LENGTHS = (2, 5, 10, 15, 20)
SEEDS = 5
"""The number of consecutive seeds with which each study is run. With a single seed the verdicts depend on it."""
REMOVED = 0.9
"""A network that removes this fraction of the trivial risk counts as having learnt the task."""

NETWORK = {"cell": "rnn", "init": "identity-lecun", "hidden": 10, "batch": 1024, "optimizer": "sgd", "clip": 0.0}
STUDY = Study(**NETWORK, learning_rate=1e-2, updates=5000, lengths=LENGTHS, repetitions=10, threshold=1.0)
"""The setting of the second public solution."""
SWEEP = STUDY.with_(learning_rate=4e-3, updates=3000, repetitions=5)
"""The sweep over lengths of the first public solution.

Its code states a learning rate of 1e-3, but divides the loss by 256 for batches of 1024. So the rate is 4e-3."""
ONE = STUDY.with_(learning_rate=4e-2, lengths=(10,))
"""The longest run of the first public solution. Its stated learning rate of 1e-2 corresponds to 4e-2."""

SINGLE = 0.011
"""The mean squared error of the longest run, read off a figure."""
PUBLISHED = {2: (0.01, 0.01), 5: (0.03, 0.03), 10: (0.04, 0.04), 15: (0.09, 0.09), 20: (0.12, 0.2)}
"""The mean squared error of five runs after 3000 updates, by length: the lower and upper reading of a figure."""

Losses = dict[str, dict[str, list[float]]]
"""The mean squared errors of all networks, by study and by length (as a string)."""


def measure(options: Options) -> Losses:
    """Run the three studies with each seed."""
    found: Losses = {}
    for name, study in (("one", ONE), ("sweep", SWEEP), ("study", STUDY)):
        losses = found[name] = {str(length): [] for length in study.lengths}
        for seed in range(options.seed, options.seed + SEEDS):
            result = trained(study, Options(options.full, options.workers, seed, options.progress))
            for length in study.lengths:
                losses[str(length)] += [trial.loss for trial in result.of_length(length)]
    return found


def judge(measured: Losses) -> list[Finding]:
    """Compare the errors, and the statements of the second solution about its predictions."""
    sweep, study = ({int(T): losses for T, losses in measured[name].items()} for name in ("sweep", "study"))
    return [
        _single(measured["one"]["10"]),
        *(_mean(length, losses) for length, losses in sweep.items()),
        _curve(study),
        *_claims(study),
    ]


def nearest(length: int) -> tuple[float, float]:
    """Return the range of errors whose nearest published error is that of `length`.

    Distances are ratios, so the ends are geometric means of neighbouring published errors.
    """
    ends = [0.0, *(float(np.sqrt(a[1] * b[0])) for a, b in pairwise(PUBLISHED.values())), np.inf]
    number = list(PUBLISHED).index(length)
    return ends[number], ends[number + 1]


def _mean(length: int, losses: Sequence[float]) -> Finding:
    """Judge whether the 95 % interval of the mean fits this length and no other."""
    from scipy.stats import t

    n, mean = len(losses), float(np.mean(losses))
    reach = float(t.ppf(0.975, n - 1) * np.std(losses, ddof=1)) / n**0.5
    (low, high), (least, most) = PUBLISHED[length], nearest(length)
    paper = f"{low:g}" if low == high else f"{low:g} to {high:g}"
    between = f"between {least:.2g} and {most:.2g}" if most < np.inf else f"above {least:.2g}"
    return Finding(
        f"mean squared error at T = {length}, after 3000 updates at learning rate 0.004",
        f"{paper} (read off a figure)",
        f"{mean:.3g}, 95 % interval {mean - reach:.3g} to {mean + reach:.3g} (mean of {n})",
        f"the interval lies {between}, where this published number is the nearest of the five",
        Verdict.within(mean - reach, mean + reach, least, most),
    )


def _single(losses: Sequence[float]) -> Finding:
    """Compare with the single published run.

    It differs if it lies outside the central 95 % of the measured runs. It agrees only if these runs span at most
    a factor of 2, because a wider range would contain almost any number.
    """
    low, high = (float(np.quantile(losses, end)) for end in (0.025, 0.975))
    inside, narrow = low <= SINGLE <= high, high / low <= 2
    return Finding(
        "mean squared error at T = 10, after 5000 updates at learning rate 0.04",
        f"{SINGLE:g} (one run, read off a figure)",
        f"{low:.3g} to {high:.3g} (central 95 % of {len(losses)} runs), mean {np.mean(losses):.3g}",
        "the published run lies in this range, and the range spans at most a factor of 2; differs if it lies "
        "outside",
        Verdict.DIFFERS if not inside else Verdict.AGREES if narrow else Verdict.UNDECIDED,
    )


def _curve(losses: dict[int, list[float]]) -> Finding:
    """Report the errors at the learning rate that both solutions state. Neither published numbers for it."""
    return Finding(
        f"mean squared error at T = {', '.join(map(str, LENGTHS))}, after 5000 updates at learning rate 0.01",
        "not published",
        ", ".join(f"{np.mean(losses[length]):.3g}" for length in LENGTHS),
        "–",
        Verdict.NOT_COMPARED,
    )


def _claims(losses: dict[int, list[float]]) -> list[Finding]:
    """Judge the statements of the second solution, whose author rated ten networks per length by eye."""
    trivial = STUDY.configuration.make_task().trivial_risk(10)

    def finding(length: int, claim: str, rule: str, least: float, most: float) -> Finding:
        removed = [loss <= (1 - REMOVED) * trivial for loss in losses[length]]
        found = SolvedShare.of(sum(removed), len(removed))
        what = (
            f"networks that remove at least {100 * REMOVED:g} % of the trivial risk at T = {length}, after 5000 "
            "updates at learning rate 0.01"
        )
        ours = (
            f"{found.solved} of {found.trials} (95 % interval of the share: {found.low:.2f} to {found.high:.2f})"
        )
        return Finding(
            what, claim, ours, f"the 95 % interval lies {rule}", Verdict.within(found.low, found.high, least, most)
        )

    return [
        finding(10, "good (judged by eye)", "above one half", 0.5, 1),
        finding(15, "first problems (judged by eye)", "between one quarter and one half", 0.25, 0.5),
        finding(20, "fails (judged by eye)", "below one quarter", 0, 0.25),
    ]


REPRODUCTION = Reproduction(
    "assignment",
    "The memory task of the assignment (Kratzert 2019), T = 2 to 20",
    "Two public solutions (https://github.com/rnbwdsh/lstm_rnn and https://github.com/danilyef/RNN-Numpy) of "
    "Kratzert 2019, assignment 2 of LSTM and Recurrent Neural Nets, JKU Linz",
    "the task `recall` and the cell `rnn` with 10 units. R starts as the identity; W and V are drawn from "
    "U(±√(3 / fan-in)). Plain gradient descent with batches of 1024 sequences. Each of three studies is run with "
    f"{SEEDS} seeds.",
    (
        "learning rates. One solution divides its gradient by 256, although its batches have 1024 sequences. Its "
        "stated rates of 0.01 and 0.001 therefore correspond to 0.04 and 0.004, which are used here.",
        "float32 instead of float64.",
    ),
    measure,
    judge,
    changed=(
        "the rules for the statements judged by eye. Before: at T = 10 the 95 % interval of the share reaches "
        "one half or more, at T = 15 fewer networks learn the task than at T = 10, at T = 20 the interval lies "
        "below one half. After the first run the rules at T = 10 and 15 became a share of at least one half and "
        "of less than one half. Now: each length has its own range of shares, and "
        "the ranges do not overlap.",
        "the rule for the mean squared errors. Before: an error agreed if it lay within the spread of the runs "
        "and the uncertainty of reading the figure; after the first run, never beyond a factor of 2. Now: the "
        "95 % interval of the mean must lie where the published error of its length is the nearest, and a single "
        "published run agrees only if the measured runs span at most a factor of 2.",
        f"the number of seeds. Before: one. A second seed gave other verdicts. Now: {SEEDS}.",
    ),
)
