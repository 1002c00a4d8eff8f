"""One trial of an experiment in Hochreiter & Schmidhuber 1997.

A network is trained on one sequence at a time until it has learnt the task.
"""

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

LENGTH = 100
"""T of both experiments."""
SIZE = 2
"""Cells in a block of the paper's network."""
WITHOUT_MISTAKE = 2000
"""Successive sequences that must be answered correctly before training stops."""
TEST = 2560
"""Held-out sequences after training."""


@dataclass(frozen=True)
class Experiment:
    """An experiment, from a row of table 7 or 9 of the paper.

    Attributes
    ----------
    task : str
        The name of the task.
    rate : float
        The learning rate, for a loss of half the sum of squared errors.
    biases : tuple of float
        The initial biases of the input gates, one for each block of two cells.
    error : float
        The bound on the mean absolute error: training stops only below it, and the paper's test error is below it
        in every trial.
    trials : int
        The paper's number of trials.
    sequences : int
        The mean number of training sequences in the paper.
    """

    task: str
    rate: float
    biases: tuple[float, ...]
    error: float
    trials: int
    sequences: int

    @property
    def most(self) -> int:
        """The number of sequences after which a trial ends without success."""
        return 10 * self.sequences


Argument = tuple[Experiment, tuple[int, ...]]
"""The experiment and the seed of a trial."""


class Trial(NamedTuple):
    """The result of a trial.

    Attributes
    ----------
    sequences : int or None
        The number of training sequences until the stopping criterion was met; None if it was not met.
    wrong : int
        The number of held-out sequences that the trained network answers wrongly.
    error : float
        The mean absolute error on the held-out sequences.
    """

    sequences: int | None
    wrong: int
    error: float


class Criterion:
    """The stopping criterion: the last 2000 sequences were answered correctly, with a small mean absolute error.

    The paper writes only "average training error". It must mean the absolute error: section 5.3 names it for such
    an average, and the mean squared error of 2000 answers within 0.04 is below 0.01 anyway. (Table 8 calls a test
    error "MSE", but with outputs and labels in [0, 1], 14 wrong answers of 2560 cannot give a mean squared error
    of 0.0139.)

    Parameters
    ----------
    tolerance : float
        The absolute error below which an output is correct.
    error : float
        The bound on the mean absolute error.
    """

    def __init__(self, tolerance: float, error: float) -> None:
        self.tolerance, self.error = tolerance, error
        self.right = 0
        self.recent: deque[float] = deque(maxlen=WITHOUT_MISTAKE)

    def met(self, errors: Array) -> bool:
        """Record the absolute errors of the outputs of one sequence, and return whether training stops."""
        self.right = self.right + 1 if errors.max() < self.tolerance else 0
        self.recent.append(float(errors.mean()))
        return self.right >= WITHOUT_MISTAKE and bool(np.mean(self.recent) < self.error)


def at_end(task: WithinTolerance, batch: Batch) -> Iterator[tuple[Array, Array]]:
    """Yield each sequence of a batch without its padding, and its label."""
    end = np.isfinite(batch.y[..., 0]).argmax(axis=0)
    first = len(batch.x) - len(batch.y) + 1
    for k, beyond in enumerate(end):
        yield np.ascontiguousarray(batch.x[: first + beyond, k]), batch.y[beyond, k]


def learn_as_in_paper(argument: Argument, logistic: bool = True) -> Trial:
    """Run a trial with the paper's network."""
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
    """The mean squared error. It also stores the absolute errors of the last answer in `errors`.

    The class defines no `into`, so the compiled engine calls `forward` instead of a compiled loss.
    """

    def __init__(self) -> None:
        super().__init__(masked=True)
        self.errors = np.zeros(0)

    def forward(self, y_hat: Array, y: Array) -> float:
        """Store the absolute errors, and return the mean squared error."""
        errors = abs(y_hat - y)
        self.errors = errors[np.isfinite(errors)]
        return super().forward(y_hat, y)


def learn_with_cell(argument: Argument) -> Trial:
    """Run a trial with the cell `lstm-1997`."""
    experiment, seed = argument
    task = get_task(experiment.task)
    assert isinstance(task, WithinTolerance)
    for_weights, for_training, for_test = np.random.SeedSequence(seed).spawn(3)
    rng = np.random.default_rng(for_weights)
    network, units = cell_network(experiment, rng), SIZE * len(experiment.biases)
    network.parameters[:] = rng.uniform(-0.1, 0.1, network.parameters.size)
    network.weights.bs[:units, 0] = np.repeat(experiment.biases, SIZE)
    loss = Watched()
    rule = SGD(
        experiment.rate * task.shape(LENGTH).outputs / 2
    )  # the mean squared error is 2/O times half the sum
    learner = Learner(network, loss, Batches(task, LENGTH, 1, for_training, "float32"), rule)
    success = _train(learner, loss, Criterion(task.tolerance, experiment.error), experiment.most)
    x, y = task.sample(LENGTH, TEST, np.random.default_rng(for_test))
    answers = network.predict(x.astype(np.float32))
    wrong = round(TEST * (1 - task.accuracy(answers, y)))
    return Trial(success, wrong, float(np.nanmean(abs(answers - y))))


def cell_network(experiment: Experiment, rng: np.random.Generator | int) -> Network:
    """Create a network with the cell `lstm-1997`. It has one unit for each cell of the paper's network."""
    _, features, outputs, output_steps = get_task(experiment.task).shape(LENGTH)
    units = SIZE * len(experiment.biases)
    return Network("lstm-1997", features, units, outputs, output_steps=output_steps, dtype="float32", rng=rng)


def _train(learner: Learner, loss: Watched, criterion: Criterion, most: int) -> int | None:
    """Train until the criterion is met, and return the number of sequences, or None after `most` sequences."""
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
