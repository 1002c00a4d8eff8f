"""Attribution by time: which time steps the gradient of the weights comes from.

A weight gradient is the sum of a contribution from each time step, such as `d_R[t] = Σ_b a[t-1] dL/ds[t]ᵀ`, and
each contribution is a sum of outer products of two vectors, one for each sample. So neither its inner product with
the whole gradient nor its norm needs the matrix itself.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple, Self

import numpy as np
from jaxtyping import Inexact

from memspan.diagnostics.tracing import checked_gradients
from memspan.engines.readable import Gradients
from memspan.runtime.floats import quiet
from memspan.shapes import Array, PerStep

HELD = 0.9
"""The part of all contributions that lies within the horizon."""
BLOCK = 1 << 17  # numbers in a temporary array, which has at least one step

Factors = tuple[Array, Array]
"""A weight gradient's two factors, left `[T, B, rows]` and right `[T, B, columns]`.

The contribution of step t is `Σ_b left[t, b] right[t, b]ᵀ`.
"""


@dataclass(frozen=True)
class StepShares:
    """What each time step contributes to the gradient G of some weights.

    Attributes
    ----------
    shares : array [T]
        The signed share of each step, `⟨d[t], G⟩ / ‖G‖²`, where `d[t]` is the step's contribution. The shares sum
        to 1. A negative share works against the whole. All are 0 if G is exactly 0.
    sizes : array [T]
        ‖d[t]‖, the Frobenius norm of each contribution.
    total : float
        ‖G‖.
    """

    shares: PerStep
    sizes: PerStep
    total: float

    @property
    def horizon(self) -> int:
        """The least number of last time steps that hold 90 % of Σ_t ‖d[t]‖: lags 0 to `horizon - 1`.

        0 if every contribution is 0, and T if one is not finite.
        """
        held = np.cumsum(self.sizes[::-1])
        if not np.isfinite(held[-1]):
            return len(held)
        return int(np.searchsorted(held, HELD * held[-1])) + 1 if held[-1] > 0 else 0

    @property
    def cancellation(self) -> float:
        """The cancellation index ‖G‖ / Σ_t ‖d[t]‖: 1 if all contributions point one way, near 0 if they cancel.

        1 if every contribution is 0, because nothing cancels.
        """
        whole = float(self.sizes.sum())
        return min(1.0, self.total / whole) if whole else 1.0

    def __repr__(self) -> str:
        T = len(self.shares)
        return f"<StepShares of {T} steps: horizon {self.horizon}, cancellation index {self.cancellation:.3g}>"


@dataclass(frozen=True)
class Attribution:
    """The contribution of each time step to the weight gradients of one backward pass, in float64.

    Attributes
    ----------
    R, W : StepShares
        Of dL/dR and dL/dW. At t = 0 the share in R is 0 because a[-1] = 0. For a cell without R all
        its shares are 0.
    together : StepShares
        Of the gradient of W, R, b_s and U as one vector: all weights but those of the readout.
    """

    R: StepShares
    W: StepShares
    together: StepShares

    @classmethod
    @quiet
    def of(cls, gradients: Gradients) -> Self:
        """Measure a backward pass, without an array of the size of R or W for each step.

        The inner product with G of a contribution with factors `left` and `right` is `Σ_b (left[b] G) · right[b]`,
        and its norm is that of the products of the samples, `Σ_bc (left[b] · left[c]) (right[b] · right[c])`. The
        temporary arrays take O(B²) numbers for one step, and a fixed number for several. If the samples of a step
        cancel each other, the norm of their sum is exact to √ε = 1e-8 of the sum of their norms.

        Parameters
        ----------
        gradients : Gradients
            What `network.backward` returned; `network.grads` keeps it. As in `GradientFlow.of`, changes to the
            gradients of single weights are not seen.

        Raises
        ------
        InvalidArgument
            When it is something else, such as the `grads` of a network before its backward pass.
        """
        factors = _factors(checked_gradients(gradients))
        parts = {name: [_Part.of(*pair) for pair in pairs] for name, pairs in factors.items()}
        return cls(_shares(parts["R"]), _shares(parts["W"]), _shares([*chain(*parts.values())]))

    def __repr__(self) -> str:
        whole = self.together
        what = f"horizon {whole.horizon}, cancellation index {whole.cancellation:.3g}"
        return f"<Attribution over {len(whole.shares)} steps: {what}>"


def _factors(gradients: Gradients) -> dict[str, list[Factors]]:
    """Return the factors of the gradients of W, R, b_s and U. R has two pairs if some gates read q."""
    trace, d_s, d_U = gradients.trace, gradients.d_s, gradients.d_U
    (T, B, H), cell = trace.a.shape, trace.cell
    first, last = cell.fed(H)
    one = np.ones((1, 1, 1))
    R = [(trace.read, d_s[..., first:last])]
    if cell.reset is not None:
        R.append((trace.gate("q"), d_s[..., last:]))
    return {
        "W": [(trace.x, d_s[..., : len(cell.input_gates) * H])],
        "R": R,
        "bs": [(np.broadcast_to(one, (T, B, 1)), d_s)],
        "U": [(np.broadcast_to(one, (T, 1, 1)), d_U.reshape(T, 1, -1))],  # already summed over the samples
    }


class _Part(NamedTuple):
    """A part G of a gradient: ‖G‖, the norm of each step's contribution, and its inner product with G / ‖G‖."""

    total: float
    sizes: PerStep
    along: PerStep

    @classmethod
    def of(cls, left: Array, right: Array) -> Self:
        """Measure the part with these factors."""
        whole = _whole(left, right)
        total = _norm(whole)
        return cls(total, _norms(left, right), _inner(left, right, whole / total if total else whole))


def _shares(parts: list[_Part]) -> StepShares:
    """Return the shares in the gradient that consists of these parts."""
    totals, sizes, along = (np.array(values) for values in zip(*parts, strict=True))
    total, sizes = float(np.hypot.reduce(totals)), np.hypot.reduce(sizes)
    shares = (totals / total) @ along / total if total else np.zeros_like(sizes)
    return StepShares(shares, sizes, total)


def _whole(left: Array, right: Array) -> Inexact[np.ndarray, "rows columns"]:
    """Return the sum of the contributions of all steps."""
    whole = np.zeros((left.shape[-1], right.shape[-1]))
    for _, a, b in _blocks(left, right):
        flat_a, flat_b = (part.reshape(part.shape[0] * part.shape[1], part.shape[2]) for part in (a, b))
        whole = whole + flat_a.T @ flat_b
    return whole


def _inner(left: Array, right: Array, direction: Array) -> PerStep:
    """Return the inner product of the contribution of each step with a matrix."""
    found = np.zeros(len(left))
    for steps, a, b in _blocks(left, right):
        found[steps] = ((a.conj() @ direction) * b.conj()).sum(axis=(1, 2)).real
    return found


def _norms(left: Array, right: Array) -> PerStep:
    """Return the norm of the contribution of each step, scaled so that no product underflows or overflows."""
    found = np.zeros(len(left))
    for steps, a, b in _blocks(left, right):
        largest = [np.abs(one).max(axis=(1, 2), initial=0.0) for one in (a, b)]
        a, b = (
            one / np.where(size > 0, size, 1)[:, None, None] for one, size in zip((a, b), largest, strict=True)
        )
        of_samples = [one @ one.conj().transpose(0, 2, 1) for one in (a, b)]
        squares = (of_samples[0] * of_samples[1]).sum(axis=(1, 2)).real
        found[steps] = largest[0] * largest[1] * np.sqrt(np.maximum(squares, 0))
    return found


def _norm(matrix: Array) -> float:
    """‖matrix‖; `hypot` avoids squares, because that of 1e-170 would be 0."""
    return float(np.hypot.reduce(np.abs(matrix), axis=None, initial=0.0))


def _blocks(left: Array, right: Array) -> Iterator[tuple[slice, Array, Array]]:
    """Yield the steps in blocks, in double precision, with as many steps as keep the temporary arrays small."""
    T, B = left.shape[:2]
    width = max(B, left.shape[-1], right.shape[-1])
    together = max(1, BLOCK // (B * width))
    for begin in range(0, T, together):
        steps = slice(begin, begin + together)
        a, b = (np.asarray(part[steps], np.result_type(part, np.float64)) for part in (left, right))
        yield steps, a, b
