"""A network in training, with its data, optimiser state and history."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float

from memspan.diagnostics.flow import FlowSpread, summed
from memspan.runtime.renamed import RenamedAttribute
from memspan.shapes import PerStep
from memspan.tasks import Batch, Batches, Counted
from memspan.training.history import FitResult, History

WAITING = 1 << 20  # bytes of norms that wait to be summarised
Stream = Batches | Counted
"""An endless stream of batches whose position can be saved."""


def as_stream(batches: Iterator[Any], name: str) -> Stream:
    """Return `batches` if it is a stream; wrap any other iterator in `Counted`."""
    return batches if isinstance(batches, Stream) else Counted(batches, name)


def held_out_of(batches: Stream) -> Stream:
    """Return the default stream of held-out batches: a fork of `Batches`, or any other stream itself."""
    return batches.fork() if isinstance(batches, Batches) else batches


class FlowRecord:
    """The gradient of the measured updates of a network with this dtype.

    The norms of several updates are summarised at a time, because that takes a small part of the time.
    """

    def __init__(self, dtype: np.dtype) -> None:
        self._dtype = dtype
        self._waiting: list[Float[np.ndarray, "time batch"]] = []
        self._flows: list[PerStep] = []
        self._spreads: list[FlowSpread] = []

    def add(self, norms: Float[np.ndarray, "time batch"]) -> None:
        """Add the norms of all samples' dL/da[t] in one update."""
        if self._waiting and self._waiting[0].shape != norms.shape:
            self._summarise()
        self._waiting.append(norms)
        if len(self._waiting) * norms.nbytes >= WAITING:
            self._summarise()

    @property
    def flows(self) -> list[PerStep]:
        """Σ_b ‖dL/da[t]‖ of each update."""
        self._summarise()
        return self._flows

    @property
    def spreads(self) -> list[FlowSpread]:
        """How ‖dL/da[t]‖ is spread over the batch, for each update."""
        self._summarise()
        return self._spreads

    def _summarise(self) -> None:
        if not self._waiting:
            return
        T, rows = len(self._waiting[0]), np.concatenate(self._waiting)
        flows, spread = summed(rows), FlowSpread.of(rows, self._dtype)
        for begin in range(0, len(rows), T):
            steps = slice(begin, begin + T)
            self._flows.append(flows[steps])
            self._spreads.append(spread.of_steps(steps))
        self._waiting = []


@dataclass
class Member:
    """A network of an ensemble, with its data, optimiser state and history.

    Attributes
    ----------
    model : Network or another Model
        The network. During training, its weights are a row of the ensemble's array.
    batches, evaluation : Stream
        The training and the held-out batches. Both can be the same object.
    state : named tuple
        The state of the optimiser.
    history : History
        The numbers of every update and evaluation.
    updates : int
        The number of updates so far.
    result : FitResult or None
        How the last `fit` ended.
    flow_every : int
        The number of updates from one measurement of dL/da to the next; 0 for none.
    record : FlowRecord
        The measured updates.
    last : Batch or None
        The batch of the last update.
    waiting : Batch or None
        A batch that was drawn but not yet used by an update.
    """

    model: Any
    batches: Stream
    evaluation: Stream
    state: Any
    history: History = field(default_factory=History)
    updates: int = 0
    result: FitResult | None = None
    flow_every: int = 0
    record: FlowRecord = field(init=False)
    last: Batch | None = None
    waiting: Batch | None = None

    def __post_init__(self) -> None:
        self.record = FlowRecord(self.model.dtype)

    def __repr__(self) -> str:
        how = f", {self.result}" if self.result else ""
        return f"<Member {self.model!r}, {self.updates} updates{how}>"

    outcome = RenamedAttribute("result")

    @property
    def flows(self) -> list[PerStep]:
        """Σ_b ‖dL/da[t]‖ `[T]` of each measured update."""
        return self.record.flows

    @property
    def spreads(self) -> list[FlowSpread]:
        """How ‖dL/da[t]‖ is spread over the batch, for each measured update."""
        return self.record.spreads

    @property
    def due(self) -> bool:
        """Whether dL/da is measured in the next update."""
        return self.flow_every > 0 and self.updates % self.flow_every == 0

    def draw(self) -> Batch:
        """Return the batch of the next update; the same one until an update has used it, so Ctrl-C loses none."""
        if self.waiting is None:
            x, y = next(self.batches)
            self.waiting = Batch(x, y.astype(self.model.dtype))
        return self.waiting
