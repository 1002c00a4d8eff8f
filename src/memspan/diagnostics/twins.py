"""Twins: pairs of sequences that differ only in the random numbers on which the label depends.

What the label does not depend on is the same in both sequences of a pair. It cancels in the difference, exactly.
Therefore a label's trace in a state can be measured down to rounding, 1e-16 of the state, where a plain covariance
of n sequences ends at 1/√n.
"""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from jaxtyping import Bool

from memspan.errors import InvalidArgument, generator, shown, whole_number
from memspan.shapes import Array
from memspan.tasks import Task
from memspan.tasks.base import Draws, Labels, Sequences

PROBES = 8
"""The number of sequences in which `Twins` first looks for the random numbers on which a label depends."""
AT_ONCE = 2**14
"""About how many random numbers `task.make` gets in one call of this search."""
PURPOSE = "twins"
"""The purpose of a seed for twins: see `memspan.errors.generator`."""


@dataclass(frozen=True)
class Twins:
    """Pairs of sequences of a task, in independent parts.

    Let d be dL/dŷ of a sequence at the trivial answer: its label's part of the gradient, with mean 0. For a
    function h of the sequence, such as a state, twins estimate the covariance E[d h] without bias:

    - if the label depends on the same random numbers in every sequence, both twins have the same distribution, and
      the estimate is the mean of ½ (d - d') (h - h');
    - if d' = -d for twins whose random numbers are mirrored (u' = 1 - u), it is the mean of ¼ (d - d') (h - h'),
      whose variance is least: the label is an odd function, as in the task `recall`. Random numbers that decide
      where the others stand, as the markers of `adding` do, are the same in both twins: given them, d has mean 0;
    - otherwise it is the mean of d (h - h').

    So in each case it is the sum of `weights` times h over all sequences.

    Attributes
    ----------
    x : array [T, 2N, F]
        The sequences. Those of a part stand together: first one twin of each pair, then the other ones.
    weights : array [2N, O] or [K, 2N, O]
        What each sequence contributes to the mean, as above; their sum over a part estimates that part.
    y : array [2N, O] or [K, 2N, O]
        The labels.
    parts : int
        The number of independent parts of equal size.
    variance : float
        ¼ E|d|². For the squared error of one number this is the variance of the label.
    """

    x: Sequences
    weights: Labels
    y: Labels
    parts: int
    variance: float

    @classmethod
    def of(
        cls,
        task: Task,
        length: int,
        pairs: int = 128,
        rng: np.random.Generator | np.random.SeedSequence | int = 0,
        parts: int = 16,
    ) -> Self:
        """Draw twins of a task.

        Parameters
        ----------
        task : Task
        length : int
        pairs : int
            N, the number of pairs; a multiple of `parts`.
        rng : Generator, SeedSequence or int
        parts : int
            In each part every random number is stratified (McKay, Beckman & Conover 1979, Latin hypercube
            sampling, doi:10.1080/00401706.1979.10489755), which makes estimates more precise.

        Raises
        ------
        InvalidArgument
            If a number is too small, `pairs` is not a multiple of `parts`, or the memory does not suffice.
        """
        if not isinstance(task, Task):
            raise InvalidArgument("task", "a Task", shown(task))
        length, parts = task.checked_length(length), whole_number("parts", parts, least=2)
        pairs = whole_number("pairs", pairs, least=parts)
        if pairs % parts:
            raise InvalidArgument("pairs", f"a multiple of the number of parts, {parts}", pairs)
        task.demand_memory(length, 2 * pairs)
        rng = generator("rng", rng, PURPOSE)
        draws, each = task.draws(length), pairs // parts
        u, other = (_stratified(rng, draws, parts, each) for _ in range(2))
        first = task.make(u, length)
        fixed = _fixed_dependence(task, length, u, other, first.y)
        depends = _dependence(task, length, u, other) if fixed is None else fixed
        d = _label_part(task, length, first.y)
        mirrored = np.where(_values(depends), _mirrored(u), u)
        second = task.make(mirrored, length)
        if _opposite(d, _label_part(task, length, second.y)) and (
            fixed is not None or (_dependence(task, length, mirrored, other) == depends).all()
        ):
            share = d / 2  # ¼ (d - d')
        else:
            second = task.make(np.where(depends, other, u), length)
            share = d if fixed is None else (d - _label_part(task, length, second.y)) / 2
        weights = _paired(share, -share, parts) / each
        variance = float((d**2).sum() / (4 * pairs))
        return cls(_paired(first.x, second.x, parts), weights, _paired(first.y, second.y, parts), parts, variance)

    def __repr__(self) -> str:
        return f"<Twins: {self.x.shape[1] // 2} pairs of sequences of {len(self.x)} steps, in {self.parts} parts>"

    def part(self, number: int) -> slice:
        """The places of the sequences of a part, counted from 0."""
        size = self.x.shape[1] // self.parts
        return slice(number * size, (number + 1) * size)


def _stratified(rng: np.random.Generator, draws: int, parts: int, each: int) -> Draws:
    """Draw uniform numbers `[draws, parts·each]`, each stratified over the sequences of a part."""
    strata = rng.permuted(np.tile(np.arange(each), (draws, parts, 1)), axis=-1)
    return ((strata + rng.random(strata.shape)) / each).reshape(draws, -1)


def _fixed_dependence(
    task: Task, length: int, u: Draws, other: Draws, y: Labels
) -> Bool[np.ndarray, "draws 1"] | None:
    """Return on which random numbers the label depends, or None if these differ from sequence to sequence.

    They are found in a few sequences. All sequences then have to keep their labels if everything else is redrawn.
    """
    few = u[:, :PROBES]
    found = _dependence(
        task, length, few, (few + 0.5) % 1
    )  # moved by one half, every choice among classes changes
    fixed = found[:, :1]
    if (found != fixed).any():
        return None
    return fixed if _equal(task.make(np.where(fixed, u, other), length).y, y).all() else None


def _values(depends: Bool[np.ndarray, "draws batch"]) -> Bool[np.ndarray, "draws batch"]:
    """Leave out the random numbers on which most labels depend, if others depend on the sequence.

    These decide on which of the others the label depends, as the positions of the markers in `adding` do. (Not all
    labels depend on them: another number may give the same position.)
    """
    most = depends.mean(axis=1, keepdims=True) > 0.5
    return depends if (depends == most).all() else depends & ~most


def _mirrored(u: Draws) -> Draws:
    """1 - u, but below 1."""
    return np.minimum(1 - u, np.nextafter(1, 0))


def _dependence(task: Task, length: int, u: Draws, other: Draws) -> Bool[np.ndarray, "draws batch"]:
    """Return for each random number of each sequence whether another value of it alone changes the label."""
    y = task.make(u, length).y
    found = np.empty(u.shape, bool)
    for some in np.array_split(np.arange(len(u)), min(len(u), -(-u.size * len(u) // AT_ONCE))):
        changed = np.repeat(u[:, np.newaxis], len(some), axis=1)  # [draws, some, batch]: in each, one is redrawn
        changed[some, np.arange(len(some))] = other[some]
        labels = task.make(changed.reshape(len(u), -1), length).y
        labels = labels.reshape(*y.shape[:-2], len(some), *y.shape[-2:])
        different = ~_equal(labels, y[..., np.newaxis, :, :])
        found[some] = different.reshape(-1, *different.shape[-3:]).any(axis=(0, 3))
    return found


def _equal(y: Array, other: Array) -> Bool[np.ndarray, "..."]:
    return np.asarray((y == other) | (np.isnan(y) & np.isnan(other)))


def _label_part(task: Task, length: int, y: Labels) -> Labels:
    """Return dL/dŷ of each sequence at the trivial answer, for the loss of that sequence alone."""
    loss = task.make_loss()
    answer = np.broadcast_to(task.trivial_answer(length)[..., np.newaxis, :], y.shape).astype(np.float64)
    loss.forward(answer, y)
    return loss.backward() * y.shape[-2]


def _opposite(d: Array, other: Array) -> bool:
    return bool((np.abs(d + other) <= 1e-12 * np.abs(d).max()).all())


def _paired(first: Array, second: Array, parts: int) -> Any:
    """Put the twins of each part behind one another, along the batch axis (the last but one)."""
    lead, (_, features) = first.shape[:-2], first.shape[-2:]
    both = np.stack([a.reshape(*lead, parts, -1, features) for a in (first, second)], axis=len(lead) + 1)
    return np.ascontiguousarray(both.reshape(*lead, -1, features))
