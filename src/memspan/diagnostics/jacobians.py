"""What one time step does to a small change of the states: the state-to-state Jacobians, and their products."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
from jaxtyping import Float

from memspan.diagnostics.tracing import steps_of
from memspan.errors import InvalidArgument, float_array, shown, whole_number
from memspan.network import Model
from memspan.runtime.floats import quiet
from memspan.runtime.memory import demand_memory
from memspan.shapes import Array

WORK = 20
"""One step takes at most as many times the memory of its Jacobians."""


class Products(NamedTuple):
    """Products of Jacobians over lags, each as `exp(log_scale)` times a matrix whose largest element is ±1.

    Attributes
    ----------
    lags : tuple of int
        The L lags.
    log_scale : array [L, B]
        The natural logarithm of the largest element; -inf if the product is 0.
    matrices : array [L, B, S·H, S·H]
        The products, divided by their largest elements.
    """

    lags: tuple[int, ...]
    log_scale: Float[np.ndarray, "lags batch"]
    matrices: Float[np.ndarray, "lags batch width width"]


@dataclass(frozen=True, eq=False, repr=False)
class Jacobians:
    """The derivative of all states after each time step with respect to all states before it, in float64.

    `J[t, b, i, j]` is d(state i after step t) / d(state j before it), for sample b. All S states of the cell stand
    side by side, in the order of `cell.states`, so each matrix has S·H rows. Back-propagation multiplies a
    gradient by these matrices from the right: dL/d(states before) = dL/d(states after) · J.

    Attributes
    ----------
    J : array [T, B, S·H, S·H]

    Raises
    ------
    InvalidArgument
        If `J` is not an array of finite numbers of that shape.
    """

    J: Array  # its axes are checked here, with memspan's own message

    def __post_init__(self) -> None:
        J = float_array("J", self.J)
        if J.ndim != 4 or J.shape[2] != J.shape[3] or 0 in J.shape:
            raise InvalidArgument("J", "of shape [T, B, N, N], without an empty axis", f"shape {J.shape}")
        if not np.isfinite(J).all():
            raise InvalidArgument("J", "finite", "infinity or NaN")
        object.__setattr__(self, "J", J.astype(np.float64, copy=False))

    def __repr__(self) -> str:
        T, B, N, _ = self.J.shape
        return f"<Jacobians of {T} steps: B = {B}, {N} x {N}>"

    @classmethod
    @quiet
    def of(cls, network: Model, x: Array) -> Self:
        """Differentiate every step of a network on `x`, from the zero states on.

        The rows come from the cell's own backward, or that of the model's library: row i is what one step of
        back-propagation makes of the gradient that is 1 for state i and 0 for the others.

        Parameters
        ----------
        network : Network or another Model
            Of any cell and any real dtype; the Jacobians are those of its weights in float64.
        x : array [T, F] or [T, B, F]
            A few samples suffice.

        Raises
        ------
        InvalidArgument
            If `x` does not fit the network, if a state is not finite, if a model of another library begins with
            something else than zeros, or if the Jacobians need more memory than the machine has. Nothing large has
            been allocated then.
        """
        steps = steps_of(network, x)
        if steps.first:
            raise InvalidArgument("network", "one whose initial state is zeros", repr(network))
        (T, B), N = steps.shape, sum(steps.widths)
        demand_memory("x", f"shape {np.shape(x)}", 8 * B * N * N * (T + WORK))
        J, rows = np.empty((T, B, N, N)), np.repeat(np.eye(N)[:, np.newaxis], B, axis=1)
        for t in range(T):
            J[t] = steps.back(t, rows).transpose(1, 0, 2)
        return cls(J)

    @quiet
    def log_det(self) -> Float[np.ndarray, "time batch"]:
        """Return ln |det J| of each step and sample, `[T, B]`; its mean is the sum of all Lyapunov exponents.

        It is -inf where a direction is annihilated: by inactive relu units, for example, or with R = 0.
        """
        _, by_size, rounding = _rows_by_size(self.J)
        r = np.asarray(np.linalg.qr(by_size, mode="r"))
        return _log_diagonal(r, rounding).sum(axis=-1)

    @quiet
    def products(self, lags: Iterable[int]) -> Products:
        """Multiply the Jacobians of the last `lag` steps, for several lags.

        `J[T-1] · J[T-2] · ... · J[T-lag]` is d(states at the end) / d(states `lag` steps before). After each
        multiplication the product is divided by its largest element, whose logarithm is kept apart, so a product
        of 1e-5000 neither underflows nor overflows.

        Parameters
        ----------
        lags : iterable of int
            Each from 1 to T.
        """
        T, B, N, _ = self.J.shape
        wanted = _checked_lags(lags, T)
        product, log_scale = np.broadcast_to(np.eye(N), (B, N, N)), np.zeros(B)
        found: dict[int, tuple[Array, Array]] = {}
        for lag in range(1, max(wanted) + 1):
            product = product @ self.J[T - lag]
            size = np.abs(product).max(axis=(1, 2))
            log_scale = log_scale + np.log(size)
            product = product / np.where(size > 0, size, 1)[:, np.newaxis, np.newaxis]
            if lag in wanted:
                found[lag] = log_scale, product
        scales, matrices = zip(*(found[lag] for lag in wanted), strict=True)
        return Products(wanted, np.stack(scales), np.stack(matrices))

    @quiet
    def singular_values(self, lags: Iterable[int]) -> Float[np.ndarray, "lags batch width"]:
        """Return the natural logarithms of the singular values of `products(lags)`, descending, `[L, B, S·H]`.

        A value that the rounding of the product cannot tell from 0 (below S·H·2e-16 times the largest) is -inf.
        The Lyapunov exponents say how fast these directions fade.
        """
        _, log_scale, matrices = self.products(lags)
        values = np.linalg.svd(matrices, compute_uv=False)
        rounding = values.shape[-1] * np.finfo(np.float64).eps * values[..., :1]
        return log_scale[..., np.newaxis] + np.log(np.where(values > rounding, values, 0))


def orthogonalised(
    matrices: Float[np.ndarray, "*rows width directions"],
) -> tuple[Float[np.ndarray, "*rows width directions"], Float[np.ndarray, "*rows directions"]]:
    """Return Q and ln |r_ii| of the QR decomposition of each matrix, with -inf where r_ii is 0 up to rounding."""
    order, by_size, rounding = _rows_by_size(matrices)
    q_by_size, r = np.linalg.qr(by_size)
    q = np.empty_like(q_by_size)
    np.put_along_axis(q, order, q_by_size, axis=-2)
    return q, _log_diagonal(r, rounding)


def _rows_by_size(
    matrices: Float[np.ndarray, "*rows width directions"],
) -> tuple[Array, Float[np.ndarray, "*rows width directions"], Float[np.ndarray, "*rows directions"]]:
    """Sort the rows of each matrix by size; return their order, the sorted matrix and the rounding of each r_ii.

    In the QR decomposition of a sorted matrix, the error of each row is small beside that row (Higham 2002,
    Accuracy and Stability of Numerical Algorithms, section 19.4). A unit with a slope of 1e-30 then still has its
    own logarithm, and rows of zeros give r_ii = 0 exactly.
    """
    N, k = matrices.shape[-2:]
    sizes = np.abs(matrices).max(axis=-1, keepdims=True)
    order = np.argsort(-sizes, axis=-2, kind="stable")
    rounding = N * np.finfo(np.float64).eps * np.take_along_axis(sizes, order, axis=-2)
    return order, np.take_along_axis(matrices, order, axis=-2), rounding[..., :k, 0]


def _log_diagonal(
    r: Float[np.ndarray, "*rows directions directions"], rounding: Float[np.ndarray, "*rows directions"]
) -> Float[np.ndarray, "*rows directions"]:
    diagonal = np.abs(np.diagonal(r, axis1=-2, axis2=-1))
    return np.asarray(np.log(np.where(diagonal > rounding, diagonal, 0)))


def _checked_lags(lags: Any, T: int) -> tuple[int, ...]:
    """Return the lags as a tuple; raise unless there is one, and each is a whole number from 1 to T."""
    if not isinstance(lags, Iterable) or isinstance(lags, str | bytes | dict):
        raise InvalidArgument("lags", "whole numbers from 1 to the number of steps", shown(lags))
    found = tuple(whole_number("lags", lag, most=T) for lag in lags)
    if not found:
        raise InvalidArgument("lags", "at least one whole number", shown(lags))
    return found
