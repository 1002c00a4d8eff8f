"""Hochreiter & Schmidhuber 1997, experiments 4 and 6a: how many sequences until an LSTM has learnt the task."""

from dataclasses import dataclass

import numpy as np

from memspan.engines.compiled import CompiledEngine
from memspan.losses import MSELoss
from memspan.network import Network
from memspan.reproduce.base import Finding, Options, Reproduction, mean_agrees, run_each
from memspan.shapes import Array
from memspan.tasks import Batches, get_task
from memspan.training.history import Outcome
from memspan.training.learner import Learner
from memspan.training.optimizers import SGD

LENGTH, UNITS = 100, 4
WITHOUT_MISTAKE = 2000  # sequences, after which training stops
TEST = 2560
SOURCE = "Hochreiter & Schmidhuber 1997, Neural Computation 9(8) (doi:10.1162/neco.1997.9.8.1735)"


@dataclass(frozen=True)
class Run:
    """One network, trained a sequence at a time.

    Attributes
    ----------
    task : str
    rate : float
        The paper's, for half the sum of squared errors.
    biases : tuple of float
        Of the input gates at the beginning, one for each unit.
    error : float
        A training error below this is asked for as well.
    most : int
        Sequences after which it is given up.
    seed : tuple of int
    """

    task: str
    rate: float
    biases: tuple[float, ...]
    error: float
    most: int
    seed: tuple[int, ...]


class Watched(MSELoss):
    """The mean squared error, which keeps the largest error of every answer that it sees.

    It has no `into` of its own, so that the compiled engine calls `forward`.
    """

    def __init__(self) -> None:
        super().__init__(masked=True)
        self.largest: list[float] = []

    def forward(self, y_hat: Array, y: Array) -> float:
        """As in `MSELoss`."""
        self.largest.append(float(np.nanmax(np.abs(y_hat - y))))
        return super().forward(y_hat, y)


def learn(run: Run) -> tuple[int | None, int]:
    """Sequences until the stopping criterion, or None, and how many of the test's are then answered wrongly."""
    task = get_task(run.task)
    for_weights, for_training, for_test = np.random.SeedSequence(run.seed).spawn(3)
    _, features, outputs, output_steps = task.shape(LENGTH)
    rng = np.random.default_rng(for_weights)
    network = Network("lstm-1997", features, UNITS, outputs, output_steps=output_steps, dtype="float32", rng=rng)
    network.parameters[:] = rng.uniform(-0.1, 0.1, network.parameters.size)
    network.weights.bs[:UNITS, 0] = run.biases
    loss = Watched()
    rule = SGD(run.rate * outputs / 2)  # of the mean squared error, which is 2/O of half the sum
    learner = Learner(network, loss, Batches(task, LENGTH, 1, for_training, "float32"), rule)
    success = _train(learner, loss, task.tolerance, run)  # type: ignore[attr-defined]
    x, y = task.sample(LENGTH, TEST, np.random.default_rng(for_test))
    wrong = round(TEST * (1 - task.accuracy(network.predict(x.astype(np.float32)), y)))
    return success, wrong


def _train(learner: Learner, loss: Watched, tolerance: float, run: Run) -> int | None:
    """Train to the sequence at which the stopping criterion is met, and not one further; which that is."""
    right, success = 0, False

    def met(learner: Learner) -> bool:
        nonlocal right, success
        right = right + 1 if loss.largest[-1] < tolerance else 0
        success = right >= WITHOUT_MISTAKE and bool(np.mean(learner.history.loss[-WITHOUT_MISTAKE:]) < run.error)
        return success

    result = learner.fit(
        run.most,
        evaluate_every=run.most,
        final_batches=1,
        stop_when_solved=False,
        progress=False,
        observe=met,
    )
    if result.outcome is Outcome.INTERRUPTED:
        raise KeyboardInterrupt
    return learner.updates if success else None


@dataclass(frozen=True)
class Published:
    """A row of table 7 or 9."""

    task: str
    rate: float
    biases: tuple[float, ...]
    error: float
    trials: int
    sequences: int

    def __call__(self, options: Options) -> list[Finding]:
        """Run as many trials as the paper."""
        most = 20 * self.sequences
        seeds = [(options.seed, trial) for trial in range(self.trials)]
        runs = [Run(self.task, self.rate, self.biases, self.error, most, seed) for seed in seeds]
        _compile(self.task)
        found = run_each(learn, runs, options, self.task)
        return self.findings(found)

    def findings(self, found: list[tuple[int | None, int]]) -> list[Finding]:
        """What the paper says of them, and what came out."""
        counts = [count for count, _ in found if count is not None]
        successes = f"{len(counts)} of {len(found)} trials"
        every = len(counts) == len(found)
        all_solved = Finding("trials that reach the stopping criterion", "all", successes, "all", every)
        if len(counts) < 2:
            return [all_solved]
        ours, rule, alike = mean_agrees(self.sequences, self.trials, counts, ",.0f")
        wrong = [errors for count, errors in found if count is not None]
        return [
            all_solved,
            Finding(
                "sequences until then", f"{self.sequences:,} (mean of {self.trials})", ours, rule, alike and every
            ),
            Finding(
                f"wrong answers to {TEST} held-out sequences",
                "1 on average, never more than 3",
                f"{np.mean(wrong):.1f} on average, at most {max(wrong)}",
                "on average at most 3",
                bool(np.mean(wrong) <= 3),
            ),
        ]


def _compile(task: str) -> None:
    """Once here, then it is on disk for every process."""
    _, features, outputs, output_steps = get_task(task).shape(LENGTH)
    network = Network("lstm-1997", features, UNITS, outputs, output_steps=output_steps, dtype="float32", rng=0)
    CompiledEngine(network.layout, network.dtype, Watched(), output_steps=output_steps)


DIFFERENCES = (
    "each of the 4 units has gates of its own, which see the units but not the gates of the step before; the "
    "paper joins two units under a pair of gates.",
    "the gradient is that of the whole sequence; the paper truncates it at the gates.",
    "the output is linear; the paper's goes through a logistic function.",
)

ADDING = Reproduction(
    "adding-1997",
    "The adding problem of 1997, T = 100",
    f"{SOURCE}, experiment 4, table 7",
    "`adding/hs97`, cell `lstm-1997` with 4 units, weights U(-0.1, 0.1), biases of the input gates -3, -3, -6, "
    "-6, one sequence at a time, plain gradient descent with rate 0.5, until the training error is below 0.01 and "
    "the last 2000 sequences were answered within 0.04; 10 trials.",
    DIFFERENCES,
    "",
    Published("adding/hs97", 0.5, (-3.0, -3.0, -6.0, -6.0), 0.01, 10, 74_000),
)

ORDER = Reproduction(
    "order-1997",
    "Temporal order of 1997, two events, T = 100",
    f"{SOURCE}, experiment 6a, table 9",
    "`order/hs97-2`, cell `lstm-1997` with 4 units, weights U(-0.1, 0.1), biases of the input gates -2, -2, -4, "
    "-4, one sequence at a time, plain gradient descent with rate 0.5, until the training error is below 0.1 and "
    "the last 2000 sequences were classified correctly; 20 trials.",
    DIFFERENCES,
    "",
    Published("order/hs97-2", 0.5, (-2.0, -2.0, -4.0, -4.0), 0.1, 20, 31_390),
)
