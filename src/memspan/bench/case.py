"""The cases that are timed: a cell and the sizes of its pass, on the memory task."""

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
"""The default sizes T, B and H."""


class Problem(NamedTuple):
    """A network and a batch, drawn from one seed, so that every process has the same."""

    network: Network
    x: Array
    y: Array


class Result(NamedTuple):
    """The loss of a pass, and its gradient in the order of `Network.parameters`."""

    loss: float
    gradient: Flat


class Pass(NamedTuple):
    """One way to compute a loss and every gradient.

    Attributes
    ----------
    run : callable
        Runs the pass, and returns when it is finished.
    result : callable, optional
        Returns the loss and the gradient of the pass, for an engine.
    models : float
        The number of models in one call.
    """

    run: Callable[[], object]
    result: Callable[[], Result] | None = None
    models: float = 1


Passes = dict[str, Pass]
"""The ways by name. The fastest gives the engine's time."""


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
        """The sizes T, B and H."""
        return self.time, self.batch, self.hidden

    @property
    def layout(self) -> Layout:
        """The layout of the network's parameters."""
        return Layout(self._cell, 1, self.hidden, 1)

    @property
    def product_operations(self) -> int:
        """Floating-point operations with R, `6·T·B·G·H²`: one matrix product forward and two backward."""
        rows, columns = self.layout.shapes.get("R", (0, 0))
        return 6 * self.time * self.batch * rows * columns

    @property
    def transcendentals(self) -> int:
        """Evaluations of activation functions: one for each gate forward, and one backward."""
        return 2 * self.time * self.batch * len(self._cell.input_gates) * self.hidden

    def problem(self, dtype: Any = np.float32) -> Problem:
        """Return the network, with the cell's initializer, and a batch."""
        for_weights, for_data = np.random.SeedSequence(0).spawn(2)
        network = Network(self._cell, 1, self.hidden, 1, dtype=np.float32, rng=for_weights)
        x, y = Recall().sample(self.time, self.batch, np.random.default_rng(for_data))
        return Problem(network.astype(dtype), *(part.astype(np.float32).astype(dtype) for part in (x, y)))

    def result(self) -> Result:
        """Return the reference result: that of the readable engine in float64."""
        network, x, y = self.problem(np.float64)
        loss = MSELoss()
        value = loss.forward(network.forward(x), y)
        return Result(value, network.backpropagate(loss.backward()).total())

    @property
    def _cell(self) -> Cell:
        return CELLS[self.cell]
