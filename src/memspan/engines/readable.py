"""The readable engine: the forward pass and back-propagation through time, for any cell, each as one loop."""

from collections.abc import Iterator, MutableMapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Inexact

from memspan.cells.base import Cell, Values
from memspan.engines.parameters import Layout, Weights, split
from memspan.errors import InvalidArgument, naming, one_of, plain_array, shown
from memspan.runtime.floats import quiet
from memspan.runtime.memory import demand_memory
from memspan.shapes import Array, Columns, Flat, Hidden, Inputs, Outputs, States


@dataclass(frozen=True)
class Trace:
    """All values of a forward pass.

    Attributes
    ----------
    cell : Cell
        The cell that was run.
    x : array [T, B, F]
        The inputs.
    states : array [S, T+1, B, H]
        Every state. Entry 0 on the time axis is the initial state; entry t+1 is the state after step t.
    residuals : array [N, T, B, H]
        The values that the cell's `forward` saves for `backward`: usually every gate *after* its nonlinearity.
    y_hat : array [K, B, O]
        The predictions after each of the last K steps.
    """

    cell: Cell
    x: Inputs
    states: Inexact[np.ndarray, "states times batch hidden"]
    residuals: Inexact[np.ndarray, "residuals time batch hidden"]
    y_hat: Outputs

    def __repr__(self) -> str:
        T, B, F = self.x.shape
        return f"<Trace of {self.cell.name}: T = {T}, B = {B}, F = {F}, H = {self.states.shape[-1]}>"

    @property
    def a(self) -> Hidden:
        """The output state `a[t]` after each step, `[T, B, H]`."""
        return self.states[0, 1:]

    @property
    def read(self) -> Inexact[np.ndarray, "time batch read"]:
        """The input of R at each step: `a[t-1]`, or the states in `cell.reads`, side by side."""
        return _side_by_side(self.states[: len(self.cell.reads), :-1])

    def state(self, name: str) -> Hidden:
        """The state of that name after each step, `[T, B, H]`."""
        return self.states[self.cell.states.index(one_of("name", name, self.cell.states)), 1:]

    def gate(self, name: str) -> Hidden:
        """The gate of that name at each step, after its nonlinearity, `[T, B, H]`."""
        if not self.cell.residuals:
            raise InvalidArgument("name", f"the name of a gate, and {self.cell.name} saves no gates", repr(name))
        return self.residuals[self.cell.residuals.index(one_of("name", name, self.cell.residuals))]


@dataclass(frozen=True, eq=False, repr=False)
class Gradients(MutableMapping[str, Array]):
    """The gradients of a backward pass: those of the weights by name, all others as attributes.

    The names are `d_V`, `d_W`, `d_R`, `d_bs`, `d_by`, and `d_U` if the cell has per-unit weights. Each array is
    computed when it is first read, and then kept for `Network.update`. To clip a gradient, change its array in
    place or assign another one. The attributes and `total` do not change.

    `grads["d_state"]` returns the attribute `d_state`. The initial state is not a weight, so iteration leaves it
    out, it cannot be assigned, and neither `update` nor a norm over `grads.values()` contains it.

    Attributes
    ----------
    trace : Trace
        The forward pass that was differentiated.
    d_y_hat : array [K, B, O]
        dL/dŷ, the start of the backward pass.
    d_s : array [T, B, G·H]
        dL/ds[t], with respect to the pre-activations of each step.
    d_states : array [S, T, B, H]
        dL/d(state) after each step, through the loss and all later steps. For `a` this is the full gradient. For
        other states, such as the LSTM's c, it omits the path through `a` of the same step.
    d_U : array [T, K, H]
        Each step's contribution to dL/dU, summed over the batch.
    d_state : array [S, B, H]
        dL/d(initial state), of every state in the order of `cell.states`.
    """

    trace: Trace
    d_y_hat: Outputs
    d_s: Columns
    d_states: Inexact[np.ndarray, "states time batch hidden"]
    d_U: Inexact[np.ndarray, "time unit_weights hidden"]
    d_state: States
    _kept: dict[str, Array] = field(default_factory=dict, init=False)

    __eq__ = object.__eq__  # compare by identity: comparing arrays would be ambiguous
    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return f"<Gradients of {self.trace.cell.name}: {', '.join(self)}>"

    def __getitem__(self, name: str) -> Array:
        if name == "d_state":
            return self.d_state
        if name not in self._names():
            raise KeyError(name)
        if name not in self._kept:
            self._kept[name] = self.d_U.copy() if name == "d_U" else np.ascontiguousarray(getattr(self, name))
        return self._kept[name]

    def __setitem__(self, name: str, gradient: Array) -> None:
        if name not in self._names():
            raise InvalidArgument("the name of a gradient", f"one of {', '.join(self)}", shown(name))
        new, shape = plain_array(name, gradient), self[name].shape
        if new.shape not in (shape, shape[-2:]) or new.dtype.kind not in "fc":
            rule = f"an array of floating-point numbers of shape {shape}, or {shape[-2:]} for its sum over time"
            raise InvalidArgument(name, rule, f"dtype {new.dtype} and shape {new.shape}")
        self._kept[name] = new

    def __delitem__(self, name: str) -> None:
        raise TypeError("A gradient can be changed but not deleted.")

    def __iter__(self) -> Iterator[str]:
        return iter(self._names())

    def __len__(self) -> int:
        return len(self._names())

    @property
    def d_a(self) -> Hidden:
        """dL/da[t], `[T, B, H]`: the gradient that vanishes."""
        return self.d_states[0]

    @property
    @quiet
    def d_W(self) -> Inexact[np.ndarray, "time features input_gates"]:
        """Each step's contribution to dL/dW, summed over the batch: `x[t] dL/ds[t]ᵀ`."""
        return np.matmul(self.trace.x.transpose(0, 2, 1), self._d_input_gates)

    @property
    @quiet
    def d_R(self) -> Inexact[np.ndarray, "time read recurrent"]:
        """Each step's contribution to dL/dR, summed over the batch: `a[t-1] dL/ds[t]ᵀ`."""
        first, last = self.trace.cell.fed(self.trace.a.shape[-1])
        d_R = np.matmul(self.trace.read.transpose(0, 2, 1), self.d_s[..., first:last])
        if self.trace.cell.reset is None:
            return d_R
        from_q = np.matmul(self.trace.gate("q").transpose(0, 2, 1), self.d_s[..., last:])
        return np.concatenate([d_R, from_q], axis=-1)

    @property
    def d_bs(self) -> Inexact[np.ndarray, "time columns 1"]:
        """Each step's contribution to dL/db_s, summed over the batch: `dL/ds[t]`."""
        return self.d_s.sum(axis=1)[:, :, np.newaxis]

    @property
    @quiet
    def d_V(self) -> Inexact[np.ndarray, "hidden outputs"]:
        """dL/dV, summed over the batch and the last K steps: `a[t] dL/dŷᵀ`."""
        output_steps = self.trace.a[-len(self.d_y_hat) :]
        return flat_steps(output_steps).T @ flat_steps(self.d_y_hat)

    @property
    def d_by(self) -> Inexact[np.ndarray, "outputs 1"]:
        """dL/db_y, summed over the batch and the last K steps: `dL/dŷ`."""
        return self.d_y_hat.sum(axis=(0, 1))[:, np.newaxis]

    @quiet
    def total(self) -> Flat:
        """Return the gradient of all weights, summed over time, in the order of `Weights`.

        Each sum is one product over time and batch, which avoids the array `[T, H, G·H]` of `d_R`.
        """
        d_s = flat_steps(self.d_s)
        first, last = self.trace.cell.fed(self.trace.a.shape[-1])
        d_W = flat_steps(self.trace.x).T @ flat_steps(self._d_input_gates)
        d_R = flat_steps(self.trace.read).T @ d_s[:, first:last]
        if self.trace.cell.reset is not None:
            d_R = np.concatenate([d_R, flat_steps(self.trace.gate("q")).T @ d_s[:, last:]], axis=-1)
        d_bs = d_s.sum(axis=0)
        sums = Weights(d_W, d_R, d_bs[:, np.newaxis], self.d_V, self.d_by, self.d_U.sum(axis=0))
        return np.concatenate([gradient.ravel() for gradient in sums])

    def _names(self) -> tuple[str, ...]:
        """Return the names of the gradients of the cell's weights."""
        trace = self.trace
        weights = Layout(trace.cell, trace.x.shape[-1], trace.a.shape[-1], trace.y_hat.shape[-1]).shapes
        return tuple(f"d_{name}" for name in ("V", "W", "R", "bs", "by", "U") if name in weights)

    @property
    def _d_input_gates(self) -> Columns:
        """dL/ds of the gates that W feeds."""
        return self.d_s[..., : len(self.trace.cell.input_gates) * self.trace.a.shape[-1]]


def flat_steps(values: Inexact[np.ndarray, "time batch width"]) -> Inexact[np.ndarray, "rows width"]:
    """Join the time and batch axes."""
    return values.reshape(-1, values.shape[-1])


@quiet
def unroll(cell: Cell, weights: Weights, x: Inputs, output_steps: int = 1, initial: States | None = None) -> Trace:
    """Run `cell` over `x [T, B, F]`, and predict after each of the last `output_steps` steps.

    All states start at zero, unless `initial [S, B, H]` gives them.
    """
    (T, B, _), H = x.shape, weights.V.shape[0]
    numbers = T * B * (len(weights.bs) + H * (len(cell.states) + len(cell.residuals)))
    demand_memory("x", f"shape {x.shape}", numbers * x.dtype.itemsize)
    from_input = drive(weights, x)
    states = np.zeros((len(cell.states), T + 1, B, H), from_input.dtype)
    residuals = np.empty((len(cell.residuals), T, B, H), from_input.dtype)
    if initial is not None:
        states[:, 0] = initial
    state, unit = tuple(states[:, 0]), cell.unit(weights.U)
    with naming(f"The cell {cell.name}"):
        for t in range(T):
            s = pre_activations(cell, weights, unit, from_input[t], state)
            state, kept = cell.forward(s, state, unit)
            assign(states[:, t + 1], state)
            assign(residuals[:, t], kept)
    y_hat = states[0, -output_steps:] @ weights.V + weights.by.T
    return Trace(cell, x, states, residuals, y_hat)


def drive(weights: Weights, x: Inexact[np.ndarray, "... features"]) -> Inexact[np.ndarray, "... columns"]:
    """Return the part of the pre-activations from inputs and bias, `Wᵀ x[t] + b_s`, for any number of steps."""
    bias, input_gates = np.swapaxes(weights.bs, -1, -2), weights.W.shape[-1]
    from_input = x @ weights.W + bias[..., :input_gates]
    undriven = np.broadcast_to(bias[..., input_gates:], (*from_input.shape[:-1], bias.shape[-1] - input_gates))
    return np.concatenate([from_input, undriven], axis=-1) if undriven.shape[-1] else from_input


def pre_activations(
    cell: Cell,
    weights: Weights,
    unit: Values,
    from_input: Inexact[np.ndarray, "*models batch columns"],
    previous: Values,
) -> Values:
    """Return the pre-activations `s[t] = Wᵀ x[t] + b_s + Rᵀ a[t-1]` of one step, by gate."""
    H = weights.V.shape[-2]
    first, last = cell.fed(H)
    R, R_last = weights.R[..., : last - first], weights.R[..., last - first :]
    s = from_input[..., first:last]
    if first < last:
        s = s + _side_by_side(previous[: len(cell.reads)]) @ R
    gates = split(from_input[..., :first], H) + split(s, H)
    if cell.reset is None:
        return gates
    q = cell.reset.forward(gates, previous, unit)
    return gates + split(from_input[..., last:] + q @ R_last, H)


@quiet
def backpropagate(
    weights: Weights,
    trace: Trace,
    d_y_hat: Outputs,
    d_last: States | None = None,
    truncate: int | None = None,
) -> Gradients:
    """Back-propagate through time: from dL/dŷ to dL/ds[t] and dL/d(state)[t] of every step.

    Werbos 1990 (doi:10.1109/5.58337). The gradient of a state has a part through the linear map of the next step,
    `R dL/ds[t+1]`, and a part inside the cell, which the cell's `backward` returns. At the last K steps the
    readout adds a part.

    Parameters
    ----------
    weights, trace, d_y_hat
        The forward pass, and dL/dŷ `[K, B, O]`.
    d_last : array [S, B, H], optional
        dL/d(state) after the last step, through whatever follows the sequence. It goes back to the beginning.
    truncate : int, optional
        k: the gradient of each output goes back through k steps, its own step included, and takes the state before
        them as a constant. This is BPTT(h) of Williams & Peng 1990 (doi:10.1162/neco.1990.2.4.490) with h = k. If
        None, it goes back to the beginning.

    Notes
    -----
    A truncated gradient has to be kept apart from those that go back further. Outputs whose windows begin at the
    same step share one. Steps before all windows are not visited.
    """
    cell, (T, B, H), dtype = trace.cell, trace.a.shape, trace.y_hat.dtype
    reach, unread = truncate or T + 1, T - len(d_y_hat)  # from the last step, T + 1 reaches the initial state
    d_s, d_s_of_one = np.zeros((T, B, len(weights.bs)), dtype), np.empty((B, len(weights.bs)), dtype)
    d_states = np.zeros((len(cell.states), T, B, H), dtype)
    d_U, unit = np.zeros((T, *weights.U.shape), dtype), cell.unit(weights.U)
    zero = tuple(np.zeros((len(cell.states), B, H), dtype))
    going: dict[int, Values] = {}  # dL/d(state) by the first step it goes back to; -1 is the initial state
    if d_last is not None:
        going[-1] = tuple(d_last)
    with naming(f"The cell {cell.name}"):
        for t in reversed(range(max(0, unread - reach + 1), T)):
            if t >= unread:
                first = max(-1, t - reach + 1)
                d_a, *others = going.get(first, zero)
                going[first] = (d_a + d_y_hat[t - unread] @ weights.V.T, *others)
            previous, state, residuals = (
                tuple(trace.states[:, t]),
                tuple(trace.states[:, t + 1]),
                tuple(trace.residuals[:, t]),
            )
            for first, d_state in going.items():
                _add(d_states[:, t], d_state)
                going[first], d_unit = step_back(
                    cell, weights, unit, d_state, residuals, previous, state, d_s_of_one
                )
                d_s[t] += d_s_of_one
                _add(d_U[t], tuple(part.sum(axis=0) for part in d_unit))
            going.pop(t, None)
    d_initial = np.zeros((len(cell.states), B, H), dtype)
    assign(d_initial, going.get(-1, zero))
    return Gradients(trace, d_y_hat, d_s, d_states, d_U, d_initial)


def step_back(
    cell: Cell,
    weights: Weights,
    unit: Values,
    d_state: Values,
    residuals: Values,
    previous: Values,
    state: Values,
    d_s: Inexact[np.ndarray, "*rows columns"],
) -> tuple[Values, Values]:
    """Take one step of back-propagation, for any leading axes: from dL/d(new states) to dL/d(previous states).

    The arrays of `d_state`, `residuals`, `previous` and `state` only have to broadcast to those of `d_s`, so one
    call can take several gradients back through the same step, or one through several steps.

    Parameters
    ----------
    d_state, residuals, previous, state
        As for `Cell.backward`.
    d_s : array [..., G·H]
        Receives dL/ds.

    Returns
    -------
    tuple
        dL/d(previous states), also through `s`, and dL/d(unit weights) before their sum over the samples.
    """
    H = weights.V.shape[-2]
    d_gates, d_previous, d_unit = cell.backward(d_state, residuals, previous, state, unit)
    assign(split(d_s, H), d_gates)
    first, last = cell.fed(H)
    R, R_last = weights.R[:, : last - first], weights.R[:, last - first :]
    if cell.reset is not None:
        d_q = d_s[..., last:] @ R_last.T
        d_gates, d_more = cell.reset.backward(d_q, residuals, previous, unit)
        for target, through_q in zip(split(d_s[..., :last], H), d_gates, strict=True):
            target += through_q
        d_previous = tuple(direct + through_q for direct, through_q in zip(d_previous, d_more, strict=True))
    d_read = split(d_s[..., first:last] @ R.T, H)
    read = tuple(direct + through_s for direct, through_s in zip(d_previous, d_read, strict=False))
    return read + d_previous[len(read) :], d_unit


def _side_by_side(states: Any) -> Inexact[np.ndarray, "... read"]:
    return states[0] if len(states) == 1 else np.concatenate(tuple(states), axis=-1)


def _add(targets: Array, values: Values) -> None:
    """Add each value to its target."""
    for target, value in zip(targets, values, strict=True):
        target += value


def assign(targets: Array | Values, values: Values) -> None:
    """Write each value into its target, broadcast to the target's shape."""
    for target, value in zip(targets, values, strict=True):
        target[:] = value
