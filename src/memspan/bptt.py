"""The readable engine: unroll any cell over time, and propagate the gradient back through time.

Both directions are one loop over the steps. Everything that a cell does differently is in its two pointwise
functions; nothing here knows which cell it is.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Inexact

from memspan.axes import Array, Columns, Flat, Hidden, Inputs, Outputs
from memspan.cells import Cell
from memspan.weights import Weights


@dataclass(frozen=True)
class Trace:
    """All that a forward pass computed.

    Attributes
    ----------
    cell : Cell
        Whose trace it is.
    x : array [T, B, F]
        The inputs.
    states : array [S, T+1, B, H]
        Every state; entry 0 on the time axis is the start (zeros), entry t+1 what step t left behind.
    gates : array [G, T, B, H]
        The value of every gate *after* its nonlinearity.
    y_hat : array [B, O]
        The prediction, read out after the last step.
    """

    cell: Cell
    x: Inputs
    states: Inexact[np.ndarray, "states times batch hidden"]
    gates: Inexact[np.ndarray, "gates time batch hidden"]
    y_hat: Outputs

    @property
    def a(self) -> Hidden:
        """`a[t]`, the output state after each step, `[T, B, H]`."""
        return self.states[0, 1:]

    @property
    def a_previous(self) -> Hidden:
        """`a[t-1]`, the output state before each step, `[T, B, H]`."""
        return self.states[0, :-1]

    def state(self, name: str) -> Hidden:
        """The state of that name after each step, `[T, B, H]`."""
        return self.states[self.cell.states.index(name), 1:]

    def gate(self, name: str) -> Hidden:
        """The gate of that name at each step, after its nonlinearity, `[T, B, H]`."""
        return self.gates[self.cell.gates.index(name)]


@dataclass(frozen=True)
class Gradients:
    """All that a backward pass computed; the gradients of the weights are derived from it when asked for.

    They are derived anew each time, so that editing one, as a clip does, changes nothing here.

    Attributes
    ----------
    trace : Trace
        The forward pass that was differentiated.
    d_y_hat : array [B, O]
        dL/dŷ, where the pass began.
    d_s : array [T, B, G·H]
        dL/ds[t], with respect to the pre-activations of each step.
    d_states : array [S, T, B, H]
        dL/d(state) after each step, through the loss and through every later step. For `a` that is all; what
        another state does to `a` within its own step (the LSTM's c) is the cell's affair and is not in it.
    """

    trace: Trace
    d_y_hat: Outputs
    d_s: Columns
    d_states: Inexact[np.ndarray, "states time batch hidden"]

    @property
    def d_a(self) -> Hidden:
        """dL/da[t], `[T, B, H]`: what vanishes."""
        return self.d_states[0]

    @property
    def d_W(self) -> Inexact[np.ndarray, "time features columns"]:
        """Each step's contribution to dL/dW, summed over the batch: `x[t] dL/ds[t]ᵀ`."""
        return np.matmul(self.trace.x.transpose(0, 2, 1), self.d_s)

    @property
    def d_R(self) -> Inexact[np.ndarray, "time hidden columns"]:
        """Each step's contribution to dL/dR, summed over the batch: `a[t-1] dL/ds[t]ᵀ`."""
        return np.matmul(self.trace.a_previous.transpose(0, 2, 1), self.d_s)

    @property
    def d_bs(self) -> Inexact[np.ndarray, "time columns 1"]:
        """Each step's contribution to dL/db_s, summed over the batch: `dL/ds[t]`."""
        return self.d_s.sum(axis=1)[:, :, np.newaxis]

    @property
    def d_V(self) -> Inexact[np.ndarray, "hidden outputs"]:
        """dL/dV, summed over the batch: `a[T] dL/dŷᵀ`."""
        return self.trace.a[-1].T @ self.d_y_hat

    @property
    def d_by(self) -> Inexact[np.ndarray, "outputs 1"]:
        """dL/db_y, summed over the batch: `dL/dŷ`."""
        return self.d_y_hat.sum(axis=0)[:, np.newaxis]

    def total(self) -> Flat:
        """The gradient of all weights, summed over time, in the order of `Weights`.

        One product over time and batch together gives each sum without its summands: a long sequence never
        needs the `[T, H, G·H]` that `d_R` takes.
        """
        d_s = flat_steps(self.d_s)
        d_W = flat_steps(self.trace.x).T @ d_s
        d_R = flat_steps(self.trace.a_previous).T @ d_s
        sums = Weights(d_W, d_R, d_s.sum(axis=0)[:, np.newaxis], self.d_V, self.d_by)
        return np.concatenate([gradient.ravel() for gradient in sums])


def flat_steps(values: Inexact[np.ndarray, "time batch width"]) -> Inexact[np.ndarray, "rows width"]:
    """Time and batch as one axis."""
    return values.reshape(-1, values.shape[-1])


def unroll(cell: Cell, weights: Weights, x: Inputs) -> Trace:
    """Run `cell` over `x` from zero states and read out the last step.

    Parameters
    ----------
    cell : Cell
        The pointwise half.
    weights : Weights
        The linear half.
    x : array [T, B, F]
        A batch of sequences.
    """
    (T, B, _), H = x.shape, weights.R.shape[0]
    drive = x @ weights.W
    drive += weights.bs.T
    states = np.zeros((len(cell.states), T + 1, B, H), drive.dtype)
    gates = np.empty((len(cell.gates), T, B, H), drive.dtype)
    state = tuple(states[:, 0])
    for t in range(T):
        s = drive[t] + state[0] @ weights.R
        state, gate = cell.forward(split(s, H), state)
        _store(states[:, t + 1], state)
        _store(gates[:, t], gate)
    y_hat = state[0] @ weights.V + weights.by.T
    return Trace(cell, x, states, gates, y_hat)


def backpropagate(weights: Weights, trace: Trace, d_y_hat: Outputs) -> Gradients:
    """Back-propagation through time: from dL/dŷ to dL/ds[t] and dL/d(state)[t] of every step.

    Werbos 1990 (doi:10.1109/5.58337). A state is read by the next step in two ways: through the linear map,
    which returns `R dL/ds[t+1]`, and directly inside the cell, which the cell's `backward` returns.
    """
    cell, (T, B, H) = trace.cell, trace.a.shape
    d_s = np.empty((T, B, weights.R.shape[1]), trace.y_hat.dtype)
    d_states = np.empty((len(cell.states), T, B, H), trace.y_hat.dtype)
    d_state = (d_y_hat @ weights.V.T, *np.zeros((len(cell.states) - 1, B, H), trace.y_hat.dtype))
    for t in reversed(range(T)):
        _store(d_states[:, t], d_state)
        previous, state = tuple(trace.states[:, t]), tuple(trace.states[:, t + 1])
        d_gates, d_previous = cell.backward(d_state, tuple(trace.gates[:, t]), previous, state)
        _store(split(d_s[t], H), d_gates)
        d_state = (d_previous[0] + d_s[t] @ weights.R.T, *d_previous[1:])
    return Gradients(trace, d_y_hat, d_s, d_states)


def split(s: Array, hidden: int) -> tuple[Array, ...]:
    """The columns of `s [..., G·H]` by gate: G views `[..., H]`."""
    return tuple(s[..., begin : begin + hidden] for begin in range(0, s.shape[-1], hidden))


def _store(targets: Array | tuple[Array, ...], values: tuple[Array, ...]) -> None:
    for target, value in zip(targets, values, strict=True):
        target[:] = value
