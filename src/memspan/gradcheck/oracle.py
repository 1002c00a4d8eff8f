"""The derivative by the complex step, forward in time, along the trajectory that the model computed.

Complex step (Squire & Trapp 1998, doi:10.1137/S003614459631241X): f(θ + ih) = f(θ) + ih f'(θ) + O(h²), so

    f'(θ) = Im f(θ + ih) / h

without a subtraction. With h = 1e-20 the O(h²) is far below rounding, and a gradient of 1e-200 keeps all its
digits.

*One step.* Step t uses the weights only through s[t], so varying s[t] of sample b gives its δ[t] = dL/ds[t]. The
batch is copied T times side by side, and copy t is varied at step t only. One forward pass then differentiates
every step.

*Along the trajectory.* After each step the real part of the state is reset to the recorded value, and only the
imaginary part, which carries the derivative, enters the next step. A chaotic network amplifies the last bit of its
state to order one within some hundred steps. Two correct programs then follow different trajectories and have
different gradients. Back-propagation is right if it differentiates the recorded trajectory. A contract checks that
this trajectory obeys the equations of the network at every step (`memspan.gradcheck.contracts`).
"""

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Complex, Float, Inexact, Int

from memspan.cells.base import Cell, Values
from memspan.engines.parameters import Weights, split
from memspan.engines.readable import Trace, drive, pre_activations
from memspan.errors import InvalidArgument
from memspan.network import Network
from memspan.shapes import Array, Columns, Outputs

COMPLEX_STEP = 2.0**-66  # 1.4e-20; a power of two, so that dividing by it is exact
MEMORY = 2**21  # bytes for the copies of one pass, so that they stay in the cache
LARGEST_STEP = 2.0**-30  # the largest complex step of R: its square is still below rounding
SHIFT = 1e-3  # a shift that must change the output of a forward pass, unless that is flat or saturated
SMALLEST_CHANGE = float(np.finfo(np.float64).tiny / np.finfo(np.float64).eps)
RECURRENT = ("W", "R", "bs", "U")

Directions = Float[np.ndarray, "columns directions"]
"""Directions in the space of the pre-activations of one step, or of the unit weights, side by side."""

Deltas = Float[np.ndarray, "time batch directions"]
"""The derivative of L along each direction, at every step and for every sample."""

Kicks = Complex[np.ndarray, "copies directions 1 columns"]
"""Imaginary steps added to the pre-activations or to the unit weights in every copy of the batch."""

Motions = Float[np.ndarray, "draws time batch columns"]
"""How far rounding moves the derivatives of L, in several random draws."""


@dataclass(frozen=True)
class Oracle:
    """The derivatives of L = Σ d_y_hat · ŷ along a recorded trajectory, in double precision.

    Attributes
    ----------
    cell, weights, trace
        The cell and the weights of the network, and the recorded forward pass.
    d_y_hat : array [K, B, O]
        dL/dŷ.
    """

    cell: Cell
    weights: Weights
    trace: Trace
    d_y_hat: Float[np.ndarray, "output_steps batch outputs"]

    @classmethod
    def of(cls, model: Network, y_hat: Outputs, d_y_hat: Outputs) -> "Oracle":
        """Make the oracle of the last forward pass of `model`, which returned `y_hat`."""
        trace = model.trace
        if trace is None:
            raise InvalidArgument("model", "a network whose forward keeps a trace", type(model).__name__)
        arrays = {name: getattr(trace, name).astype(np.float64) for name in ("x", "states", "residuals")}
        arrays["y_hat"], d_y_hat = (
            part.reshape(trace.y_hat.shape).astype(np.float64) for part in (y_hat, d_y_hat)
        )
        return cls(model.cell, model.astype(np.float64).weights, replace(trace, **arrays), d_y_hat)

    @property
    def s(self) -> Columns:
        """The pre-activations of every step, `[T, B, G·H]`, from the recorded a[t-1]."""
        return self._linear_map(lambda values: values)

    @property
    def terms(self) -> Columns:
        """The sum of the magnitudes of the terms of `s`: the scale of its rounding error."""
        return self._linear_map(np.abs)

    def _linear_map(self, of: Callable[[Array], Array]) -> Columns:
        weights, trace = Weights(*map(of, self.weights)), self.trace
        first, last = self.cell.fed(len(weights.V))
        s = drive(weights, of(trace.x))
        s[..., first:last] += of(trace.read) @ weights.R[:, : last - first]
        if self.cell.reset is not None:
            s[..., last:] += of(trace.gate("q")) @ weights.R[:, last - first :]
        return s

    def weight(self, name: str, indices: Int[np.ndarray, "elements"]) -> Float[np.ndarray, "elements"]:
        """dL/dw of the elements `indices` (flat) of the weight `name`, by varying the weight."""
        weight, step = getattr(self.weights, name), self.step_of(name)
        begin = len(self.trace.x) - len(self.d_y_hat) if name in ("V", "by") else 0
        derivative = np.empty(len(indices))
        for part in self._parts(len(indices), weight.size, 1):
            varied = np.tile(weight.astype(np.complex128), (len(indices[part]), 1, 1))
            varied.reshape(len(varied), -1)[np.arange(len(varied)), indices[part]] += 1j * step
            followed = self._follow(self.weights._replace(**{name: varied}), begin, step=step)
            derivative[part] = followed.sum(axis=-1)
        return derivative

    def step_of(self, name: str) -> float:
        """The complex step of one weight, larger if the weight multiplies tiny numbers, so that no digit is lost.

        R multiplies states that also have an imaginary part. The product of both imaginary parts is real and must
        stay below rounding, which limits the step of R.
        """
        if name not in ("W", "R", "V"):
            return COMPLEX_STEP
        trace = self.trace
        factors = {"W": trace.x, "R": trace.read, "V": trace.a[-len(self.d_y_hat) :]}
        largest = float(np.abs(factors[name]).max())
        if not 0 < largest < 1:
            return COMPLEX_STEP
        step = COMPLEX_STEP * 2.0 ** -np.floor(np.log2(largest))
        return float(min(step, LARGEST_STEP) if name == "R" else step)

    def steps(self, directions: Directions, *, unit_weights: bool = False) -> Deltas:
        """Return δ[t] of every step and sample along the columns of `directions [G·H, D]`, as `[T, B, D]`.

        With `unit_weights`, dL/dU[t] of every step and sample along `directions [K·H, D]` instead.
        """
        (T, B, _), (columns, count) = self.trace.x.shape, directions.shape
        delta = np.empty((T, B, count))
        for part in self._parts(T, count * columns, count):
            kicks = np.zeros((part.stop - part.start, count, 1, columns), np.complex128)

            def probe(t: int, begin: int = part.start, kicks: Kicks = kicks) -> Kicks:
                kicks[:] = 0
                kicks[t - begin : t - begin + 1, :, 0] = 1j * COMPLEX_STEP * directions.T
                return kicks

            probes = (None, probe) if unit_weights else (probe, None)
            delta[part] = self._follow(self.weights, part.start, *probes).transpose(0, 2, 1)
        return delta

    def demand_complex_clean(self) -> None:
        """Raise if the cell's forward drops the imaginary part, since every derivative through it would be 0."""
        names = (*self.cell.gates, *self.cell.states, *self.cell.unit_weights)
        for k, name in enumerate(names):
            rule = "a network of a cell that keeps imaginary parts (no real buffers, no abs, no .real)"
            got = f"{self.cell.name}, whose forward loses the imaginary part of {name}"
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("error", np.exceptions.ComplexWarning)
                    carried = self._varied(k, 1j * SHIFT).imag.any(axis=(1, 2, 3))
            except (TypeError, np.exceptions.ComplexWarning) as error:
                raise InvalidArgument("model", rule, got) from error
            below, here, above = (self._varied(k, shift) for shift in (-SHIFT, 0.0, SHIFT))
            # A change smaller than the normal numbers may vanish in the imaginary part only.
            seen = np.abs(above - below) > SMALLEST_CHANGE
            changed = ((below != here) & (here != above) & seen).any(axis=(1, 2, 3))
            if (changed & ~carried).any():
                raise InvalidArgument("model", rule, got)

    def rounding(self, eps: float, rng: np.random.Generator, draws: int = 4) -> Motions:
        """How far δ[t] and dL/dU[t] move when s[t], the cell's derivatives and the sums are rounded once more.

        Each number is randomly rounded up or down. A sum over outputs or over units is rounded on the scale of its
        terms, because V dL/dŷ may be 0 up to rounding while its terms are not.

        The result is `[draws, T, B, (G + K)·H]`, with several draws because a single one may by chance leave the
        gradient unchanged. In a saturated unit few digits of the derivative 1 - a² are left: its error is `eps`,
        not `eps` times the derivative. No backward pass can do better.

        In half of the draws each unit has the same sign at every step and in every sample. Unit weights and
        constants are the same at every step, so their rounding errors in a derivative are also the same, and add
        up.
        """

        def up_or_down(shape: tuple[int, ...], *, constant: bool = True) -> Array:
            signs = rng.choice((-eps, eps), (draws + 1, *shape))
            if constant:
                signs[draws // 2 + 1 :] = signs[draws // 2 + 1 :, ..., :1, :1, :]
            signs[0] = 0  # the first draw is not rounded
            return signs

        shift = self.terms * up_or_down(self.terms.shape)
        inputs = range(len(self.cell.gates) + len(self.cell.states) + len(self.cell.unit_weights))
        found = np.stack([self._varied(k, 1j * COMPLEX_STEP, shift).imag for k in inputs])
        exact = np.moveaxis(found / COMPLEX_STEP, 2, 0)
        rounded = np.maximum(1.0, np.abs(exact)) * up_or_down(exact.shape[1:])
        S, T, B, H = self.trace.states[:, 1:].shape
        sums = (up_or_down(shape, constant=False) for shape in ((len(self.d_y_hat), B, H), (S + 1, T, B, H)))
        delta = self._back(exact + np.where(exact == 0, 0.0, rounded), *sums)
        return delta[1:] - delta[0]

    def pointwise(self) -> tuple[Values, Values]:
        """The cell's forward on the recorded trajectory, for all steps in one call."""
        s = split(self.s, len(self.weights.V))
        return self.cell.forward(s, tuple(self.trace.states[:, :-1]), self.cell.unit(self.weights.U))

    def _varied(
        self, k: int, change: complex | float, shift: Float[np.ndarray, "*draws time batch columns"] | float = 0.0
    ) -> Inexact[np.ndarray, "values *draws time batch hidden"]:
        """The states after every step, and q if the cell has one, `[S, ..., T, B, H]`, with one input changed.

        `k` numbers the cell's G + S + K inputs: pre-activations, previous states, unit weights.
        """
        cell, states = self.cell, tuple(self.trace.states[:, :-1])
        inputs = [*split(self.s + shift, len(self.weights.V)), *states, *self.weights.U]
        inputs[k] = inputs[k] + change
        G, S = len(cell.gates), len(states)
        unit = (*inputs[G + S :], *cell.constants.values())
        state, residuals = cell.forward(tuple(inputs[:G]), tuple(inputs[G : G + S]), unit)
        q = () if cell.reset is None else (residuals[cell.residuals.index("q")],)
        return np.stack(np.broadcast_arrays(*state, *q))

    def _back(
        self,
        derivatives: Float[np.ndarray, "draws inputs values time batch hidden"],
        outputs_rounded: Float[np.ndarray, "draws output_steps batch hidden"],
        units_rounded: Float[np.ndarray, "draws sums time batch hidden"],
    ) -> Float[np.ndarray, "draws time batch columns"]:
        """δ[t] and dL/dU[t], from the derivatives of the cell's outputs with respect to its inputs.

        The sums over outputs and over units receive errors: the given fractions of the sums of their terms'
        magnitudes.
        """
        (draws, _, _, T, B, H), G, S = derivatives.shape, len(self.cell.gates), len(self.cell.states)
        R, V, (first, last) = self.weights.R, self.weights.V, self.cell.fed(H)
        deltas = np.empty((draws, T, B, (derivatives.shape[1] - S) * H))
        d_state = np.zeros((draws, S, B, H))
        unread = T - len(self.d_y_hat)
        for t in reversed(range(T)):
            if t >= unread:
                d_state[:, 0] += _summed(self.d_y_hat[t - unread], V.T, outputs_rounded[:, t - unread])
            d_inputs = np.einsum("diobh,dobh->dibh", derivatives[:, :, :S, t], d_state)
            if self.cell.reset is not None:
                columns = _side_by_side(d_inputs[:, :G])[..., last:]
                d_q = _summed(columns, R[:, last - first :].T, units_rounded[:, S, t])
                d_inputs += derivatives[:, :, S, t] * d_q[:, np.newaxis]
            delta = _side_by_side(d_inputs[:, :G])
            deltas[:, t] = np.concatenate([delta, _side_by_side(d_inputs[:, G + S :])], axis=-1)
            d_state = d_inputs[:, G : G + S]
            rounded = units_rounded[:, : len(self.cell.reads), t]
            fed = _summed(delta[..., first:last], R[:, : last - first].T, _side_by_side(rounded))
            for state, part in enumerate(split(fed, H)):
                d_state[:, state] += part
        return deltas

    def _follow(
        self,
        weights: Weights,
        begin: int,
        probe: Callable[[int], Kicks] | None = None,
        probe_unit_weights: Callable[[int], Kicks] | None = None,
        *,
        step: float = COMPLEX_STEP,
    ) -> Float[np.ndarray, "*copies batch"]:
        """dL of each sample, `[copies, ..., B]`, by one forward pass from step `begin`; every copy is varied."""
        cell, state, loss = self.cell, tuple(self.trace.states[:, begin]), np.float64(0.0)
        unit, unread = cell.unit(weights.U[..., np.newaxis, :, :]), len(self.trace.x) - len(self.d_y_hat)
        for t in range(begin, len(self.trace.x)):
            from_input = drive(weights, self.trace.x[t])
            if probe is not None:
                from_input = from_input + probe(t)
            if probe_unit_weights is not None:
                kick = probe_unit_weights(t)
                unit = cell.unit(weights.U + kick.reshape(*kick.shape[:-1], *weights.U.shape))
            s = pre_activations(cell, weights, unit, from_input, state)
            varied, _ = cell.forward(s, state, unit)
            recorded = self.trace.states[:, t + 1]
            state = tuple(real + 1j * np.imag(value) for real, value in zip(recorded, varied, strict=True))
            if t >= unread:
                y_hat = state[0] @ weights.V + np.swapaxes(weights.by, -1, -2)
                loss = loss + (y_hat.imag / step * self.d_y_hat[t - unread]).sum(axis=-1)
        return np.asarray(loss)

    def _parts(self, copies: int, numbers: int, steps: int) -> Iterator[slice]:
        """Divide the copies into parts that fit in memory; a copy holds `numbers` and `steps` time steps."""
        _, B, H = self.trace.a.shape
        each = 16 * (numbers + steps * B * H * (4 * len(self.cell.gates) + 3 * len(self.cell.states)))
        length = max(1, MEMORY // each)
        return (slice(begin, min(begin + length, copies)) for begin in range(0, copies, length))


def _summed(terms: Array, matrix: Array, rounded: Array) -> Array:
    """`terms @ matrix` plus an error: the fraction `rounded` of the sum of the terms' magnitudes."""
    return terms @ matrix + rounded * (np.abs(terms) @ np.abs(matrix))


def _side_by_side(
    parts: Float[np.ndarray, "draws parts batch hidden"],
) -> Float[np.ndarray, "draws batch columns"]:
    """Rearrange `[draws, n, B, H]` as `[draws, B, n·H]`."""
    return np.concatenate([*np.moveaxis(parts, 1, 0)], axis=-1) if parts.shape[1] else parts.sum(axis=1)[..., :0]
