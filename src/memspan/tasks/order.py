"""Temporal order: two or three widely separated symbols are X or Y; answer in which order they came."""

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
    """Where the events of a variant lie, from and to, in hundredths of T, and its source."""

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
    """A few events X or Y among distractors, and the question in which order they came."""

    ends: ClassVar[tuple[str, ...]] = ()
    """Symbols that come before X among the inputs."""

    @property
    def windows(self) -> tuple[tuple[int, int], ...]:
        """Of each event, in hundredths of T."""
        return EVENTS[self.variant].windows

    @property
    def classes(self) -> int:
        """The orders that there are."""
        return int(2 ** len(self.windows))

    @property
    def sentence(self) -> str:
        """What is asked."""
        count = {2: "Two", 3: "Three"}[len(self.windows)]
        return f"{count} of T symbols are X or Y, the others distractors: answer in which order X and Y came."

    @property
    def source(self) -> str:
        """The paper."""
        return EVENTS[self.variant].source

    @property
    def input_names(self) -> tuple[str, ...]:
        """The symbols."""
        return (*self.ends, "X", "Y", *"abcd")

    @property
    def powers(self) -> Sequence[int]:
        """What each event, the first one first, adds to the number of the class if it is Y."""
        return [2**event for event in range(len(self.windows))]

    @property
    def class_names(self) -> tuple[str, ...]:
        """The orders, the first event first."""
        return tuple("".join("XY"[kind // power % 2] for power in self.powers) for kind in range(self.classes))

    def draws(self, length: int) -> int:
        """A distractor a step, a place and a value an event."""
        return self.shape(length).steps + 2 * len(self.windows)

    def symbols(self, u: Draws, length: int) -> tuple[Int[np.ndarray, "time batch"], Int[np.ndarray, "batch"]]:
        """The number of the symbol of each step `[T, B]`, ends apart, and that of the class of each sequence."""
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
        """The first step, from 0, at which an event may lie, and how many there are."""

    def relevant(self, x: Sequences) -> Steps:
        """X and Y."""
        X = len(self.ends)
        return np.asarray(x[..., X : X + 2].any(axis=-1))

    def chance_accuracy(self, length: int) -> float:
        """A guess."""
        return 1 / self.classes


@checked_keywords()
@dataclass(frozen=True)
class Order(OrderOfEvents, OneOfClasses):
    """Say which of 4, or 8, orders of X and Y it was.

    `pascanu-2`, `pascanu-3`: inputs X, Y, a, b, c, d; T steps. A softmax over the classes and its cross-entropy.
    (The comment in the authors' code has the first event in the first tenth of the sequence; the code has it in
    the second, and the code is what was run.)

    A guess among n classes has the risk log n and the accuracy 1/n.
    """

    variant: str = "pascanu-2"

    family = "order"
    variants = ("pascanu-2", "pascanu-3")
    elsewhere = ("hs97-2", "hs97-3")
    least_length = 10

    def shape(self, length: int) -> Shape:
        """A symbol in, a class out."""
        return Shape(length, 2 + DISTRACTORS, self.classes)

    def make(self, u: Draws, length: int) -> Batch:
        """x and y, of uniform numbers."""
        seen, kind = self.symbols(u, length)
        return Batch(one_hot(seen, 2 + DISTRACTORS), one_hot(kind, self.classes))

    def places(self, window: tuple[int, int], length: int) -> tuple[int, int]:
        """A tenth of T, from the begin of the window on."""
        return window[0] * length // 100, length // 10

    def trivial_answer(self, length: int) -> Answer:
        """Every class alike."""
        return np.zeros(self.classes)

    def trivial_risk(self, length: int) -> float:
        """A guess."""
        return float(np.log(self.classes))

    def chance_answer(self, length: int) -> Answer:
        """The first class."""
        return one_hot(np.array(0), self.classes)


@checked_keywords()
@dataclass(frozen=True)
class Order1997(OrderOfEvents, RandomEnd, WithinTolerance):
    """Say which of 4, or 8, orders of X and Y it was, as in 1997.

    `hs97-2`, `hs97-3`: inputs E, B, X, Y, a, b, c, d. A sequence begins with E and ends with B, somewhere from
    step T to T + T/10; all else but the events is one of a to d. Labels are 1 for the class and 0 for the others,
    the loss is the mean squared error. At T = 100 the events are those of the paper, between steps 10 and 20, and
    so on; at other lengths they move with T.

    A guess among n classes has the risk (1 - 1/n) / n; and no answer is within 0.3 of two classes, so the chance
    accuracy is 1/n.

    Parameters
    ----------
    tolerance : float
        An answer is correct if all its outputs are within this distance of the labels; above 0 and below 0.5.
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
        """When an answer is correct."""
        return f"all outputs {super().rule}"

    @property
    def powers(self) -> Sequence[int]:
        """The first event counts most."""
        return super().powers[::-1]

    def shape(self, length: int) -> Shape:
        """A symbol in, a class out."""
        return self.shape_of(length, 4 + DISTRACTORS, self.classes)

    def draws(self, length: int) -> int:
        """An end, too."""
        return super().draws(length) + 1

    def make(self, u: Draws, length: int) -> Batch:
        """x and y, of uniform numbers."""
        seen, kind = self.symbols(u, length)
        inside, y = self.labels(u[-1], one_hot(kind, self.classes), length)
        seen[0], seen[inside.sum(axis=0) - 1, np.arange(u.shape[1])] = 0, 1
        return Batch(one_hot(seen, 4 + DISTRACTORS) * inside[..., np.newaxis], y)

    def places(self, window: tuple[int, int], length: int) -> tuple[int, int]:
        """From the begin of the window to its end, counted from 1 and both included."""
        first, last = (end * length // 100 for end in window)
        return first - 1, last - first + 1

    def trivial_answer(self, length: int) -> Answer:
        """Every class alike."""
        return self.at_every_end(np.full(self.classes, 1 / self.classes), length)

    def trivial_risk(self, length: int) -> float:
        """A guess."""
        n = self.classes
        return (1 - 1 / n) / n

    def chance_answer(self, length: int) -> Answer:
        """The first class."""
        return self.at_every_end(one_hot(np.array(0), self.classes), length)
