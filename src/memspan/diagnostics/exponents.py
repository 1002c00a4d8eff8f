"""Lyapunov exponents: how fast small changes of the states grow or fade, on average per time step."""

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
from jaxtyping import Float

from memspan.diagnostics.jacobians import Jacobians, orthogonalised
from memspan.diagnostics.tracing import steps_of
from memspan.errors import InvalidArgument, generator, real_number, shown, whole_number
from memspan.network import Model
from memspan.runtime.floats import quiet
from memspan.shapes import Array

Rng = np.random.Generator | np.random.SeedSequence | int | None
Exponents = Float[np.ndarray, "directions"]


@dataclass(frozen=True, eq=False, repr=False)
class LyapunovExponents:
    """The largest k Lyapunov exponents of a network on given inputs, in natural logarithms per time step.

    A gradient that travels back over many steps changes by the factor exp(λ₁) per step. At λ₁ = 0 it neither
    vanishes nor explodes.

    Attributes
    ----------
    by_sample : array [B, k]
        The exponents of each sample: means over the steps, in the order of the QR decomposition, which is
        descending for enough steps. -inf for a direction that a step annihilates.
    standard_error : array [k]
        The standard error of `values`. With several samples, it is that of a mean of independent samples. With a
        single one, it comes from the means of √T blocks of about √T consecutive steps, which are nearly
        independent if changes are forgotten within a block (batch means; Glynn & Whitt 1991,
        doi:10.1016/0167-6377(91)90019-L). It is infinite below 4 steps, and 0 for an exponent of -inf.
    degrees_of_freedom : int
        Those of `standard_error`: the number of samples, or of blocks, minus 1.
    steps : int
        The number of steps that were measured.
    """

    by_sample: Float[np.ndarray, "batch directions"]
    standard_error: Exponents
    degrees_of_freedom: int
    steps: int

    def __repr__(self) -> str:
        B, k = self.by_sample.shape
        first = f"λ₁ = {self.values[0]:.4g} ± {self.standard_error[0]:.2g}"
        samples, steps = f"{B} sample{'s' * (B > 1)}", f"{self.steps} step{'s' * (self.steps > 1)}"
        return f"<{k} Lyapunov exponent{'s' * (k > 1)} of {samples} and {steps}: {first}>"

    @property
    def values(self) -> Exponents:
        """The exponents `[k]`, as means over the samples."""
        return np.asarray(self.by_sample.mean(axis=0))

    @classmethod
    @quiet
    def of(cls, jacobians: Jacobians, k: int | None = None, *, discard: int = 0, rng: Rng = 0) -> Self:
        """Measure k exponents, or all, by QR decompositions in forward time.

        `Q[t] r[t] = J[t] Q[t-1]` from random orthonormal columns Q; λ_i is the mean of ln |r_ii[t]| over the steps
        (Geist, Parlitz & Lauterborn 1990, doi:10.1143/PTP.83.875; for recurrent networks, Engelken, Wolf & Abbott
        2023, arXiv:2006.02427). The sum of all exponents is the mean of `jacobians.log_det()` after `discard`.

        Parameters
        ----------
        jacobians : Jacobians
        k : int, optional
            The number of exponents; by default all S·H.
        discard : int
            How many steps at the beginning are not measured: there the columns of Q still turn into their
            directions, and the states depend on the zeros from which they start.
        rng : Generator, SeedSequence, int or None
            The source of the first Q.

        Raises
        ------
        InvalidArgument
            If `k` is above S·H, or `discard` leaves no step.
        """
        if not isinstance(jacobians, Jacobians):
            raise InvalidArgument("jacobians", "Jacobians, made by Jacobians.of(network, x)", shown(jacobians))
        T, B, N, _ = jacobians.J.shape
        k = N if k is None else whole_number("k", k, most=N)
        discard = whole_number("discard", discard, least=0, most=T - 1)
        q, _ = np.linalg.qr(generator("rng", rng, "exponents").standard_normal((B, N, k)))
        growth = np.empty((T, B, k))
        for t in range(T):
            q, growth[t] = orthogonalised(jacobians.J[t] @ q)
        return cls._of_growth(growth[discard:])

    @classmethod
    @quiet
    def largest(cls, network: Model, x: Array, *, discard: int = 0, rng: Rng = 0) -> Self:
        """Measure λ₁ alone, for long sequences: one forward and one backward pass, without the Jacobians.

        A random gradient travels back from the end and is rescaled at every step; λ₁ is the mean of the logarithms
        of its growth (the power method on the transposed product, which has the same exponents).

        Parameters
        ----------
        network : Network or another Model
        x : array [T, F] or [T, B, F]
        discard : int
            How many steps are not measured at either end: at the beginning, where the states depend on the zeros
            from which they start, and at the end, where the gradient still turns into its direction. If a model
            of another library begins with something else than zeros, its first step is never measured.
        rng : Generator, SeedSequence, int or None
            The source of the random gradient.

        Raises
        ------
        InvalidArgument
            If `x` does not fit the network, if a state or the gradient is not finite, or if `discard` leaves no
            step.
        """
        steps = steps_of(network, x)
        T, B = steps.shape
        discard = whole_number("discard", discard, least=0, most=(T - 1) // 2)
        first, random = max(discard, steps.first), generator("rng", rng, "exponents")
        if first >= T - discard:
            raise InvalidArgument("x", "of at least two time steps for a model that does not begin with zeros", T)
        parts = [random.standard_normal((1, B, width)) for width in steps.widths]
        d_state, growth = np.concatenate([np.empty((1, B, 0)), *parts], axis=-1), np.empty((T, B, 1))
        for t in reversed(range(first, T)):
            d_state = steps.back(t, d_state / _nonzero(_size(d_state)))
            growth[t] = np.log(_size(d_state)[0])
        measured = growth[first : T - discard]
        if np.isnan(growth[first:]).any() or (growth[first:] == np.inf).any():
            raise InvalidArgument("network", "one whose gradient is finite at every step", "infinity or NaN")
        return cls._of_growth(measured)

    @classmethod
    def _of_growth(cls, growth: Float[np.ndarray, "time batch directions"]) -> Self:
        """Average the logarithm of the growth of each direction at each step."""
        T, B, _ = growth.shape
        by_sample = growth.mean(axis=0)
        blocks = np.array_split(growth[:, 0], math.isqrt(T))
        independent = by_sample if B > 1 else np.stack([block.mean(axis=0) for block in blocks])
        n = len(independent)
        error = independent.std(axis=0, ddof=1) / np.sqrt(n) if n > 1 else np.full(growth.shape[2], np.inf)
        annihilated = np.isneginf(by_sample).any(axis=0)
        return cls(by_sample, np.where(annihilated, 0, error), n - 1, T)

    def interval(self, level: float = 0.95) -> tuple[Exponents, Exponents]:
        """Return the lower and the upper ends `[k]` of a confidence interval by Student's t distribution."""
        from scipy.stats import t

        level = real_number("level", level, above=0, below=1)
        quantile = t.ppf((1 + level) / 2, self.degrees_of_freedom) if self.degrees_of_freedom else 1.0
        margin = quantile * self.standard_error
        return self.values - margin, self.values + margin


def _size(d_state: Float[np.ndarray, "1 batch width"]) -> Float[np.ndarray, "1 batch 1"]:
    """‖·‖ over all states and units; `hypot` avoids squares, which underflow for a step of 1e-170."""
    return np.hypot.reduce(d_state, axis=2, keepdims=True)


def _nonzero(size: Array) -> Array:
    return np.where(size > 0, size, 1)
