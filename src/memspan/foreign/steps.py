"""Single time steps of a foreign model: back from a gradient of the state to one of the state before."""

from typing import TYPE_CHECKING

import numpy as np

from memspan.foreign.gradients import State
from memspan.foreign.state import parts_of, with_parts
from memspan.network.steps import Rows, demand_finite
from memspan.shapes import Array, Inputs

if TYPE_CHECKING:
    from memspan.foreign.network import ForeignNetwork


class ForeignSteps:
    """The steps of a foreign model, each a pass of its own that begins with the state before it. See `Steps`.

    A model does not say what its initial state is. Where its first step is the same with a state of zeros, that is
    it. Otherwise the first step is not differentiated.
    """

    def __init__(self, model: "ForeignNetwork", x: Inputs) -> None:
        self._model, self._x = model.with_output_steps(None), x
        self._before: list[State] = [None]
        for x_t in x:
            self._model.predict(x_t[np.newaxis], self._before[-1])
            self._before.append(self._model.state)
        after = [self._parts(state) for state in self._before[1:]]
        demand_finite(after)
        self.shape, self.widths = (x.shape[0], x.shape[1]), tuple(part.shape[1] for part in after[0])
        zeros = with_parts(self._model.state, [np.zeros_like(part) for part in parts_of(self._model.state)])
        self._model.predict(x[:1], zeros)
        same = all(map(np.array_equal, self._parts(self._model.state), after[0]))
        self._before[0], self.first = (zeros, 0) if same else (None, 1)

    def back(self, t: int, d_state: Rows) -> Rows:
        """See `Steps`. The gradients are those of copies of the samples, so one pass takes all of them back."""
        R, B, _ = d_state.shape
        if not self.widths:  # nothing passes from step to step
            return d_state
        model, before, after = self._model, self._before[t], self._before[t + 1]
        repeated = with_parts(before, [_tiled(part, R) for part in parts_of(before)])
        columns = np.split(d_state.reshape(R * B, -1), np.cumsum(self.widths)[:-1], axis=1)
        shapes = ((R * B, *part.shape[1:]) for part in parts_of(after))
        d_after = with_parts(after, [part.reshape(shape) for part, shape in zip(columns, shapes, strict=True)])
        y_hat = model.forward(_tiled(self._x[t], R)[np.newaxis], repeated)
        found = model.backpropagate(np.zeros_like(y_hat), d_after)
        return np.concatenate(self._parts(found.d_state), axis=1).reshape(d_state.shape)

    def _parts(self, state: State) -> list[Array]:
        """The arrays of a state, each as `[B, width]`."""
        return [part.reshape(len(part), -1) for part in parts_of(state)]


def _tiled(values: Array, times: int) -> Array:
    return np.tile(values, (times, *(1 for _ in values.shape[1:])))
