"""What a task is, and an endless stream of batches from one."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from jaxtyping import Float
from numpy.typing import DTypeLike

from memspan.errors import whole_number


class Batch(NamedTuple):
    """Sequences and their labels."""

    x: Float[np.ndarray, "time batch features"]
    y: Float[np.ndarray, "batch outputs"]


class Task(Protocol):
    """A question whose answer lies in the past.

    `trivial_risk` is the smallest loss, and `chance_accuracy` the highest accuracy, of a predictor that never
    looks at its input. No score means anything without them.
    """

    @property
    def name(self) -> str:
        """As in `TASKS`."""

    @property
    def sentence(self) -> str:
        """What is asked, in one sentence."""

    @property
    def features(self) -> int:
        """F, the inputs per time step."""

    @property
    def outputs(self) -> int:
        """O, the numbers to answer with."""

    @property
    def trivial_risk(self) -> float:
        """The best loss without looking at the input."""

    @property
    def chance_accuracy(self) -> float:
        """The best accuracy without looking at the input."""

    def sample(self, rng: np.random.Generator, length: int, batch: int) -> Batch:
        """Draw `batch` sequences of `length` steps, and their labels."""

    def accuracy(self, y_hat: np.ndarray, y: np.ndarray) -> float:
        """The share of predictions that count as correct."""


@dataclass
class Batches(Iterator[Batch]):
    """Batches without end; unlike a generator, a stream that can be saved and continued.

    Parameters
    ----------
    task : Task
        What to draw from.
    length, batch : int
        T and B.
    rng : Generator, SeedSequence or int
        Where the numbers come from.
    dtype : float32 or float64
        Of the arrays. The numbers are drawn in float64 whatever it is.
    """

    task: Task
    length: int
    batch: int
    rng: np.random.Generator | np.random.SeedSequence | int
    dtype: DTypeLike = np.float64

    def __post_init__(self) -> None:
        self.length = whole_number("length", self.length)
        self.batch = whole_number("batch", self.batch)
        self.rng = np.random.default_rng(self.rng)

    def __next__(self) -> Batch:
        x, y = self.task.sample(np.random.default_rng(self.rng), self.length, self.batch)
        return Batch(x.astype(self.dtype, copy=False), y.astype(self.dtype, copy=False))
