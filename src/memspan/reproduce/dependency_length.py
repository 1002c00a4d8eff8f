"""The maximum dependency length of Kent & Murray 2024, which one run for each delay decides.

The delay of a square wave grows until training fails, and a search between the last success and the first failure
ends with one number. Here ten such searches differ only in their seeds. Their range shows how much the number
depends on chance.
"""

from collections.abc import Callable
from statistics import mean, median
from typing import Any, NamedTuple

from memspan.errors import MachineFailed
from memspan.execution import find_span
from memspan.reproduce.base import Finding, Options, Reproduction, Verdict, run_each
from memspan.runtime.interrupts import interrupts_deferred
from memspan.study.configuration import Configuration
from memspan.study.group import prepared, run_trial
from memspan.training.history import Outcome

CELLS = {"rnn": "tanh RNN", "gru": "GRU", "lstm": "LSTM"}
"""The names of the three cells on the page."""
SEARCHES = 10
"""The number of searches for each cell."""
LONGEST = 50
"""The longest delay in the paper, learnt by a GRU with 6 layers of 120 units, the best of 384 networks."""
MOST = 512
"""Longer delays are not tried, so that a search ends."""
SPREAD = 1.5
"""The ratio of the longest to the shortest of ten lengths from which on the noise counts as notable."""

SAMPLES = 1024
"""The paper's number of sequences, which is an epoch here."""
SETTING = Configuration(
    task="square-wave/km2024",
    hidden=8,
    optimizer="adam",
    learning_rate=1e-3,
    clip=0,
    batch=32,
    updates=100 * SAMPLES // 32,
    threshold=1.0,
    evaluate_every=SAMPLES // 32,
    final_batches=4,
    evaluation_samples=128,
)
"""The setting of a run, without its cell.

The held-out batches almost certainly contain each of the 11 different sequences. So a threshold of 1 demands that
the network answers all of them correctly."""

MULTIPLES = (1, SEARCHES)
"""memspan's own search is run at this many times the mean cost of a search by the paper's rule."""


class Search(NamedTuple):
    """The result of a search.

    Attributes
    ----------
    length : int
        The longest delay that was learnt; 0 if not even a delay of 1 was.
    steps : int
        The cost: the time steps of all training sequences, in all runs. Evaluations are not included.
    """

    length: int
    steps: int


def dependency_length(learns: Callable[[int], bool], most: int = MOST) -> int:
    """Search for the longest delay that is learnt, with one run for each delay.

    The delay doubles from 1 on until a run fails. Bisection then continues between the last success and the first
    failure. Each decision rests on a single run, and none is reconsidered.

    Parameters
    ----------
    learns : callable
        Takes a delay, and returns whether training succeeds.
    most : int
        A longer delay is not tried.

    Returns
    -------
    int
        The delay of the last success, next to that of a failure (unless the former is `most`); 0 if there was no
        success.
    """
    learnt, failed = 0, 1
    while failed <= most and learns(failed):
        learnt, failed = failed, 2 * failed
    failed = min(failed, most + 1)
    while failed - learnt > 1:
        middle = (learnt + failed) // 2
        if learns(middle):
            learnt = middle
        else:
            failed = middle
    return learnt


def search(argument: tuple[Configuration, int]) -> Search:
    """Search with a new network for each delay. `argument` is the configuration and the number of the search.

    Raises
    ------
    MachineFailed
        If a run ends with an error.
    """
    configuration, number = argument
    task, steps = configuration.make_task(), 0

    def learns(delay: int) -> bool:
        nonlocal steps
        trial = run_trial(configuration, delay, number)
        if trial.outcome is Outcome.FAILED:
            raise MachineFailed(trial.reason)
        steps += trial.updates * configuration.batch * task.shape(delay).steps
        return trial.outcome is Outcome.SOLVED

    return Search(dependency_length(learns), steps)


def measure(options: Options) -> dict[str, dict[str, Any]]:
    """Run the searches, and memspan's own at their mean cost and at the cost of all of them."""
    of_cell = {cell: SETTING.with_(cell=cell, seed=options.seed) for cell in CELLS}
    with interrupts_deferred():  # compiled here once, so that every worker finds the kernels in the cache
        for configuration in of_cell.values():
            prepared(configuration, 1, [0])
    arguments = [(configuration, number) for configuration in of_cell.values() for number in range(SEARCHES)]
    searches = iter(run_each(search, arguments, options, "dependency lengths"))
    measured: dict[str, dict[str, Any]] = {}
    for cell, configuration in of_cell.items():
        lengths, steps = zip(*(next(searches) for _ in range(SEARCHES)), strict=True)
        intervals = [ours(configuration, times * mean(steps), options) for times in MULTIPLES]
        measured[cell] = {"lengths": list(lengths), "steps": list(steps), "intervals": intervals}
    return measured


def ours(configuration: Configuration, cost: float, options: Options) -> dict[str, Any]:
    """Search for the span with an interval, as far as a cost allows: time steps of all training sequences."""
    budget = f"{round(cost / configuration.batch)} steps"
    workers = 0 if options.workers == 1 else options.workers
    seed = configuration.seed + 1  # other networks than those of the searches above
    how: dict[str, Any] = {"longest": MOST, "workers": workers, "progress": options.progress}
    how["repetitions"] = 1  # small rounds, because the cost of one search would pay for few large ones
    found = find_span(configuration.with_(seed=seed), 0.02, budget=budget, first_length=1, **how)
    estimate = found.estimate
    ends = {end: getattr(estimate, end, None) for end in ("low", "span", "high")}
    return ends | {"trainings": found.path.trainings, "steps": found.steps_trained * configuration.batch}


def judge(measured: dict[str, dict[str, Any]]) -> list[Finding]:
    """Compare the searches of each cell with the paper, and with memspan's own intervals."""
    return [finding for cell, found in measured.items() for finding in _findings(CELLS[cell], **found)]


def _findings(cell: str, lengths: list[int], steps: list[int], intervals: list[dict[str, Any]]) -> list[Finding]:
    """Compare the searches of one cell."""
    shortest, longest = min(lengths), max(lengths)
    return [
        Finding(
            f"{cell}: longest delay learnt, one search for each of {len(lengths)} seeds",
            f"at most {LONGEST} (the best of all sizes; the number for this size could not be read)",
            f"{', '.join(map(str, sorted(lengths)))}; median {median(lengths):g}",
            f"differs if all are longer than {LONGEST}; otherwise it cannot be told, because the length depends "
            "on the number of updates, and the paper's is not known",
            Verdict.DIFFERS if shortest > LONGEST else Verdict.UNDECIDED,
        ),
        Finding(
            f"{cell}: noise of the search",
            "notable (no number)",
            f"from {shortest} to {longest}",
            f"the longest of the {len(lengths)} is at least {SPREAD:g} times the shortest",
            Verdict.of(longest > 0 and longest >= SPREAD * shortest),
        ),
        *(
            _compared(cell, longest - shortest, times, interval)
            for times, interval in zip(MULTIPLES, intervals, strict=True)
        ),
    ]


def _compared(cell: str, spread: int, times: int, interval: dict[str, Any]) -> Finding:
    """Compare the range of the searches with the width of memspan's own interval at a multiple of their cost."""
    cost = "the cost of one search" if times == 1 else f"the cost of all {times} searches"
    trainings = f"{interval['steps'] / 1e6:.0f} million time steps, {interval['trainings']} trainings"
    quantity = f"{cell}: width of memspan's 95 % interval of T50 at {cost} ({trainings})"
    low, high = interval["low"], interval["high"]
    closed = low is not None and high is not None
    ours = f"{high - low:.1f} ({low:.1f} to {high:.1f})" if closed else "open on one side"
    published, rule = f"no interval; the searches range over {spread}", "narrower than this range"
    return Finding(quantity, published, ours, rule, Verdict.of(closed and high - low < spread))


REPRODUCTION = Reproduction(
    "dependency-length",
    "The maximum dependency length of a tanh RNN, a GRU and an LSTM (Kent & Murray 2024)",
    "Kent & Murray 2024, A technical note on the architectural effects on maximum dependency lengths of recurrent "
    "neural networks (arXiv:2408.11946)",
    "the task `square-wave/km2024`, and the paper's smallest networks: one layer of 8 units. A search doubles the "
    "delay from 1 on until training fails, and then bisects; every delay has one run with a new network. A run "
    f"succeeds if all held-out sequences are answered correctly in every step, within {SETTING.updates:,} updates "
    f"of Adam with learning rate {SETTING.learning_rate:g} and batches of {SETTING.batch} sequences. "
    f"{SEARCHES} searches for each cell differ only in their seeds. "
    f"A further search would lie in their range with a probability of at least {SEARCHES - 1}/{SEARCHES + 1}. "
    "The cost is the number of time steps of all training sequences.",
    (
        "only the paper's abstract, its introduction and public summaries could be read. They state the task, "
        "Adam, the cross-entropy, the growth of the delay until a failure, and the search that follows. Choices "
        "made here are the growth by doubling, the bisection, a new network for each delay, the criterion of "
        "success, the learning rate, the batch size and the number of updates. The initial weights are the "
        "defaults of the cells.",
        "every update uses new sequences. The paper trains on 1,024 sequences, so 100 epochs of them are as many "
        "updates as here.",
    ),
    measure,
    judge,
    tried=(
        f"four times as many updates, {4 * SETTING.updates:,}, in the first two searches of each cell. They end "
        "at 48 and 41 (tanh RNN), 63 and 192 (GRU), and 70 and 57 (LSTM).",
    ),
    changed=(
        f"the rule for the lengths. Before: they agreed if all ten were at most {LONGEST}, and they were. Then "
        "four times as many updates gave longer ones. Now: they can differ, but not agree.",
    ),
)
