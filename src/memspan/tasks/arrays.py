"""Tasks from arrays: sequences of one's own, with a training part and a held-out part."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import KW_ONLY, InitVar, dataclass, field, replace
from numbers import Real
from typing import Any, ClassVar, Self

import numpy as np
from jaxtyping import Float, Int

from memspan.errors import InvalidArgument, plain_array, real_number, shown
from memspan.losses import MeanLoss, MSELoss
from memspan.runtime.renamed import checked_keywords
from memspan.shapes import Array
from memspan.tasks.base import (
    NO_PARAMETER,
    Answer,
    Batch,
    Correctness,
    Draws,
    Labels,
    OneOfClasses,
    Sequences,
    Shape,
    Steps,
    choices,
    one_hot,
    parameter,
)

TRAINING, HELD_OUT = "training", "held-out"
LEAST_SHARE = 1e-30
"""Stands for the share of a class that no sequence has, so that its logarithm is finite."""
SPLIT_SEED = 0


@dataclass(frozen=True, eq=False, repr=False)
class DataSet:
    """Sequences with their labels, and which of them are held out of training.

    Attributes
    ----------
    x : array [N, T, F]
        The sequences.
    y : array [N, O]
        The labels: numbers, or 1 at the class and 0 elsewhere.
    classes : bool
        Whether the labels are classes.
    parts : dict of str to array of int
        The numbers of the sequences for `training`, and of those that are `held-out`.
    mean, deviation : array [F]
        The mean of the training sequences and their standard deviation, over all their steps.
    """

    x: Float[np.ndarray, "sequences time features"]
    y: Float[np.ndarray, "sequences outputs"]
    classes: bool
    parts: dict[str, Int[np.ndarray, "_"]]
    mean: Float[np.ndarray, "features"]
    deviation: Float[np.ndarray, "features"]

    @classmethod
    def of(cls, x: Any, y: Any, held_out: Any) -> Self:
        """Check the arrays of an `ArrayTask`, which describes them, and copy them."""
        x = _numbers("x", x, 3, "[N, T, F] of numbers: sequences, time steps, features")
        y, classes = _labels(y, len(x))
        parts = _parts(held_out, y)
        for part, where in parts.items():
            if (y[where] == y[where[0]]).all():
                rule = f"an array with at least two different labels in the {part} part"
                raise InvalidArgument("y", rule, f"{len(where)} equal labels there")
        trained = x[parts[TRAINING]]
        made = cls(x, y, classes, parts, trained.mean(axis=(0, 1)), trained.std(axis=(0, 1)))
        for array in (x, y, made.mean, made.deviation, *parts.values()):
            array.setflags(write=False)
        return made

    def __repr__(self) -> str:
        return f"<DataSet of {self}>"

    def __str__(self) -> str:
        sequences, steps, features = self.x.shape
        kind = f"{self.y.shape[1]} {'classes' if self.classes else 'numbers to answer'}"
        held_out = len(self.parts[HELD_OUT])
        return f"{sequences:,} sequences of {steps} steps x {features}, {kind}, {held_out:,} held out"

    def __eq__(self, other: object) -> bool:
        """Whether all sequences, labels and parts are equal."""
        if self is other or not isinstance(other, DataSet):
            return self is other
        arrays = zip(self._arrays(), other._arrays(), strict=True)
        return self.classes == other.classes and all(np.array_equal(*pair) for pair in arrays)

    def __hash__(self) -> int:
        return hash((self.x.shape, self.y.shape, len(self.parts[HELD_OUT])))

    def _arrays(self) -> tuple[Array, ...]:
        return self.x, self.y, self.parts[HELD_OUT]


def _numbers(name: str, values: Any, dimensions: int, rule: str) -> Array:
    """Copy an array of finite numbers with so many axes, none of them empty, as float64."""
    array = plain_array(name, values)
    if array.dtype.kind not in "biuf":
        raise InvalidArgument(name, f"an array {rule}", f"an array of {array.dtype}")
    if array.ndim != dimensions or array.size == 0:
        raise InvalidArgument(name, f"an array {rule}", f"an array of shape {array.shape}")
    if not np.isfinite(array).all():
        raise InvalidArgument(name, "an array of finite numbers", "one with NaN or infinity")
    return array.astype(np.float64)


def _labels(y: Any, count: int) -> tuple[Float[np.ndarray, "sequences outputs"], bool]:
    """Return the labels `[N, O]`, and whether they are classes."""
    array = plain_array("y", y)
    if array.shape[:1] != (count,):
        rule = f"an array with a label for each of the {count:,} sequences of x"
        raise InvalidArgument("y", rule, f"an array of shape {array.shape}")
    if array.ndim == 1:
        if array.dtype.kind not in "biu":
            hint = "; for labels that are numbers use y[:, np.newaxis]"
            raise InvalidArgument("y", "class numbers [N] or labels [N, O]", f"[N] of {array.dtype}", hint)
        if array.min() < 0 or array.max() >= count:
            rule = "class numbers from 0, and less than the number of sequences"
            raise InvalidArgument("y", rule, f"{array.min()} to {array.max()}")
        return one_hot(array.astype(np.intp), max(2, int(array.max()) + 1)), True
    numbers = _numbers("y", array, 2, "[N] of class numbers or [N, O] of numbers")
    encoded = ((numbers == 0) | (numbers == 1)).all() and (numbers.sum(axis=1) == 1).all()
    return numbers, bool(encoded and numbers.shape[1] > 1)


def _parts(held_out: Any, y: Float[np.ndarray, "sequences outputs"]) -> dict[str, Int[np.ndarray, "_"]]:
    """Return the numbers of the training sequences and of the held-out ones."""
    count = len(y)
    if isinstance(held_out, Real) and not isinstance(held_out, bool):
        where = _spread(real_number("held_out", held_out, above=0, below=1), y)
    else:
        where = plain_array("held_out", held_out)
        if where.dtype.kind not in "iu" or where.ndim != 1:
            raise InvalidArgument("held_out", "a share or the numbers of sequences", shown(held_out))
        if where.size and (where.min() < 0 or where.max() >= count):
            raise InvalidArgument("held_out", f"numbers from 0 to {count - 1}", f"{where.min()} to {where.max()}")
        where = np.sort(where).astype(np.intp)
        if (np.diff(where) == 0).any():
            raise InvalidArgument("held_out", "numbers that differ", f"{where[1:][np.diff(where) == 0][0]} twice")
    if not 0 < len(where) < count:
        rule = f"some of the {count:,} sequences, but not all"
        raise InvalidArgument("held_out", rule, f"{len(where):,} of them")
    return {TRAINING: np.setdiff1d(np.arange(count), where), HELD_OUT: where}


def _spread(share: float, y: Float[np.ndarray, "sequences outputs"]) -> Int[np.ndarray, "_"]:
    """Choose a share of the sequences at random, always the same ones, evenly over the sorted labels.

    So each class has the same share of both parts, up to one sequence (systematic sampling).
    """
    order = np.random.default_rng(SPLIT_SEED).permutation(len(y))
    order = order[np.lexsort(y[order].T)]  # a stable sort: sequences with equal labels stay in random order
    chosen = round(share * len(y))
    places = (np.arange(chosen) + 0.5) * len(y) / max(chosen, 1)
    return np.sort(order[places.astype(np.intp)])


@dataclass(frozen=True)
class DataTask(OneOfClasses):
    """The base class of tasks whose sequences come from a data set.

    Each random sequence is one of the data set. If T is larger than its number of steps, noise follows, so the
    network must remember the sequence for T minus that many steps. The noise has the mean and the standard
    deviation of the training sequences in each feature, and is uniform.

    Batches for training and for evaluation never share a sequence: `for_training` draws from one part of the data
    set, `for_evaluation` from the other. (The noise after a sequence is new each time.) The trivial risk and the
    chance accuracy are computed from the labels of the part.

    A subclass is a frozen dataclass and has `family`, `sentence`, `source` and `data`.

    Parameters
    ----------
    noise : float
        The amplitude of the noise, relative to the standard deviation of the data; at least 0. At 0 every step
        after the sequence is the mean of the training sequences.
    part : str
        `training` or `held-out`.
    """

    _: KW_ONLY
    noise: float = parameter(1.0, real_number, least=0)
    part: str = field(default=TRAINING, metadata=NO_PARAMETER)

    tolerance: ClassVar[float | None] = None
    """For labels that are numbers: how far an answer may lie from its label."""

    @property
    @abstractmethod
    def data(self) -> DataSet:
        """The data set. It may be read when it is first used, but must then stay the same object."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.part not in (TRAINING, HELD_OUT):
            raise InvalidArgument("part", f"{TRAINING} or {HELD_OUT}", shown(self.part))

    @property
    def for_training(self) -> Self:
        """The same task with the training sequences."""
        return replace(self, part=TRAINING)

    @property
    def for_evaluation(self) -> Self:
        """The same task with the held-out sequences."""
        return replace(self, part=HELD_OUT)

    @property
    def least_length(self) -> int:  # type: ignore[override]
        """The number of steps of the data set."""
        return int(self.data.x.shape[1])

    @property
    def distinct(self) -> int:  # type: ignore[override]
        """The number of sequences in this part. Each is drawn again and again, with new noise."""
        return len(self.data.parts[self.part])

    @property
    def rule(self) -> str:
        """The condition under which an answer is correct."""
        if self.data.classes:
            return super().rule
        return f"within {self.tolerance:g} of the label" + ", separately for each output" * (self._outputs > 1)

    @property
    def class_names(self) -> tuple[str, ...]:
        """The numbers of the classes."""
        return tuple(map(str, range(self._outputs))) if self.data.classes else ()

    @property
    def _outputs(self) -> int:
        return int(self.data.y.shape[1])

    @property
    def _labels(self) -> Float[np.ndarray, "sequences outputs"]:
        """The labels of this part."""
        return self.data.y[self.data.parts[self.part]]

    def shape(self, length: int) -> Shape:
        """The features and outputs of the data set, and T steps."""
        return Shape(length, self.data.x.shape[2], self._outputs)

    def draws(self, length: int) -> int:
        """One random number for the choice of the sequence, and one for each number of the noise."""
        _, steps, features = self.data.x.shape
        return 1 + (length - steps) * features

    def make(self, u: Draws, length: int) -> Batch:
        """Choose sequences and make noise from uniform random numbers."""
        data, where = self.data, self.data.parts[self.part]
        _, steps, features = data.x.shape
        chosen = where[choices(u[0], len(where))]
        x = np.empty((length, len(chosen), features))
        x[:steps] = data.x[chosen].swapaxes(0, 1)
        scale = self.noise * np.sqrt(3) * data.deviation  # U(-1, 1) has the variance 1/3
        x[steps:] = data.mean + scale * (
            2 * u[1:].reshape(length - steps, features, u.shape[1]).swapaxes(1, 2) - 1
        )
        return Batch(x, data.y[chosen])

    def make_loss(self) -> MeanLoss:  # type: ignore[override]
        """Return the cross-entropy for classes, the mean squared error for numbers."""
        return super().make_loss() if self.data.classes else MSELoss()

    def correct(self, y_hat: Labels, y: Labels) -> Correctness:
        """Compare classes; of numbers, return the share that is close to the labels."""
        if self.data.classes:
            return super().correct(y_hat, y)
        return np.asarray((np.abs(y_hat - y) <= self.tolerance).mean(axis=-1))

    def relevant(self, x: Sequences) -> Steps:
        """Mark the steps before the noise."""
        return np.broadcast_to(np.arange(len(x))[:, np.newaxis] < self.least_length, x.shape[:2]).copy()

    def trivial_answer(self, length: int) -> Answer:
        """The logarithms of the shares of the classes, or the means of the numbers."""
        mean = self._labels.mean(axis=0)
        return np.asarray(np.log(np.maximum(mean, LEAST_SHARE)) if self.data.classes else mean)

    def trivial_risk(self, length: int) -> float:
        """The entropy of the shares of the classes, or the variance of the numbers, averaged over outputs."""
        if not self.data.classes:
            return float(self._labels.var(axis=0).mean())
        shares = self._labels.mean(axis=0)
        shares = shares[shares > 0]
        return float(-(shares * np.log(shares)).sum())

    def chance_answer(self, length: int) -> Answer:
        """The most frequent class; for numbers, the middle of the interval that holds most labels."""
        if self.data.classes:
            return self.trivial_answer(length)
        return np.array([_densest(labels, self.tolerance) for labels in self._labels.T])

    def chance_accuracy(self, length: int) -> float:
        """The share of the labels for which the chance answer is right."""
        answer = np.broadcast_to(self.chance_answer(length), self._labels.shape)
        return float(self.correct(answer, self._labels).mean())


def _densest(labels: Float[np.ndarray, "sequences"], tolerance: float | None) -> float:
    """Return the middle of the interval of width 2·tolerance that holds most labels."""
    assert tolerance is not None
    ordered = np.sort(labels)
    ends = np.searchsorted(ordered, ordered + 2 * tolerance, side="right")
    first = int((ends - np.arange(len(ordered))).argmax())
    return float(ordered[first] + ordered[ends[first] - 1]) / 2


@checked_keywords()
@dataclass(frozen=True)
class ArrayTask(DataTask):
    """A task from arrays: read a sequence, wait to the end of T steps, and answer with its label.

    The arrays are copied. Sequences of several lengths are not supported.

    Parameters
    ----------
    x : array [N, T, F]
        The sequences. T is also the shortest length of the task: at larger ones noise follows (see `noise`).
    y : array [N] or [N, O]
        Class numbers 0, 1, 2 ... of an integer dtype `[N]`, or a row for each sequence: 1 at its class and 0
        elsewhere, or else numbers to answer with. The loss is the softmax cross-entropy for classes, and the mean
        squared error for numbers.
    held_out : float or sequence of int
        The share of the sequences that training never draws, or their numbers. A share is chosen at random, always
        the same for the same labels, and every class has that share of its sequences held out, up to one.
    noise : float
        The amplitude of the noise after the sequence, relative to the standard deviation of each feature of the
        training sequences; at least 0. Its mean is that of the feature.
    tolerance : float
        For labels that are numbers: an answer is correct if it lies within this distance of its label. With
        several outputs, the accuracy is the share of the numbers that are correct.
    family : str
        The name of the task.
    source : str
        Where the data are from.
    part : str
        `training` or `held-out`: which sequences the task draws.
    arrays : DataSet, optional
        The checked arrays of another task, in place of `x`, `y` and `held_out`.

    Raises
    ------
    InvalidArgument
        If a value is of the wrong kind, the shapes do not match, an array is not finite, or a part has no two
        different labels.

    Examples
    --------
    Which of two tones was played?

    >>> rng = np.random.default_rng(0)
    >>> tone, phase = rng.integers(2, size=200), rng.uniform(0, 6.28, (200, 1))
    >>> x = np.sin(phase + np.arange(12) * (0.5 + 0.3 * tone[:, np.newaxis]))[..., np.newaxis]
    >>> task = ArrayTask(x, tone, family="tones")
    >>> task
    <ArrayTask tones, training: 200 sequences of 12 steps x 1, 2 classes, 50 held out>
    >>> task.for_evaluation.sample(length=30, batch=4, rng=0).x.shape
    (30, 4, 1)
    """

    x: InitVar[Any] = None
    y: InitVar[Any] = None
    held_out: InitVar[float | Sequence[int]] = 0.25
    _: KW_ONLY
    tolerance: float | None = field(default=None, metadata={"optional": True})  # type: ignore[misc]
    family: str = field(default="arrays", metadata=NO_PARAMETER)  # type: ignore[misc]
    source: str = field(default="arrays of the user", metadata=NO_PARAMETER)
    arrays: DataSet | None = field(default=None, metadata=NO_PARAMETER)

    def __post_init__(self, x: Any, y: Any, held_out: Any) -> None:
        super().__post_init__()
        for name in ("family", "source"):
            if not isinstance(getattr(self, name), str) or not getattr(self, name):
                raise InvalidArgument(name, "a text", shown(getattr(self, name)))
        if self.arrays is None:
            object.__setattr__(self, "arrays", DataSet.of(x, y, held_out))
        elif x is not None or y is not None or not isinstance(self.arrays, DataSet):
            raise InvalidArgument("arrays", "the arrays of another ArrayTask, without x and y", shown(self.arrays))
        if not self.data.classes:
            object.__setattr__(self, "tolerance", real_number("tolerance", self.tolerance, above=0))
        elif self.tolerance is not None:
            raise InvalidArgument("tolerance", "left out, because the labels are classes", shown(self.tolerance))

    def __repr__(self) -> str:
        return f"<ArrayTask {self.family}, {self.part}: {self.data}>"

    @property
    def data(self) -> DataSet:
        """The arrays, checked and copied."""
        assert self.arrays is not None
        return self.arrays

    @property
    def sentence(self) -> str:
        """The question, in one sentence."""
        answer = "its class" if self.data.classes else "its number" + "s" * (self._outputs > 1)
        steps = self.least_length
        return f"After {steps} steps of a sequence and T - {steps} of noise, answer with {answer}."
