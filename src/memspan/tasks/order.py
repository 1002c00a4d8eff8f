"""Temporal order: two or three widely separated symbols are X or Y; answer in which order they came."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from memspan.errors import InvalidArgument, real_number
from memspan.losses import MSELoss, SoftmaxCrossEntropy
from memspan.shapes import Array
from memspan.tasks.base import Batch, RandomEnd, Shape, Task, choices, of_class, one_hot, within

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


@dataclass(frozen=True)
class Order(Task):
    """Say which of 4, or 8, orders of X and Y it was.

    - `hs97-2`, `hs97-3`: inputs E, B, X, Y, a, b, c, d. A sequence begins with E and ends with B, somewhere from
      step T to T + T/10; all else but the events is one of a to d. Labels are 1 for the class and 0 for the
      others, the loss is the mean squared error, an answer is correct if all its outputs are within 0.3 of them.
      At T = 100 the events are those of the paper, between steps 10 and 20, and so on; at other lengths they
      move with T.
    - `pascanu-2`, `pascanu-3`: inputs X, Y, a, b, c, d; T steps, no E and no B. A softmax over the classes and its
      cross-entropy. (The comment in the authors' code has the first event in the first tenth of the sequence; the
      code has it in the second, and the code is what was run.)

    A guess among n classes has the risk log n, or, with squared errors, (1 - 1/n) / n; and no answer is within
    0.3 of two classes, so the chance accuracy is 1/n.

    Parameters
    ----------
    tolerance : float, optional
        Of the variants of 1997: 0.3, if not given. The others have none.
    """

    variant: str = "pascanu-2"
    tolerance: float | None = None

    family = "order"
    variants = tuple(EVENTS)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.of_1997 and self.tolerance is not None:
            raise InvalidArgument(
                "tolerance", f"left out for {self.name}, whose answers are classes", self.tolerance
            )
        if self.of_1997:
            if self.tolerance is None:
                object.__setattr__(self, "tolerance", 0.3)
            self._settle("tolerance", real_number, above=0, below=0.5)

    @property
    def of_1997(self) -> bool:
        """Whether it is a variant of 1997."""
        return self.variant.startswith("hs97")

    @property
    def windows(self) -> tuple[tuple[int, int], ...]:
        """Of each event, in hundredths of T."""
        return EVENTS[self.variant].windows

    @property
    def classes(self) -> int:
        """The orders that there are."""
        return int(2 ** len(self.windows))

    @property
    def least_length(self) -> int:  # type: ignore[override]
        """Where each event has a place of its own, after E."""
        return 20 if self.of_1997 else 10

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
    def rule(self) -> str:
        """When an answer is correct."""
        return f"all outputs within {self.tolerance:g} of the label" if self.of_1997 else "the right class"

    @property
    def input_names(self) -> tuple[str, ...]:
        """The symbols."""
        return (*("E", "B")[: 2 * self.of_1997], "X", "Y", *"abcd")

    @property
    def class_names(self) -> tuple[str, ...]:
        """The orders, the first event first."""
        events = len(self.windows)
        numbers = [f"{kind:0{events}b}" for kind in range(self.classes)]
        names = [number if self.of_1997 else number[::-1] for number in numbers]
        return tuple(name.replace("0", "X").replace("1", "Y") for name in names)

    def shape(self, length: int) -> Shape:
        """A symbol in, a class out."""
        if not self.of_1997:
            return Shape(length, 2 + DISTRACTORS, self.classes)
        read = RandomEnd.steps_read(length)
        return Shape(length + read - 1, 4 + DISTRACTORS, self.classes, read)

    def draws(self, length: int) -> int:
        """A distractor a step, a place and a value an event; for 1997 the end, too."""
        return self.shape(length).steps + 2 * len(self.windows) + self.of_1997

    def make(self, u: Array, length: int) -> Batch:
        """x and y, of uniform numbers."""
        (steps, features, _, _), events = self.shape(length), len(self.windows)
        X = features - DISTRACTORS - 2  # the number of X; Y comes next, and the distractors after it
        seen = X + 2 + choices(u[:steps], DISTRACTORS)
        values = choices(u[steps : steps + events], 2)
        every = np.arange(u.shape[1])
        for value, place, window in zip(values, u[steps + events :], self.windows, strict=False):
            first, count = self.places(window, length)
            seen[first + choices(place, count), every] = X + value
        powers = 2 ** np.arange(events)
        kind = (powers[::-1] if self.of_1997 else powers) @ values
        labels = one_hot(kind, self.classes)
        if not self.of_1997:
            return Batch(one_hot(seen, features), labels)
        inside, y = RandomEnd.labels(u[-1], labels, length)
        seen[0], seen[inside.sum(axis=0) - 1, every] = 0, 1
        return Batch(one_hot(seen, features) * inside[..., np.newaxis], y)

    def places(self, window: tuple[int, int], length: int) -> tuple[int, int]:
        """The first step, from 0, at which an event may lie, and how many there are."""
        first, last = (end * length // 100 for end in window)
        return (first - 1, last - first + 1) if self.of_1997 else (first, length // 10)

    def make_loss(self) -> MSELoss | SoftmaxCrossEntropy:
        """Squared errors in 1997, the cross-entropy later."""
        return MSELoss(masked=True) if self.of_1997 else SoftmaxCrossEntropy()

    def correct(self, y_hat: Array, y: Array) -> Array:
        """Near every label, or the right class."""
        return of_class(y_hat, y) if self.tolerance is None else within(self.tolerance, y_hat, y)

    def relevant(self, x: Array) -> Array:
        """X and Y."""
        X = x.shape[-1] - DISTRACTORS - 2
        return np.asarray(x[..., X : X + 2].any(axis=-1))

    def trivial_answer(self, length: int) -> Array:
        """Every class alike."""
        if not self.of_1997:
            return np.zeros(self.classes)
        return RandomEnd.at_every_end(np.full(self.classes, 1 / self.classes), length)

    def trivial_risk(self, length: int) -> float:
        """A guess."""
        n = self.classes
        return (1 - 1 / n) / n if self.of_1997 else float(np.log(n))

    def chance_answer(self, length: int) -> Array:
        """The first class."""
        first = one_hot(np.array(0), self.classes)
        return RandomEnd.at_every_end(first, length) if self.of_1997 else first

    def chance_accuracy(self, length: int) -> float:
        """A guess."""
        return 1 / self.classes
