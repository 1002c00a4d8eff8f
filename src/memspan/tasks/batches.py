"""Endless streams of batches: of a task, or of any other generator."""

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
    """Batches without end; unlike a generator, a stream that can be saved and continued.

    Parameters
    ----------
    task : Task
        What to draw from.
    length, batch : int
        T, of which the task makes its sequences (`Task.shape`), and B.
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
        if not isinstance(self.task, Task):
            raise InvalidArgument("task", "a Task, such as get_task('adding/any') gives", shown(self.task))
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
        """The next batch, which will still be the next one."""
        position = self.position
        batch = next(self)
        self.position = position
        return batch

    def fork(self) -> "Batches":
        """Another stream of the same task, independent of this one, which goes on as if nothing happened."""
        return replace(self, rng=np.random.default_rng(self.rng).spawn(1)[0])

    @property
    def position(self) -> dict[str, Any]:
        """The state of the random numbers: where the stream is."""
        return dict(np.random.default_rng(self.rng).bit_generator.state)

    @position.setter
    def position(self, state: dict[str, Any]) -> None:
        np.random.default_rng(self.rng).bit_generator.state = state


class Counted(Iterator[Batch]):
    """Any iterator of batches, counting: where a plain generator is can only be told by what it has given.

    Parameters
    ----------
    source : iterator of (x, y)
        As `generate_samples` gives.
    name : str
        What errors call it.
    """

    def __init__(self, source: Iterator[Any], name: str = "batches") -> None:
        if not isinstance(source, Iterator):
            raise InvalidArgument(name, "an iterator of (x, y) without end", shown(source))
        self.source, self.name = source, name
        self.drawn = 0
        self._last: Batch | None = None

    def __next__(self) -> Batch:
        try:
            pair = next(self.source)
        except StopIteration:
            raise InvalidArgument(self.name, "without end", f"an end after {self.drawn}") from None
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            got = f"{type(pair).__name__} of {len(pair)}" if hasattr(pair, "__len__") else type(pair).__name__
            raise InvalidArgument(self.name, "pairs (x, y) of arrays", got)
        batch = Batch(plain_array("x", pair[0]), plain_array("y", pair[1]))
        for part in batch:
            if part.dtype.kind not in "biufc":
                raise InvalidArgument(self.name, "pairs (x, y) of arrays of numbers", f"an array of {part.dtype}")
        self._last = batch
        self.drawn += 1
        return self._last

    def __getstate__(self) -> dict[str, Any]:
        """For a copy, or for another process: a generator can go to neither."""
        if isinstance(self.source, Generator):
            rule = "Batches, or another iterator that can be copied, where a learner is copied or pickled"
            raise InvalidArgument(self.name, rule, "a generator")
        return vars(self)

    def digest(self) -> str:
        """A fingerprint of the last batch."""
        parts = () if self._last is None else self._last
        return hashlib.sha256(b"".join(np.ascontiguousarray(part).tobytes() for part in parts)).hexdigest()

    def skip_to(self, drawn: int, digest: str) -> None:
        """Draw until `drawn` batches have been given, of which the last must have that fingerprint."""
        while self.drawn < drawn:
            next(self)
        if self.drawn != drawn or self.digest() != digest:
            rule = f"the same stream of batches from its beginning (batch {drawn} of the saved one differs)"
            raise InvalidArgument(self.name, rule, f"another stream, after {self.drawn} batches")
