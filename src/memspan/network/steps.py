"""Single time steps of a model on given inputs, back from a gradient of the state to that of the state before."""

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from jaxtyping import Float

from memspan.engines.parameters import split
from memspan.engines.readable import assign, step_back, unroll
from memspan.errors import InvalidArgument, naming
from memspan.runtime.floats import quiet
from memspan.shapes import Array, Inputs

if TYPE_CHECKING:
    from memspan.network.model import Model
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
        demand_finite(trace.states[:, 1:].transpose(1, 0, 2, 3))
        self._states, self._residuals = trace.states, trace.residuals
        self.widths, self.shape = (self._hidden,) * len(self._states), (x.shape[0], x.shape[1])

    @quiet
    def back(self, t: int, d_state: Rows) -> Rows:
        """See `Steps`."""
        d_s = np.empty((*d_state.shape[:2], len(self._weights.bs)))
        d_before = np.empty_like(d_state)
        values = (tuple(part) for part in (self._residuals[:, t], self._states[:, t], self._states[:, t + 1]))
        with naming(f"The cell {self._cell.name}"):
            found, _ = step_back(
                self._cell, self._weights, self._unit, split(d_state, self._hidden), *values, d_s
            )
        assign(split(d_before, self._hidden), found)
        return d_before


class ModelSteps:
    """The steps of any model, each a pass of its own that begins with the state before it. See `Steps`.

    A model does not say what its initial state is. Where its first step is the same with a state of zeros, that is
    it. Otherwise the first step is not differentiated.
    """

    def __init__(self, model: "Model", x: Inputs) -> None:
        self._model, self._x = model.with_output_steps(None), x
        self._before: list[Any] = [None]
        for x_t in x:
            self._model.predict(x_t[np.newaxis], self._before[-1])
            self._before.append(self._model.state)
        after = [self._parts(state) for state in self._before[1:]]
        demand_finite(after)
        self.shape, self.widths = (x.shape[0], x.shape[1]), tuple(part.shape[1] for part in after[0])
        zeros = model.with_parts(self._model.state, [np.zeros_like(part) for part in model.parts(self._model.state)])
        self._model.predict(x[:1], zeros)
        same = all(map(np.array_equal, self._parts(self._model.state), after[0]))
        self._before[0], self.first = (zeros, 0) if same else (None, 1)

    def back(self, t: int, d_state: Rows) -> Rows:
        """See `Steps`. The gradients are those of copies of the samples, so one pass takes all of them back."""
        R, B, _ = d_state.shape
        if not self.widths:  # nothing passes from step to step
            return d_state
        model, before, after = self._model, self._before[t], self._before[t + 1]
        repeated = model.with_parts(before, [_tiled(part, R) for part in model.parts(before)])
        columns = np.split(d_state.reshape(R * B, -1), np.cumsum(self.widths)[:-1], axis=1)
        shapes = ((R * B, *part.shape[1:]) for part in model.parts(after))
        d_after = model.with_parts(after, [part.reshape(shape) for part, shape in zip(columns, shapes, strict=True)])
        y_hat = model.forward(_tiled(self._x[t], R)[np.newaxis], repeated)
        found = model.backpropagate(np.zeros_like(y_hat), d_after)
        return np.concatenate(self._parts(found.d_state), axis=1).reshape(d_state.shape)

    def _parts(self, state: Any) -> list[Array]:
        """The arrays of a state, each as `[B, width]`."""
        return [part.reshape(len(part), -1) for part in self._model.parts(state)]


def _tiled(values: Array, times: int) -> Array:
    return np.tile(values, (times, *(1 for _ in values.shape[1:])))


def demand_finite(states: Any) -> None:
    """Raise `InvalidArgument` unless the states after every step are finite."""
    for t, parts in enumerate(states, start=1):
        if not all(np.isfinite(part).all() for part in parts):
            raise InvalidArgument("network", "one whose states stay finite on x", f"infinity or NaN after time step {t}")
