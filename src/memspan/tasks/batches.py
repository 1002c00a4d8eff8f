"""Endless streams of batches, from a task or from any other iterator."""

import hashlib
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from memspan.errors import InvalidArgument, generator, one_dtype, plain_array, shown, whole_number
from memspan.runtime.renamed import checked_keywords
from memspan.tasks.base import SEQUENCES, Batch, Task


@checked_keywords()
@dataclass
class Batches(Iterator[Batch]):
    """An endless stream of batches of a task. Unlike a generator, it can be saved and continued.

    Parameters
    ----------
    task : Task
        The task that makes the sequences.
    length, batch : int
        The task's length T (`Task.shape` gives the number of time steps), and the batch size B.
    rng : Generator, SeedSequence or int
        The source of the random numbers.
    dtype : float32 or float64
        The dtype of the arrays. The numbers are always drawn in float64 and then rounded.
    """

    task: Task
    length: int
    batch: int
    rng: np.random.Generator | np.random.SeedSequence | int
    dtype: DTypeLike = np.float64

    def __post_init__(self) -> None:
        if not isinstance(self.task, Task):
            raise InvalidArgument("task", "a Task, for example get_task('adding/any')", shown(self.task))
        self.length = self.task.checked_length(self.length)
        self.batch = whole_number("batch", self.batch)
        self.task.demand_memory(self.length, self.batch)
        self.rng = generator("rng", self.rng, SEQUENCES)
        self.dtype = one_dtype("dtype", self.dtype, ("float32", "float64"))

    def __repr__(self) -> str:
        return f"<Batches of {self.task.name}, T = {self.length}, B = {self.batch}, {self.dtype}>"

    def __next__(self) -> Batch:
        x, y = self.task.sample(self.length, self.batch, np.random.default_rng(self.rng))
        return Batch(x.astype(self.dtype, copy=False), y.astype(self.dtype, copy=False))

    def peek(self) -> Batch:
        """Return the next batch without advancing the stream."""
        position = self.position
        batch = next(self)
        self.position = position
        return batch

    def fork(self) -> "Batches":
        """Return an independent stream of the same task. The batches of this stream do not change."""
        return replace(self, rng=np.random.default_rng(self.rng).spawn(1)[0])

    def held_out(self) -> "Batches":
        """Return an independent stream for evaluation. The batches of this stream do not change."""
        return replace(self.fork(), task=self.task.for_evaluation)

    @property
    def position(self) -> dict[str, Any]:
        """The state of the random number generator, which determines all further batches."""
        return dict(np.random.default_rng(self.rng).bit_generator.state)

    @position.setter
    def position(self, state: dict[str, Any]) -> None:
        np.random.default_rng(self.rng).bit_generator.state = state


class Counted(Iterator[Batch]):
    """Any iterator of batches, with a count of the batches drawn: the only position that a plain generator has.

    Parameters
    ----------
    source : iterator of (x, y)
        An endless iterator, such as `generate_samples(...)`.
    name : str
        The name of the argument, for error messages.
    """

    def __init__(self, source: Iterator[Any], name: str = "batches") -> None:
        if not isinstance(source, Iterator):
            raise InvalidArgument(name, "an endless iterator of pairs (x, y)", shown(source))
        self.source, self.name = source, name
        self.drawn = 0
        self._last: Batch | None = None

    def __next__(self) -> Batch:
        try:
            pair = next(self.source)
        except StopIteration:
            raise InvalidArgument(self.name, "endless", f"only {self.drawn} batches") from None
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            got = f"{type(pair).__name__} of {len(pair)}" if hasattr(pair, "__len__") else type(pair).__name__
            raise InvalidArgument(self.name, "an iterator of pairs (x, y) of arrays", got)
        batch = Batch(plain_array("x", pair[0]), plain_array("y", pair[1]))
        for part in batch:
            if part.dtype.kind not in "biufc":
                rule = "an iterator of pairs (x, y) of numeric arrays"
                raise InvalidArgument(self.name, rule, f"an array of {part.dtype}")
        self._last = batch
        self.drawn += 1
        return self._last

    def __getstate__(self) -> dict[str, Any]:
        """Return the state for copying and pickling, which Python cannot do with a generator."""
        if isinstance(self.source, Generator):
            rule = "Batches or another iterator that can be copied, because the learner is copied or pickled"
            raise InvalidArgument(self.name, rule, "a generator")
        return vars(self)

    def digest(self) -> str:
        """Return a fingerprint of the last batch."""
        parts = () if self._last is None else self._last
        return hashlib.sha256(b"".join(np.ascontiguousarray(part).tobytes() for part in parts)).hexdigest()

    def skip_to(self, drawn: int, digest: str) -> None:
        """Draw batches until their number is `drawn`, and check that the last one has the fingerprint `digest`."""
        while self.drawn < drawn:
            next(self)
        if self.drawn != drawn or self.digest() != digest:
            rule = f"the stream that was saved, from its first batch (batch {drawn} differs)"
            raise InvalidArgument(self.name, rule, f"another stream at batch {self.drawn}")
