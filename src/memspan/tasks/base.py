"""The base class of all tasks, and the parts that several tasks share."""

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
"""Uniform random numbers in [0, 1). Each column gives one sequence."""

Sequences = Float[np.ndarray, "time batch features"]
"""The inputs x of a batch."""

Inputs = Float[np.ndarray, "time *batch features"]
"""The inputs of a batch, or of one sequence without the batch axis."""

Labels = Float[np.ndarray, "*output_steps batch outputs"]
"""Labels or answers: one per sequence, or one for each of the last K steps of each sequence."""

Correctness = Bool[np.ndarray, "*output_steps batch"] | Float[np.ndarray, "*output_steps batch"]
"""The degree to which each answer is correct, from 0 to 1."""

Mask = Bool[np.ndarray, "*output_steps batch"]
"""True for each answer that counts."""

Steps = Bool[np.ndarray, "time batch"]
"""True for some steps of each sequence."""

Answer = Float[np.ndarray, "*output_steps outputs"]
"""An answer that is the same for every sequence."""

PerSequence = Float[np.ndarray, "batch"]
"""One real number for each sequence."""


SEQUENCES = "sequences"
"""The purpose of a seed for sequences: see `memspan.errors.generator`."""


class Batch(NamedTuple):
    """Sequences x, and their labels y for the last step or for each of the last K steps."""

    x: Sequences
    y: Labels


class Shape(NamedTuple):
    """The sizes of the sequences of a task at a length, and of a network for them.

    Attributes
    ----------
    steps : int
        The time steps of x.
    features, outputs : int
        F and O.
    output_steps : int or None
        K, if the network answers after each of the last K steps; None if it answers after the last step only.
    """

    steps: int
    features: int
    outputs: int
    output_steps: int | None = None


Shape.__new__ = checked_keywords(read_out="output_steps")(Shape.__new__)  # type: ignore[method-assign]


def parameter(default: Any, check: Callable[..., Any], *, optional: bool = False, **bounds: float) -> Any:
    """A dataclass field of a task. The task checks it when it is made and stores it as a plain number.

    Parameters
    ----------
    default : number
        The value in the source.
    check : callable
        `whole_number` or `real_number`, from `memspan.errors`.
    optional : bool
        Whether `get_task` accepts None for the default value.
    **bounds
        Keywords of the check, such as `above` and `below`.
    """
    return field(default=default, metadata={"check": partial(check, **bounds), "optional": optional})


NO_PARAMETER = {"parameter": False}
"""The metadata of a field that is no parameter: `parameters_of` leaves it out."""


@dataclass(frozen=True)
class Task(ABC):
    """A question about a sequence, whose answer lies in the past. The base class of all tasks.

    Each sequence is a function of its own uniform random numbers (`make`). Therefore the content of a batch does
    not depend on the batch size: the first 10 sequences of a batch of 100 equal a batch of 10.

    The trivial risk is the smallest loss, and the chance accuracy the highest accuracy, that an answer can have
    without depending on the input. They give every score its scale. Each task states both exactly, together with
    the two answers that reach them.

    To define a task, write a subclass that is a frozen dataclass. It must have `family`, `sentence`, `source` and
    `rule`, which may be plain strings, and the methods `shape`, `draws`, `make`, `make_loss`, `correct`,
    `relevant`, `trivial_answer`, `trivial_risk` and `chance_accuracy`. `Batches`, `Learner`, `Ensemble` and the
    gradient check accept the task itself; a study takes tasks from `TASKS` by name.

    Attributes
    ----------
    family : str
        The first part of the task's name.
    variant : str
        The second part; empty if the task has only one variant.

    Examples
    --------
    Was the first number larger than the second?

    >>> from memspan import Batch, Shape, SigmoidCrossEntropy, Task
    >>> @dataclass(frozen=True)
    ... class Larger(Task):
    ...     family, source = "larger", "this example"
    ...     sentence = "After T random numbers, report whether the first was larger than the second."
    ...     rule = "a probability above one half for the right answer"
    ...
    ...     def shape(self, length):
    ...         return Shape(steps=length, features=1, outputs=1)
    ...
    ...     def draws(self, length):
    ...         return length
    ...
    ...     def make(self, u, length):  # u [draws, B]: each column gives one sequence
    ...         return Batch(x=2 * u[..., np.newaxis] - 1, y=(u[0] > u[1]).astype(float)[:, np.newaxis])
    ...
    ...     def make_loss(self):
    ...         return SigmoidCrossEntropy()
    ...
    ...     def correct(self, y_hat, y):  # [B, O] -> [B]
    ...         return np.where(y > 0.5, y_hat > 0, y_hat < 0).all(axis=-1)
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
    """The variants of this class."""
    elsewhere: ClassVar[tuple[str, ...]] = ()
    """Variants of the same family that belong to another class."""
    least_length: ClassVar[int] = 2
    """The shortest length at which the question makes sense. A property if it depends on parameters."""
    least_risk: ClassVar[float] = 0.0
    """The loss of the best possible answer: above 0 if the labels are noisy."""
    distinct: ClassVar[int | None] = None
    """The number of different sequences of a task with a data set; None if every sequence is new."""
    variant: str = field(default="", kw_only=True)

    def __init_subclass__(cls) -> None:
        """Accept a task that was written for memspan 0.1."""
        if "new_loss" in vars(cls) and "make_loss" not in vars(cls):
            warn_renamed(f"{cls.__name__}.new_loss", "make_loss")
            cls.make_loss = vars(cls)["new_loss"]  # type: ignore[method-assign]

    def __post_init__(self) -> None:
        if isinstance(self.variant, str) and not self.variant:  # type: ignore[redundant-expr]
            object.__setattr__(self, "variant", self.variants[0])
        if str(self.variant) in self.elsewhere:
            hint = f'; use get_task("{self.name}")'
            raise InvalidArgument("variant", "one of " + ", ".join(self.variants), shown(self.variant), hint)
        one_of("variant", self.variant, self.variants)
        for item in fields(self):
            if "check" in item.metadata:
                value = item.metadata["check"](item.name, getattr(self, item.name))
                object.__setattr__(self, item.name, value)

    @property
    def for_training(self) -> "Task":
        """The task that makes sequences for training: this one, unless it keeps some for evaluation."""
        return self

    @property
    def for_evaluation(self) -> "Task":
        """The task that makes held-out sequences: this one, because its sequences are always new.

        A task with a finite data set returns another one, which makes sequences that training never sees.
        """
        return self

    @property
    def name(self) -> str:
        """The task's name in `TASKS`: `family/variant`."""
        return f"{self.family}/{self.variant}" if self.variant else self.family

    @property
    @abstractmethod
    def sentence(self) -> str:
        """The question, in one sentence."""

    @property
    @abstractmethod
    def source(self) -> str:
        """The publication of this variant of the task."""

    @property
    @abstractmethod
    def rule(self) -> str:
        """The condition under which an answer is correct, such as `within 0.1 of the label`."""

    @property
    def input_names(self) -> tuple[str, ...]:
        """The meaning of each input if the input is one-hot; otherwise empty."""
        return ()

    @property
    def class_names(self) -> tuple[str, ...]:
        """The meaning of each output if the answer is one of several classes; otherwise empty."""
        return ()

    @abstractmethod
    def shape(self, length: int) -> Shape:
        """Return the sizes of the sequences at a length, and of a network for them."""

    @abstractmethod
    def draws(self, length: int) -> int:
        """Return the number of random numbers that a sequence is made of."""

    @abstractmethod
    def make(self, u: Draws, length: int) -> Batch:
        """Make sequences and labels from random numbers `u [draws, B]`, uniform in [0, 1)."""

    @abstractmethod
    def make_loss(self) -> MeanLoss:
        """Return a new instance of the loss for this task."""

    @abstractmethod
    def correct(self, y_hat: Labels, y: Labels) -> Correctness:
        """Return the degree `[..., B]` to which each answer is correct, from 0 to 1.

        Labels that are NaN are ignored. If all labels of an answer are NaN, its value is arbitrary.
        """

    @abstractmethod
    def relevant(self, x: Sequences) -> Steps:
        """Mark the steps of `x [T, B, F]` that determine the answer: bool `[T, B]`."""

    @abstractmethod
    def trivial_answer(self, length: int) -> Answer:
        """Return the answer `[O]` or `[K, O]` with the smallest loss among those that ignore the input."""

    @abstractmethod
    def trivial_risk(self, length: int) -> float:
        """Return the loss of the trivial answer."""

    def chance_answer(self, length: int) -> Answer:
        """Return the answer `[O]` or `[K, O]` with the highest accuracy among those that ignore the input."""
        return self.trivial_answer(length)

    @abstractmethod
    def chance_accuracy(self, length: int) -> float:
        """Return the accuracy of the chance answer."""

    def mask(self, y: Labels) -> Mask:
        """Mark the answers `[..., B]` that count in the accuracy: those with a label that is not NaN."""
        return ~np.isnan(y).all(axis=-1)

    def noise_free(self, x: Inputs, y: Labels) -> Labels:
        """Return the labels that decide which answers are correct: `y`, without its noise if it has any."""
        return y

    def checked_length(self, length: Any, name: str = "length") -> int:
        """Return `length` as an int, and raise `InvalidArgument` if it is shorter than `least_length`."""
        number = whole_number(name, length)
        if number < self.least_length:
            raise InvalidArgument(name, f"at least {self.least_length} for {self.name}", number)
        return number

    def demand_memory(self, length: int, batch: int) -> None:
        """Raise `InvalidArgument` if this machine cannot hold the random numbers, x and y of such a batch."""
        steps, features, outputs, output_steps = self.shape(length)
        size = 8 * batch * (self.draws(length) + steps * features + (output_steps or 1) * outputs)
        demand_memory("length and batch", f"{length:,} and {batch:,}", size)

    def sample(self, length: int, batch: int, rng: np.random.Generator | np.random.SeedSequence | int) -> Batch:
        """Draw a batch: x `[T, B, F]` and y `[B, O]` or `[K, B, O]`, in float64."""
        if isinstance(length, np.random.Generator):  # the order of arguments in memspan 0.1
            warn_renamed("Task.sample(rng, length, batch)", "Task.sample(length, batch, rng)")
            length, batch, rng = batch, rng, length  # type: ignore[assignment]
        length, batch = self.checked_length(length), whole_number("batch", batch)
        self.demand_memory(length, batch)
        rng = generator("rng", rng, SEQUENCES)
        with naming(f"The task {self.name}"):
            u = rng.random((batch, self.draws(length)))
            return self._checked(self.make(np.ascontiguousarray(u.T), length), length, batch)

    def _checked(self, made: Any, length: int, batch: int) -> Batch:
        """Return `made` as a `Batch` if it is a pair of arrays of the shapes that `shape` states."""
        steps, features, outputs, output_steps = self.shape(length)
        promised = (steps, batch, features), (*((output_steps,) if output_steps else ()), batch, outputs)
        found = tuple(np.shape(part) for part in made) if isinstance(made, tuple | list) else type(made).__name__
        if found != promised:
            raise FaultyPart(f"The task {self.name} must make x and y of shapes {promised}, got {found}.")
        return made if isinstance(made, Batch) else Batch(*made)

    def accuracy(self, y_hat: Array, y: Array) -> float:
        """Return the share of correct answers among those that count (`mask`).

        Raises
        ------
        InvalidArgument
            If the shapes differ, an array is a masked array, or no answer counts.
        """
        y_hat, y = plain_array("y_hat", y_hat), plain_array("y", y)
        if y_hat.shape != y.shape:
            raise InvalidArgument("y_hat", f"of the labels' shape {y.shape}", f"shape {y_hat.shape}")
        counted = self.mask(y)
        if not counted.any():
            raise InvalidArgument("y", "an array with at least one label that counts", f"none in shape {y.shape}")
        return float(np.mean(self.correct(y_hat, y)[counted]))


class WithinTolerance(Task):
    """A task whose answers are numbers. An answer is correct if all its numbers are close to their labels."""

    tolerance: float  # each subclass declares the field itself, to choose its position and bounds

    @property
    def rule(self) -> str:
        """The condition under which an answer is correct."""
        return f"within {self.tolerance:g} of the label"

    def correct(self, y_hat: Labels, y: Labels) -> Correctness:
        """Compare every number with its label."""
        return all_right(np.abs(y_hat - y) <= self.tolerance, y)


class OneOfClasses(Task):
    """A task whose answer is a class. An answer is correct if the output of the right class is the largest."""

    @property
    def rule(self) -> str:
        """The condition under which an answer is correct."""
        return "the right class"

    def make_loss(self) -> SoftmaxCrossEntropy:
        """Return the softmax cross-entropy."""
        return SoftmaxCrossEntropy()

    def correct(self, y_hat: Labels, y: Labels) -> Correctness:
        """Compare classes, among the outputs with a label. An answer with NaN is wrong."""
        labelled = ~np.isnan(y)
        chosen, right = (np.where(labelled, values, -np.inf).argmax(axis=-1) for values in (y_hat, y))
        return np.asarray((chosen == right) & ~np.isnan(y_hat).any(axis=-1, where=labelled))


def all_right(right: Bool[np.ndarray, "*output_steps batch outputs"], y: Labels) -> Bool[np.ndarray, "*rows"]:
    """Whether each answer `[..., B]` is right in every output that has a label."""
    return np.asarray((right | np.isnan(y)).all(axis=-1))


def one_hot(numbers: Array, classes: int) -> Array:
    """Encode class numbers as `[..., classes]`: 1 at the class, 0 elsewhere."""
    return np.asarray(np.eye(classes)[numbers])


def choices(u: Array, count: int) -> Array:
    """Turn uniform numbers into whole numbers from 0 to `count` - 1."""
    return (u * count).astype(np.intp)


def normals(u: Array) -> Array:
    """Turn uniform numbers `[2n, ...]` into as many standard normal ones (Box & Muller 1958)."""
    first, second = np.split(u, 2)
    radius, angle = np.sqrt(-2 * np.log1p(-first)), 2 * np.pi * second
    return np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])
