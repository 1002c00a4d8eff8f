"""What a task is, and what several of them share."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from functools import partial
from typing import Any, ClassVar, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from memspan.errors import FaultyPart, InvalidArgument, generator, naming, one_of, plain_array, shown, whole_number
from memspan.losses import MeanLoss, SoftmaxCrossEntropy
from memspan.runtime.memory import demand_memory
from memspan.runtime.renamed import checked_keywords, warn_renamed
from memspan.shapes import Array

Draws = Float[np.ndarray, "draws batch"]
"""Uniform random numbers in [0, 1): each column makes one sequence."""

Sequences = Float[np.ndarray, "time batch features"]
"""Inputs, x."""

Inputs = Float[np.ndarray, "time *batch features"]
"""Inputs of several sequences, or of one that was given without the axis of the batch."""

Labels = Float[np.ndarray, "*output_steps batch outputs"]
"""Labels, or answers: one for each sequence, or one for each sequence and each of its last K steps."""

Correctness = Bool[np.ndarray, "*output_steps batch"] | Float[np.ndarray, "*output_steps batch"]
"""How far each answer is correct, 0 to 1."""

Mask = Bool[np.ndarray, "*output_steps batch"]
"""Which answers count."""

Steps = Bool[np.ndarray, "time batch"]
"""Some of the steps of each sequence."""

Answer = Float[np.ndarray, "*output_steps outputs"]
"""One answer for every sequence."""

PerSequence = Float[np.ndarray, "batch"]
"""One real number for each sequence."""


SEQUENCES = "sequences"
"""What a seed for sequences is for: see `memspan.errors.generator`."""


class Batch(NamedTuple):
    """Sequences and their labels: of the last step, or of each of the last K."""

    x: Sequences
    y: Labels


class Shape(NamedTuple):
    """What a network must be like for a task at a length.

    Attributes
    ----------
    steps : int
        Time steps of x.
    features, outputs : int
        F and O.
    output_steps : int or None
        K, if the answer is read after each of the last K steps; None if after the last step alone.
    """

    steps: int
    features: int
    outputs: int
    output_steps: int | None = None


Shape.__new__ = checked_keywords(read_out="output_steps")(Shape.__new__)  # type: ignore[method-assign]


def parameter(default: Any, check: Callable[..., Any], *, optional: bool = False, **bounds: float) -> Any:
    """A field of a task that is checked when the task is made, and kept as a plain number.

    Parameters
    ----------
    default : number
        The value in the source.
    check : callable
        `whole_number` or `real_number`, from `memspan.errors`.
    optional : bool
        Whether `get_task` takes None for the default.
    **bounds
        What the check takes, such as `above` and `below`.
    """
    return field(default=default, metadata={"check": partial(check, **bounds), "optional": optional})


@dataclass(frozen=True)
class Task(ABC):
    """A question whose answer lies in the past; one family of variants each.

    Every sequence is a function of uniform random numbers of its own (`make`). So a batch is the same however it
    is put together: the first 10 of 100 sequences are those that a batch of 10 would have held.

    The trivial risk is the smallest loss, and the chance accuracy the highest accuracy, of an answer that does not
    depend on the input. No score means anything without them. Here both are exact, and so are the two answers.

    A task of one's own is a frozen dataclass with what has no answer here yet: `family`, `sentence`, `source`
    and `rule`, which may be plain strings, and the methods `shape`, `draws`, `make`, `make_loss`, `correct`,
    `relevant`, `trivial_answer`, `trivial_risk` and `chance_accuracy`. `Batches`, `Learner`, `Ensemble` and the
    gradient check take it as it is; a study takes its task from `TASKS`, by name.

    Attributes
    ----------
    family : str
        The first part of its name.
    variant : str
        The second part; empty where there is only one.

    Examples
    --------
    Was the first number larger than the second?

    >>> from memspan import Batch, Shape, SigmoidCrossEntropy, Task
    >>> @dataclass(frozen=True)
    ... class Larger(Task):
    ...     family, source = "larger", "this example"
    ...     sentence = "After T random numbers, answer whether the first was larger than the second."
    ...     rule = "probability above one half for the right side"
    ...
    ...     def shape(self, length):
    ...         return Shape(steps=length, features=1, outputs=1)
    ...
    ...     def draws(self, length):
    ...         return length
    ...
    ...     def make(self, u, length):  # u [draws, B]: each column makes a sequence
    ...         return Batch(x=2 * u[..., np.newaxis] - 1, y=(u[0] > u[1]).astype(float)[:, np.newaxis])
    ...
    ...     def make_loss(self):
    ...         return SigmoidCrossEntropy()
    ...
    ...     def correct(self, y_hat, y):  # [B, O] -> [B]
    ...         return ((y_hat > 0) == (y > 0.5)).all(axis=-1)
    ...
    ...     def relevant(self, x):
    ...         return np.broadcast_to(np.arange(len(x))[:, np.newaxis] < 2, x.shape[:2])
    ...
    ...     def trivial_answer(self, length):
    ...         return np.zeros(1)
    ...
    ...     def trivial_risk(self, length):
    ...         return float(np.log(2))
    ...
    ...     def chance_accuracy(self, length):
    ...         return 0.5
    >>> x, y = Larger().sample(length=5, batch=3, rng=0)
    >>> x.shape, y.shape
    ((5, 3, 1), (3, 1))
    """

    family: ClassVar[str]
    variants: ClassVar[tuple[str, ...]] = ("",)
    """Those that this class makes."""
    elsewhere: ClassVar[tuple[str, ...]] = ()
    """Variants of the family that another class makes."""
    least_length: ClassVar[int] = 2
    """The shortest length at which the question makes sense; where parameters decide, a property."""
    least_risk: ClassVar[float] = 0.0
    """The loss of the best answer of all: above 0 where labels are noisy."""
    variant: str = field(default="", kw_only=True)

    def __init_subclass__(cls) -> None:
        """Take a task that was written for memspan 0.1."""
        if "new_loss" in vars(cls) and "make_loss" not in vars(cls):
            warn_renamed(f"{cls.__name__}.new_loss", "make_loss")
            cls.make_loss = vars(cls)["new_loss"]  # type: ignore[method-assign]

    def __post_init__(self) -> None:
        if self.variant == "":
            object.__setattr__(self, "variant", self.variants[0])
        if str(self.variant) in self.elsewhere:
            hint = f'; that one is get_task("{self.name}")'
            raise InvalidArgument("variant", "one of " + ", ".join(self.variants), shown(self.variant), hint)
        one_of("variant", self.variant, self.variants)
        for item in fields(self):
            if "check" in item.metadata:
                value = item.metadata["check"](item.name, getattr(self, item.name))
                object.__setattr__(self, item.name, value)

    @property
    def name(self) -> str:
        """As in `TASKS`."""
        return f"{self.family}/{self.variant}" if self.variant else self.family

    @property
    @abstractmethod
    def sentence(self) -> str:
        """What is asked, in one sentence."""

    @property
    @abstractmethod
    def source(self) -> str:
        """Where the task comes from, in this variant."""

    @property
    @abstractmethod
    def rule(self) -> str:
        """When an answer is correct."""

    @property
    def input_names(self) -> tuple[str, ...]:
        """What each input means, where one of them is 1 and the others 0; else empty."""
        return ()

    @property
    def class_names(self) -> tuple[str, ...]:
        """What each output means, where the answer is one of several classes; else empty."""
        return ()

    @abstractmethod
    def shape(self, length: int) -> Shape:
        """The steps of its sequences at a length, and what a network must be like."""

    @abstractmethod
    def draws(self, length: int) -> int:
        """How many random numbers a sequence is made of."""

    @abstractmethod
    def make(self, u: Draws, length: int) -> Batch:
        """Sequences from numbers `u [draws, B]`, uniform in [0, 1)."""

    @abstractmethod
    def make_loss(self) -> MeanLoss:
        """The loss that it is trained with."""

    @abstractmethod
    def correct(self, y_hat: Labels, y: Labels) -> Correctness:
        """How far each answer `[..., B]` is correct, 0 to 1, by those of its labels that are not NaN.

        Where all of them are NaN it does not matter.
        """

    @abstractmethod
    def relevant(self, x: Sequences) -> Steps:
        """Where in `x [T, B, F]` the answer lies, `[T, B]` of bool."""

    @abstractmethod
    def trivial_answer(self, length: int) -> Answer:
        """The answer `[O]` or `[K, O]` with the smallest loss of all that do not depend on the input."""

    @abstractmethod
    def trivial_risk(self, length: int) -> float:
        """Its loss."""

    def chance_answer(self, length: int) -> Answer:
        """The answer `[O]` or `[K, O]` most often correct of all that do not depend on the input."""
        return self.trivial_answer(length)

    @abstractmethod
    def chance_accuracy(self, length: int) -> float:
        """Its accuracy."""

    def mask(self, y: Labels) -> Mask:
        """Which answers `[..., B]` count in the accuracy: those of which at least one label is not NaN."""
        return ~np.isnan(y).all(axis=-1)

    def noise_free(self, x: Inputs, y: Labels) -> Labels:
        """The labels that decide what is correct: those given, unless these are noisy."""
        return y

    def checked_length(self, length: Any, name: str = "length") -> int:
        """`length` as an int, at least the shortest that there is."""
        number = whole_number(name, length)
        if number < self.least_length:
            raise InvalidArgument(name, f"at least {self.least_length} for {self.name}", number)
        return number

    def demand_memory(self, length: int, batch: int) -> None:
        """Refuse a batch that this machine's memory cannot hold: the numbers that it is made of, x and y."""
        steps, features, outputs, output_steps = self.shape(length)
        size = 8 * batch * (self.draws(length) + steps * features + (output_steps or 1) * outputs)
        demand_memory("length and batch", f"{length:,} and {batch:,}", size)

    def sample(self, length: int, batch: int, rng: np.random.Generator | np.random.SeedSequence | int) -> Batch:
        """Draw x `[T, B, F]` and y `[B, O]` or `[K, B, O]`, in float64."""
        if isinstance(length, np.random.Generator):  # the order of memspan 0.1
            warn_renamed("Task.sample(rng, length, batch)", "Task.sample(length, batch, rng)")
            length, batch, rng = batch, rng, length  # type: ignore[assignment]
        length, batch = self.checked_length(length), whole_number("batch", batch)
        self.demand_memory(length, batch)
        rng = generator("rng", rng, SEQUENCES)
        with naming(f"The task {self.name}"):
            u = rng.random((batch, self.draws(length)))
            return self._checked(self.make(np.ascontiguousarray(u.T), length), length, batch)

    def _checked(self, made: Any, length: int, batch: int) -> Batch:
        """Return what `make` returned, if it is a pair of arrays of the shapes that `shape` promises."""
        steps, features, outputs, output_steps = self.shape(length)
        promised = (steps, batch, features), (*((output_steps,) if output_steps else ()), batch, outputs)
        found = tuple(np.shape(part) for part in made) if isinstance(made, tuple | list) else type(made).__name__
        if found != promised:
            raise FaultyPart(f"The task {self.name} must make x and y of the shapes {promised}, got {found}")
        return made if isinstance(made, Batch) else Batch(*made)

    def accuracy(self, y_hat: Array, y: Array) -> float:
        """The share of correct answers among those that count: see `mask`.

        Raises
        ------
        InvalidArgument
            When the two shapes differ, one is a masked array, or no answer counts.
        """
        y_hat, y = plain_array("y_hat", y_hat), plain_array("y", y)
        if y_hat.shape != y.shape:
            raise InvalidArgument("y_hat", f"of the labels' shape {y.shape}", f"shape {y_hat.shape}")
        counted = self.mask(y)
        if not counted.any():
            raise InvalidArgument("y", "labels of which at least one counts", f"none, in shape {y.shape}")
        return float(np.mean(self.correct(y_hat, y)[counted]))


class WithinTolerance(Task):
    """A task whose answers are numbers: correct where all of them lie within a tolerance of their labels."""

    tolerance: float  # a field of each dataclass below, in its own place

    @property
    def rule(self) -> str:
        """When an answer is correct."""
        return f"within {self.tolerance:g} of the label"

    def correct(self, y_hat: Labels, y: Labels) -> Correctness:
        """Within the tolerance."""
        return all_right(np.abs(y_hat - y) <= self.tolerance, y)


class OneOfClasses(Task):
    """A task whose answer is one of several classes: correct where the largest output is that of the class."""

    @property
    def rule(self) -> str:
        """When an answer is correct."""
        return "the right class"

    def make_loss(self) -> SoftmaxCrossEntropy:
        """The cross-entropy."""
        return SoftmaxCrossEntropy()

    def correct(self, y_hat: Labels, y: Labels) -> Correctness:
        """The right class, among those with a label; NaN is no answer."""
        labelled = ~np.isnan(y)
        chosen, right = (np.where(labelled, values, -np.inf).argmax(axis=-1) for values in (y_hat, y))
        return np.asarray((chosen == right) & ~np.isnan(y_hat).any(axis=-1, where=labelled))


def all_right(right: Bool[np.ndarray, "*output_steps batch outputs"], y: Labels) -> Bool[np.ndarray, "*rows"]:
    """Whether each answer `[..., B]` is right in every output whose label is not NaN."""
    return np.asarray((right | np.isnan(y)).all(axis=-1))


def one_hot(numbers: Array, classes: int) -> Array:
    """`[..., classes]`, a single 1 among zeros where the number says."""
    return np.asarray(np.eye(classes)[numbers])


def choices(u: Array, count: int) -> Array:
    """Whole numbers from 0 to `count` - 1, from uniform ones."""
    return (u * count).astype(np.intp)


def normals(u: Array) -> Array:
    """Standard normal numbers from as many uniform ones, an even number `[2n, ...]` (Box & Muller 1958)."""
    first, second = np.split(u, 2)
    radius, angle = np.sqrt(-2 * np.log1p(-first)), 2 * np.pi * second
    return np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])
