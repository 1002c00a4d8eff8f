"""Single time steps of a network: back from a gradient of the state to one of the state before."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol

import numpy as np
from jaxtyping import Float

from memspan.engines.parameters import split
from memspan.engines.readable import assign, step_back, unroll
from memspan.errors import InvalidArgument, naming
from memspan.runtime.floats import quiet
from memspan.shapes import Array, Inputs

if TYPE_CHECKING:
    from memspan.network.network import Network

Rows = Float[np.ndarray, "rows batch width"]


class Steps(Protocol):
    """The steps of a pass.

    Attributes
    ----------
    widths : tuple of int
        The width of each state, or of each array of the state. They stand side by side; N is their sum.
    shape : T, B
        The numbers of steps and samples.
    first : int
        The first step that can be differentiated: 1 where the model does not tell its initial state, else 0.
    """

    @property
    def widths(self) -> tuple[int, ...]:
        """The width of each state."""

    @property
    def shape(self) -> tuple[int, int]:
        """T and B."""

    @property
    def first(self) -> int:
        """The first step that can be differentiated."""

    def back(self, t: int, d_state: Rows) -> Rows:
        """Take gradients of the state after step t back to the state before it.

        Parameters
        ----------
        t : int
        d_state : array [R, B, N]
            R gradients of the state after the step, for each sample.

        Returns
        -------
        array [R, B, N]
        """


class CellSteps:
    """The steps of a network of a cell, whose own backward takes the gradients back. See `Steps`."""

    first = 0

    def __init__(self, network: "Network", x: Inputs) -> None:
        self._weights, self._cell = network.weights, network.cell
        self._unit, self._hidden = self._cell.unit(self._weights.U), network.hidden_size
        trace = unroll(self._cell, self._weights, x)
        demand_finite(trace.states[:, 1:].swapaxes(0, 1))
        self._states, self._residuals = trace.states, trace.residuals
        self.widths, self.shape = (self._hidden,) * len(self._states), (x.shape[0], x.shape[1])

    @quiet
    def back(self, t: int, d_state: Rows) -> Rows:
        """See `Steps`."""
        d_s = np.empty((*d_state.shape[:2], len(self._weights.bs)))
        d_before = np.empty_like(d_state)
        residuals, before, after = map(tuple, (self._residuals[:, t], self._states[:, t], self._states[:, t + 1]))
        d_after = split(d_state, self._hidden)
        with naming(f"The cell {self._cell.name}"):
            found, _ = step_back(self._cell, self._weights, self._unit, d_after, residuals, before, after, d_s)
        assign(split(d_before, self._hidden), found)
        return d_before


def demand_finite(states: Iterable[Iterable[Array]]) -> None:
    """Raise `InvalidArgument` unless the states after every step are finite."""
    for t, parts in enumerate(states, start=1):
        if not all(np.isfinite(part).all() for part in parts):
            rule = "one whose states stay finite on x"
            raise InvalidArgument("network", rule, f"infinity or NaN after time step {t}")
