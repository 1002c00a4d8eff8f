"""Temporal order: two or three widely separated symbols are X or Y; report their order."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
from jaxtyping import Int

from memspan.errors import real_number
from memspan.runtime.renamed import checked_keywords
from memspan.tasks.base import (
    Answer,
    Batch,
    Draws,
    OneOfClasses,
    Sequences,
    Shape,
    Steps,
    Task,
    WithinTolerance,
    choices,
    one_hot,
    parameter,
)
from memspan.tasks.random_end import RandomEnd

DISTRACTORS = 4


class Events(NamedTuple):
    """The windows of a variant's events, as (first, last) in hundredths of T, and the source of the variant."""

    windows: tuple[tuple[int, int], ...]
    source: str


PAPER = "Hochreiter & Schmidhuber 1997, experiment {} (doi:10.1162/neco.1997.9.8.1735)"
CODE = "Pascanu, Mikolov & Bengio 2013 (arXiv:1211.5063), positions of the authors' code"
EVENTS = {
    "hs97-2": Events(((10, 20), (50, 60)), PAPER.format("6a")),
    "hs97-3": Events(((10, 20), (33, 43), (66, 76)), PAPER.format("6b")),
    "pascanu-2": Events(((10, 20), (50, 60)), CODE),
    "pascanu-3": Events(((10, 20), (30, 40), (60, 70)), CODE),
}


class OrderOfEvents(Task):
    """A task with a few events, X or Y, among distractors. The answer is the order of the events."""

    ends: ClassVar[tuple[str, ...]] = ()
    """The inputs before X: symbols that mark the ends of a sequence."""

    @property
    def windows(self) -> tuple[tuple[int, int], ...]:
        """The window of each event, in hundredths of T."""
        return EVENTS[self.variant].windows

    @property
    def classes(self) -> int:
        """The number of classes: each order of X and Y is one."""
        return int(2 ** len(self.windows))

    @property
    def sentence(self) -> str:
        """The question, in one sentence."""
        count = {2: "Two", 3: "Three"}[len(self.windows)]
        return f"{count} of T symbols are X or Y, the others are distractors: report X and Y in their order."

    @property
    def source(self) -> str:
        """The paper of the variant."""
        return EVENTS[self.variant].source

    @property
    def input_names(self) -> tuple[str, ...]:
        """The symbols, one for each input."""
        return (*self.ends, "X", "Y", *"abcd")

    @property
    def powers(self) -> Sequence[int]:
        """The number that each event adds to the class if it is Y, starting with the first event."""
        return [2**event for event in range(len(self.windows))]

    @property
    def class_names(self) -> tuple[str, ...]:
        """The order that each class stands for, with the first event first."""
        return tuple("".join("XY"[kind // power % 2] for power in self.powers) for kind in range(self.classes))

    def draws(self, length: int) -> int:
        """A distractor for each step, and a place and a value for each event."""
        return self.shape(length).steps + 2 * len(self.windows)

    def symbols(self, u: Draws, length: int) -> tuple[Int[np.ndarray, "time batch"], Int[np.ndarray, "batch"]]:
        """Return the symbol at each step `[T, B]`, before the ends are marked, and each sequence's class `[B]`."""
        steps, events, X = self.shape(length).steps, len(self.windows), len(self.ends)
        seen = X + 2 + choices(u[:steps], DISTRACTORS)
        values = choices(u[steps : steps + events], 2)
        every = np.arange(u.shape[1])
        for value, place, window in zip(values, u[steps + events :], self.windows, strict=False):
            first, count = self.places(window, length)
            seen[first + choices(place, count), every] = X + value
        return seen, np.array(self.powers) @ values

    @abstractmethod
    def places(self, window: tuple[int, int], length: int) -> tuple[int, int]:
        """Return the first step (from 0) of an event's window, and the window's number of steps."""

    def relevant(self, x: Sequences) -> Steps:
        """Mark the steps of X and Y."""
        X = len(self.ends)
        return np.asarray(x[..., X : X + 2].any(axis=-1))

    def chance_accuracy(self, length: int) -> float:
        """The probability of guessing the class."""
        return 1 / self.classes


@checked_keywords()
@dataclass(frozen=True)
class Order(OrderOfEvents, OneOfClasses):
    """Report the order of two or three events, each X or Y: one of 4 or 8 classes.

    `pascanu-2`, `pascanu-3`: the inputs are X, Y, a, b, c, d, and a sequence has T steps. The loss is the
    cross-entropy of a softmax over the classes. (A comment in the authors' code places the first event in the
    first tenth of the sequence, but the code places it in the second tenth. These variants follow the code.)

    Guessing among n classes has the risk log n and the accuracy 1/n.
    """

    variant: str = "pascanu-2"

    family = "order"
    variants = ("pascanu-2", "pascanu-3")
    elsewhere = ("hs97-2", "hs97-3")
    least_length = 10

    def shape(self, length: int) -> Shape:
        """One input per symbol and one output per class."""
        return Shape(length, 2 + DISTRACTORS, self.classes)

    def make(self, u: Draws, length: int) -> Batch:
        """Make x and y from uniform random numbers."""
        seen, kind = self.symbols(u, length)
        return Batch(one_hot(seen, 2 + DISTRACTORS), one_hot(kind, self.classes))

    def places(self, window: tuple[int, int], length: int) -> tuple[int, int]:
        """A tenth of T, from the beginning of the window."""
        return window[0] * length // 100, length // 10

    def trivial_answer(self, length: int) -> Answer:
        """The same probability for every class."""
        return np.zeros(self.classes)

    def trivial_risk(self, length: int) -> float:
        """The cross-entropy of guessing."""
        return float(np.log(self.classes))

    def chance_answer(self, length: int) -> Answer:
        """The first class; every class is equally likely."""
        return one_hot(np.array(0), self.classes)


@checked_keywords()
@dataclass(frozen=True)
class Order1997(OrderOfEvents, RandomEnd, WithinTolerance):
    """Report the order of two or three events, each X or Y, as in the experiments of 1997.

    `hs97-2`, `hs97-3`: the inputs are E, B, X, Y, a, b, c, d. A sequence begins with E and ends with B at a random
    step from T to T + T/10. All other symbols except the events are one of a to d. The label is 1 for the class
    and 0 for the others, and the loss is the mean squared error. At T = 100 the windows of the events are those of
    the paper (between steps 10 and 20, and so on); at other lengths they scale with T.

    The best constant answer for n classes is 1/n at every output, with risk (1 - 1/n) / n. No answer is within 0.3
    of two classes, so the chance accuracy is 1/n.

    Parameters
    ----------
    tolerance : float
        An answer is correct if each output is within this distance of its label; above 0 and below 0.5.
    """

    variant: str = "hs97-2"
    tolerance: float = parameter(0.3, real_number, optional=True, above=0, below=0.5)

    family = "order"
    variants = Order.elsewhere
    elsewhere = Order.variants
    ends = ("E", "B")
    least_length = 20

    @property
    def rule(self) -> str:
        """The condition under which an answer is correct."""
        return f"every output {super().rule}"

    @property
    def powers(self) -> Sequence[int]:
        """The numbers of `OrderOfEvents` in reverse: the first event adds the most."""
        return super().powers[::-1]

    def shape(self, length: int) -> Shape:
        """One input per symbol and one output per class."""
        return self.shape_of(length, 4 + DISTRACTORS, self.classes)

    def draws(self, length: int) -> int:
        """One more random number, for the end of the sequence."""
        return super().draws(length) + 1

    def make(self, u: Draws, length: int) -> Batch:
        """Make x and y from uniform random numbers."""
        seen, kind = self.symbols(u, length)
        inside, y = self.labels(u[-1], one_hot(kind, self.classes), length)
        seen[0], seen[inside.sum(axis=0) - 1, np.arange(u.shape[1])] = 0, 1
        return Batch(one_hot(seen, 4 + DISTRACTORS) * inside[..., np.newaxis], y)

    def places(self, window: tuple[int, int], length: int) -> tuple[int, int]:
        """All steps of the window, which the paper counts from 1 with both ends included."""
        first, last = (end * length // 100 for end in window)
        return first - 1, last - first + 1

    def trivial_answer(self, length: int) -> Answer:
        """The mean of the labels: 1/n for every class."""
        return self.at_every_end(np.full(self.classes, 1 / self.classes), length)

    def trivial_risk(self, length: int) -> float:
        """The variance of the labels."""
        n = self.classes
        return (1 - 1 / n) / n

    def chance_answer(self, length: int) -> Answer:
        """The first class; every class is equally likely."""
        return self.at_every_end(one_hot(np.array(0), self.classes), length)
