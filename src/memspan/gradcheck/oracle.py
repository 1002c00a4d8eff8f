"""The derivative by the complex step, forward in time, along the trajectory that the model itself computed.

Complex step (Squire & Trapp 1998, doi:10.1137/S003614459631241X): f(θ + ih) = f(θ) + ih f'(θ) + O(h²), so

    f'(θ) = Im f(θ + ih) / h

without a subtraction. With h = 1e-20 the O(h²) is far below rounding, and a gradient of 1e-200 keeps all its
digits.

*One step.* Step t uses the weights through s[t] alone, so varying s[t] of sample b gives its δ[t] = dL/ds[t].
The batch is copied T times side by side and copy t varied at step t only: one forward pass differentiates every
step at once.

*Along the trajectory.* After each step the real part of the state is set back to what the model recorded, and
only the imaginary part, which carries the derivative, is handed on. A chaotic network enlarges the last bit of
its state to order one within some hundred steps; two correct programs then follow different trajectories, and
have different gradients. Back-propagation is right if it differentiates the trajectory it was given; that this
one obeys the equations of the network, step by step, is a contract (`memspan.gradcheck.contracts`).
"""

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from memspan.axes import Array, Columns
from memspan.bptt import Trace, split
from memspan.cells import Cell
from memspan.errors import InvalidArgument
from memspan.network import Network
from memspan.weights import Weights

COMPLEX_STEP = 2.0**-66  # 1.4e-20; a power of two, so that dividing by it rounds nothing
MEMORY = 2**21  # bytes that the copies of one pass may take: they then stay in a cache
SHIFT = 1e-3  # a change that a forward pass must show, unless it is flat or saturated
RECURRENT = ("W", "R", "bs")


@dataclass(frozen=True)
class Oracle:
    """The derivatives of L = Σ d_y_hat · ŷ along a recorded trajectory; everything in double precision.

    Attributes
    ----------
    cell, weights, trace
        What was computed, and by what.
    d_y_hat : array [B, O]
        dL/dŷ.
    """

    cell: Cell
    weights: Weights
    trace: Trace
    d_y_hat: Array

    @classmethod
    def of(cls, model: Network, y_hat: Array, d_y_hat: Array) -> Self:
        """The oracle of the last forward pass of `model`, which returned `y_hat`."""
        trace = model.trace
        if trace is None:
            raise InvalidArgument("model", "a network whose forward keeps its trace", type(model).__name__)
        arrays = {name: getattr(trace, name).astype(np.float64) for name in ("x", "states", "gates")}
        arrays["y_hat"] = y_hat.astype(np.float64)
        weights = model.astype(np.float64).weights
        return cls(model.cell, weights, replace(trace, **arrays), d_y_hat.astype(np.float64))

    @property
    def s(self) -> Columns:
        """The pre-activations of every step, `[T, B, G·H]`, from the recorded a[t-1]."""
        return self.trace.x @ self.weights.W + self.trace.a_previous @ self.weights.R + self.weights.bs.T

    @property
    def terms(self) -> Columns:
        """The sum of the magnitudes that `s` is the sum of: the scale on which it is rounded."""
        W, R, bs, *_ = self.weights
        return np.abs(self.trace.x) @ np.abs(W) + np.abs(self.trace.a_previous) @ np.abs(R) + np.abs(bs.T)

    def weight(self, name: str, indices: Array) -> Array:
        """dL/dw of the elements `indices` (flat) of the weight `name`, by varying the weight itself."""
        weight = getattr(self.weights, name)
        begin = len(self.trace.x) if name in ("V", "by") else 0
        derivative = np.empty(len(indices))
        for part in self._parts(len(indices), weight.size, 1):
            varied = np.tile(weight.astype(np.complex128), (len(indices[part]), 1, 1))
            varied.reshape(len(varied), -1)[np.arange(len(varied)), indices[part]] += 1j * COMPLEX_STEP
            derivative[part] = self._follow(self.weights._replace(**{name: varied}), begin).sum(axis=-1)
        return derivative

    def steps(self, directions: Array) -> Array:
        """δ[t] of every step and sample along the columns of `directions [G·H, D]`: `[T, B, D]`."""
        (T, B, _), (columns, count) = self.trace.x.shape, directions.shape
        delta = np.empty((T, B, count))
        for part in self._parts(T, count * columns, count):
            kicks = np.zeros((part.stop - part.start, count, 1, columns), np.complex128)

            def probe(t: int, begin: int = part.start, kicks: Array = kicks) -> Array:
                kicks[:] = 0
                kicks[t - begin : t - begin + 1, :, 0] = 1j * COMPLEX_STEP * directions.T
                return kicks

            delta[part] = self._follow(self.weights, part.start, probe).transpose(0, 2, 1)
        return delta

    def demand_complex_clean(self) -> None:
        """Raise where the cell's forward drops the imaginary part: every derivative through it would be 0."""
        names = (*self.cell.gates, *self.cell.states)
        for k, name in enumerate(names):
            rule = "made of a cell that the complex step can differentiate (no real buffers, no abs, no real)"
            got = f"{self.cell.name}, whose forward loses the imaginary part of {name}"
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("error", np.exceptions.ComplexWarning)
                    carried = self._pointwise(k, 1j * COMPLEX_STEP).imag.any(axis=(1, 2, 3))
            except (TypeError, np.exceptions.ComplexWarning) as error:
                raise InvalidArgument("model", rule, got) from error
            below, here, above = (self._pointwise(k, shift) for shift in (-SHIFT, 0.0, SHIFT))
            changed = ((below != here) & (here != above)).any(axis=(1, 2, 3))
            if (changed & ~carried).any():
                raise InvalidArgument("model", rule, got)

    def rounding(self, eps: float, rng: np.random.Generator, draws: int = 4) -> Array:
        """How far δ[t] moves when s[t] and the slopes of the cell are rounded once more, up or down.

        `[draws, T, B, G·H]`: one draw can leave the gradient where it was by luck. Where a unit is saturated, few
        digits are left of 1 - a²: the error of the slope is `eps` of 1, not of the slope. That is no mistake of
        a backward pass, but all that it can know.
        """

        def up_or_down(shape: tuple[int, ...]) -> Array:
            signs = rng.choice((-eps, eps), (draws + 1, *shape))
            signs[0] = 0  # the first stays where it is
            return signs

        shift = self.terms * up_or_down(self.terms.shape)
        inputs = range(len(self.cell.gates) + len(self.cell.states))
        found = np.stack([self._pointwise(k, 1j * COMPLEX_STEP, shift).imag for k in inputs])
        slopes = np.moveaxis(found / COMPLEX_STEP, 2, 0)
        slopes += np.where(slopes == 0, 0.0, np.maximum(1.0, np.abs(slopes)) * up_or_down(slopes.shape[1:]))
        delta = self._back(slopes)
        return delta[1:] - delta[0]

    def _pointwise(self, k: int, change: complex, shift: Array | float = 0.0) -> Array:
        """The states `[S, ..., T, B, H]` after every step at once, input k of the cell's G + S changed."""
        inputs = [*split(self.s + shift, self.weights.V.shape[-2]), *self.trace.states[:, :-1]]
        inputs[k] = inputs[k] + change
        gates = len(self.cell.gates)
        return np.stack(np.broadcast_arrays(*self.cell.forward(tuple(inputs[:gates]), tuple(inputs[gates:]))[0]))

    def _back(self, slopes: Array) -> Array:
        """δ[t] `[draws, T, B, G·H]`, from the cell's slopes: of states by inputs, `[draws, G + S, S, T, B, H]`."""
        (draws, _, S, T, B, H), G = slopes.shape, len(self.cell.gates)
        delta = np.empty((draws, T, B, G * H))
        d_state = np.zeros((draws, S, B, H))
        d_state[:, 0] = self.d_y_hat @ self.weights.V.T
        for t in reversed(range(T)):
            d_inputs = np.einsum("diobh,dobh->dibh", slopes[:, :, :, t], d_state)
            delta[:, t] = np.moveaxis(d_inputs[:, :G], 1, 2).reshape(draws, B, -1)
            d_state = d_inputs[:, G:]
            d_state[:, 0] += delta[:, t] @ self.weights.R.T
        return delta

    def _follow(self, weights: Weights, begin: int, probe: Callable[[int], Array] | None = None) -> Array:
        """dL of each sample, `[copies, ..., B]`: one pass from step `begin` on, along what each copy varies."""
        W, R, bs, V, by = weights
        state = tuple(self.trace.states[:, begin])
        for t in range(begin, len(self.trace.x)):
            s = self.trace.x[t] @ W + state[0] @ R + np.swapaxes(bs, -1, -2)
            if probe is not None:
                s = s + probe(t)
            recorded = self.trace.states[:, t + 1]
            varied, _ = self.cell.forward(split(s, recorded.shape[-1]), state)
            state = tuple(real + 1j * value.imag for real, value in zip(recorded, varied, strict=True))
        y_hat = state[0] @ V + np.swapaxes(by, -1, -2)
        return (y_hat.imag / COMPLEX_STEP * self.d_y_hat).sum(axis=-1)

    def _parts(self, copies: int, own: int, shared: int) -> Iterator[slice]:
        """`copies` in runs that fit in memory: `own` numbers each, and `shared` times the numbers of a step."""
        _, B, H = self.trace.a.shape
        each = 16 * (own + shared * B * H * (4 * len(self.cell.gates) + 3 * len(self.cell.states)))
        length = max(1, MEMORY // each)
        return (slice(begin, min(begin + length, copies)) for begin in range(0, copies, length))
