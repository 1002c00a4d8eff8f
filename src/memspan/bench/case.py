"""What is timed: a cell and the sizes of its pass, on sequences of the memory task."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from memspan.cells import CELLS, Cell
from memspan.engines.parameters import Layout
from memspan.errors import one_of, whole_number
from memspan.losses import MSELoss
from memspan.network import Network
from memspan.shapes import Array, Flat
from memspan.tasks import Recall

SIZES = ((50, 64, 32), (50, 64, 128), (200, 32, 64), (1000, 20, 32))
"""T, B and H that are timed unless others are asked for."""


class Problem(NamedTuple):
    """A network and a batch, the same in every process: they are drawn from one seed."""

    network: Network
    x: Array
    y: Array


class Result(NamedTuple):
    """What a pass finds: the loss, and its gradient in the order of `Network.parameters`."""

    loss: float
    gradient: Flat


class Pass(NamedTuple):
    """One way of computing a loss and every gradient; `run` returns when they are there.

    Attributes
    ----------
    run : callable
    result : callable, optional
        What `run` finds, for an engine.
    models : float
        How many models' passes one call does.
    """

    run: Callable[[], object]
    result: Callable[[], Result] | None = None
    models: float = 1


Passes = dict[str, Pass]
"""By name. The fastest of them is the engine's time."""


@dataclass(frozen=True)
class Case:
    """One forward pass, loss and backward pass: a cell, T, B and H; one feature and one output.

    Attributes
    ----------
    cell : str
        A name in `CELLS`.
    time, batch, hidden : int
    """

    cell: str
    time: int
    batch: int
    hidden: int

    def __post_init__(self) -> None:
        one_of("cell", self.cell, CELLS)
        for name in ("time", "batch", "hidden"):
            whole_number(name, getattr(self, name))

    def __str__(self) -> str:
        return f"{self.cell} T={self.time} B={self.batch} H={self.hidden}"

    @property
    def size(self) -> tuple[int, int, int]:
        """T, B and H."""
        return self.time, self.batch, self.hidden

    @property
    def layout(self) -> Layout:
        """Of its network."""
        return Layout(self._cell, 1, self.hidden, 1)

    @property
    def product_operations(self) -> int:
        """Additions and multiplications with R, `6·T·B·G·H²`: one product forward, and two backward."""
        rows, columns = self.layout.shapes.get("R", (0, 0))
        return 6 * self.time * self.batch * rows * columns

    @property
    def transcendentals(self) -> int:
        """Evaluations of a tanh or its like: one for each gate forward, and one backward."""
        return 2 * self.time * self.batch * len(self._cell.input_gates) * self.hidden

    def problem(self, dtype: Any = np.float32) -> Problem:
        """Its network with the cell's initializer, and a batch."""
        for_weights, for_data = np.random.SeedSequence(0).spawn(2)
        network = Network(self._cell, 1, self.hidden, 1, dtype=np.float32, rng=for_weights)
        x, y = Recall().sample(self.time, self.batch, np.random.default_rng(for_data))
        return Problem(network.astype(dtype), *(part.astype(np.float32).astype(dtype) for part in (x, y)))

    def result(self) -> Result:
        """What every engine should find: the readable one in float64."""
        network, x, y = self.problem(np.float64)
        loss = MSELoss()
        value = loss.forward(network.forward(x), y)
        return Result(value, network.backpropagate(loss.backward()).total())

    @property
    def _cell(self) -> Cell:
        return CELLS[self.cell]
