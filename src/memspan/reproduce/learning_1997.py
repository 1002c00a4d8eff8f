"""One trial of an experiment of 1997: one sequence after the other, until a network has learnt the task."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from memspan.losses import MSELoss
from memspan.network import Network
from memspan.reproduce.network_1997 import Network1997
from memspan.shapes import Array
from memspan.tasks import Batches, get_task
from memspan.tasks.base import Batch, WithinTolerance
from memspan.training.history import Outcome
from memspan.training.learner import Learner
from memspan.training.optimizers import SGD

LENGTH, SIZE = 100, 2
WITHOUT_MISTAKE = 2000  # sequences, after which training stops
TEST = 2560


@dataclass(frozen=True)
class Experiment:
    """A row of table 7 or 9.

    Attributes
    ----------
    task : str
    rate : float
        For half the sum of squared errors.
    biases : tuple of float
        Of the input gates at the beginning, one for each block of two cells.
    error : float
        Training goes on until the mean absolute error is below this; so is the paper's test error in every trial.
    trials, sequences : int
        How many trials, and how many sequences they took on average.
    """

    task: str
    rate: float
    biases: tuple[float, ...]
    error: float
    trials: int
    sequences: int

    @property
    def most(self) -> int:
        """Sequences after which a trial is given up."""
        return 10 * self.sequences


Argument = tuple[Experiment, tuple[int, ...]]
"""An experiment, and the seed of a trial."""


class Trial(NamedTuple):
    """How a network learnt.

    Attributes
    ----------
    sequences : int or None
        Until the stopping criterion was met; None if it never was.
    wrong : int
        How many of the test's sequences are then answered wrongly.
    error : float
        The mean absolute error of the test.
    """

    sequences: int | None
    wrong: int
    error: float


class Criterion:
    """Whether training stops: the last 2000 sequences were answered correctly, with a small mean error.

    Errors are absolute. The paper says only "average training error"; section 5.3 calls such a mean absolute, and
    with 2000 answers within 0.04 the mean of squares is below 0.01 anyway. (Table 8 calls the error of a test
    "MSE", but with outputs and labels in [0, 1] no 14 wrong answers of 2560 make a mean of squares of 0.0139.)
    """

    def __init__(self, tolerance: float, error: float) -> None:
        self.tolerance, self.error = tolerance, error
        self.right = 0
        self.recent: deque[float] = deque(maxlen=WITHOUT_MISTAKE)

    def met(self, errors: Array) -> bool:
        """After one more sequence, with the absolute error of each output."""
        self.right = self.right + 1 if errors.max() < self.tolerance else 0
        self.recent.append(float(errors.mean()))
        return self.right >= WITHOUT_MISTAKE and bool(np.mean(self.recent) < self.error)


def at_end(task: WithinTolerance, batch: Batch) -> Iterator[tuple[Array, Array]]:
    """Each sequence of a batch up to its own end, and its label."""
    end = np.isfinite(batch.y[..., 0]).argmax(axis=0)
    first = len(batch.x) - len(batch.y) + 1
    for k, beyond in enumerate(end):
        yield np.ascontiguousarray(batch.x[: first + beyond, k]), batch.y[beyond, k]


def learn_as_in_paper(argument: Argument, logistic: bool = True) -> Trial:
    """Train the paper's network, a sequence at a time."""
    experiment, seed = argument
    task = get_task(experiment.task)
    assert isinstance(task, WithinTolerance)
    for_weights, for_training, for_test = np.random.SeedSequence(seed).spawn(3)
    _, features, outputs, _ = task.shape(LENGTH)
    rng = np.random.default_rng(for_weights)
    network = Network1997.draw(rng, features, outputs, experiment.biases, SIZE, logistic)
    rng, criterion = np.random.default_rng(for_training), Criterion(task.tolerance, experiment.error)
    success, count = None, 0
    while success is None and count < experiment.most:
        for x, y in at_end(task, task.sample(LENGTH, min(500, experiment.most - count), rng)):
            count += 1
            if criterion.met(abs(network.learn(x, y, experiment.rate) - y)):
                success = count
                break
    test = task.sample(LENGTH, TEST, np.random.default_rng(for_test))
    errors = np.array([abs(network.predict(x) - y) for x, y in at_end(task, test)])
    return Trial(success, int((errors.max(axis=1) > task.tolerance).sum()), float(errors.mean()))


class Watched(MSELoss):
    """The mean squared error, which keeps the absolute errors of the last answer that it saw.

    It has no `into` of its own, so that the compiled engine calls `forward`.
    """

    def __init__(self) -> None:
        super().__init__(masked=True)
        self.errors = np.zeros(0)

    def forward(self, y_hat: Array, y: Array) -> float:
        """As in `MSELoss`."""
        errors = abs(y_hat - y)
        self.errors = errors[np.isfinite(errors)]
        return super().forward(y_hat, y)


def learn_with_cell(argument: Argument) -> Trial:
    """Train the cell `lstm-1997`, a sequence at a time."""
    experiment, seed = argument
    task = get_task(experiment.task)
    assert isinstance(task, WithinTolerance)
    for_weights, for_training, for_test = np.random.SeedSequence(seed).spawn(3)
    rng = np.random.default_rng(for_weights)
    network, units = cell_network(experiment, rng), SIZE * len(experiment.biases)
    network.parameters[:] = rng.uniform(-0.1, 0.1, network.parameters.size)
    network.weights.bs[:units, 0] = np.repeat(experiment.biases, SIZE)
    loss = Watched()
    rule = SGD(experiment.rate * task.shape(LENGTH).outputs / 2)  # of the mean squared error, 2/O of half the sum
    learner = Learner(network, loss, Batches(task, LENGTH, 1, for_training, "float32"), rule)
    success = _train(learner, loss, Criterion(task.tolerance, experiment.error), experiment.most)
    x, y = task.sample(LENGTH, TEST, np.random.default_rng(for_test))
    answers = network.predict(x.astype(np.float32))
    wrong = round(TEST * (1 - task.accuracy(answers, y)))
    return Trial(success, wrong, float(np.nanmean(abs(answers - y))))


def cell_network(experiment: Experiment, rng: np.random.Generator | int) -> Network:
    """The cell `lstm-1997`, with as many units as the paper's network has cells."""
    _, features, outputs, output_steps = get_task(experiment.task).shape(LENGTH)
    units = SIZE * len(experiment.biases)
    return Network("lstm-1997", features, units, outputs, output_steps=output_steps, dtype="float32", rng=rng)


def _train(learner: Learner, loss: Watched, criterion: Criterion, most: int) -> int | None:
    """Train to the sequence at which the criterion is met, and not one further; which that is."""
    success = False

    def observe(learner: Learner) -> bool:
        nonlocal success
        success = criterion.met(loss.errors)
        return success

    result = learner.fit(
        most, evaluate_every=most, final_batches=1, stop_when_solved=False, progress=False, observe=observe
    )
    if result.outcome is Outcome.INTERRUPTED:
        raise KeyboardInterrupt
    return learner.updates if success else None
