"""One network in training, with all that is its own."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from memspan.network import Network
from memspan.runtime.renamed import RenamedAttribute
from memspan.shapes import PerStep
from memspan.tasks import Batch, Batches, Counted
from memspan.training.history import FitResult, History

Stream = Batches | Counted
"""Batches without end, whose position can be saved."""


def as_stream(batches: Iterator[Any], name: str) -> Stream:
    """Batches as they are; any other iterator is wrapped in `Counted`."""
    return batches if isinstance(batches, Stream) else Counted(batches, name)


def held_out_of(batches: Stream) -> Stream:
    """Held-out batches where none are given: of `Batches` an independent stream; others cannot be doubled."""
    return batches.fork() if isinstance(batches, Batches) else batches


@dataclass
class Member:
    """One network of an ensemble, with all that is its own.

    Attributes
    ----------
    model : Network
        Its weights are a row of the ensemble's.
    batches, evaluation : Stream
        Where training and evaluation take their batches from; the same object if they share it.
    state : named tuple
        The optimiser's memory.
    history : History
    updates : int
        Updates done so far.
    result : FitResult or None
        How the last `fit` ended.
    flows : list of array [T]
        Σ_b ‖dL/da[t]‖ of each update that was measured (`flow_every` of `fit`).
    last : Batch or None
        The batch of the last update.
    waiting : Batch or None
        A batch that was drawn and not yet trained on.
    """

    model: Network
    batches: Stream
    evaluation: Stream
    state: Any
    history: History = field(default_factory=History)
    updates: int = 0
    result: FitResult | None = None
    flows: list[PerStep] = field(default_factory=list)
    last: Batch | None = None
    waiting: Batch | None = None

    def __repr__(self) -> str:
        how = f", {self.result}" if self.result else ""
        return f"<Member {self.model!r}, {self.updates} updates{how}>"

    outcome = RenamedAttribute("result")

    def draw(self) -> Batch:
        """The batch of the next update. It stays the same one until an update has used it: Ctrl-C loses none."""
        if self.waiting is None:
            x, y = next(self.batches)
            self.waiting = Batch(x, y.astype(self.model.dtype))
        return self.waiting
