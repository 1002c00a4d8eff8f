"""What counts of solved trainings say about the span: a posterior and a profile over a lattice of log spans."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from memspan.errors import InvalidArgument, plain_array, real_number
from memspan.span.lattice import Curve, Family, Lattice


@dataclass(frozen=True, eq=False)
class Likelihood:
    """The likelihood of the log span tau, given counts.

    Attributes
    ----------
    share : float
        The span is the length that is solved with this probability.
    lengths : ndarray [lengths]
        The tried lengths, rising.
    trainings : int
        The sum of all trials.
    tau : ndarray [tau]
        The lattice of log spans, in equal steps, over all that is not very unlikely.
    posterior : ndarray [tau]
        The posterior probability of each point (flat prior in tau); its sum is 1.
    profile : ndarray [tau]
        The largest log likelihood of a curve whose span is exp(tau), divided by `heat`.
    heat : float
        At least 1: by how much worse the best curve fits than a curve of the family would. The log likelihood is
        divided by it (the heterogeneity factor of Finney, Probit Analysis, 1971, with the isotonic regression in
        place of the saturated model).
    best : Curve
        The most likely curve.
    """

    share: float
    lengths: np.ndarray
    trainings: int
    tau: np.ndarray
    posterior: np.ndarray
    profile: np.ndarray
    heat: float
    best: Curve

    @classmethod
    def of(cls, lengths: Any, solved: Any, trials: Any, share: float = 0.5) -> Self:
        """Compute the likelihood. Neither the order of the counts nor how they are merged changes a bit of it.

        Parameters
        ----------
        lengths : array_like [n]
            Lengths above 0. A length may occur several times.
        solved : array_like [n]
            How many trainings solved each length.
        trials : array_like [n], or int
            How many were trained at each length, or at all of them.
        share : float
            Above 0 and below 1.

        Raises
        ------
        InvalidArgument
            If an argument is of another kind, or if there are no trials at all.
        """
        share = real_number("share", share, above=0, below=1)
        lengths, solved, trials = merged_counts(lengths, solved, trials)
        falling = binomial_log_likelihood(falling_shares(solved, trials), solved, trials)
        usual = max(3.0, len(lengths) - 9.0)  # misfit of curves of the family: fitted to simulated searches

        def heat_of(values: np.ndarray) -> float:
            return max(1.0, 2 * (falling - float(values.max())) / usual)

        lattice = Lattice.around(share, lengths[0], lengths[-1])
        values = lattice.log_likelihood(lengths, solved, trials)
        lattice = lattice.window(values.max(axis=1), heat_of(values))
        values = lattice.log_likelihood(lengths, solved, trials)
        heat = heat_of(values)
        best = np.unravel_index(np.argmax(values), values.shape)
        values /= np.float32(heat)
        weights = np.exp(values - values.max()) @ Family.of(share).prior
        return cls(
            share=share,
            lengths=lengths,
            trainings=int(trials.sum()),
            tau=lattice.tau,
            posterior=weights / weights.sum(),
            profile=values.max(axis=1).astype(float),
            heat=heat,
            best=lattice.curve(int(best[0]), int(best[1])),
        )


def merged_counts(lengths: Any, solved: Any, trials: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Check counts; return them as floats, sorted by length, one for each length that has trials.

    Raises
    ------
    InvalidArgument
        If they are no counts, or if there are no trials at all.
    """
    lengths = _row("lengths", lengths)
    solved, trials = (
        _whole(name, value, len(lengths)) for name, value in (("solved", solved), ("trials", trials))
    )
    if not np.all((lengths > 0) & np.isfinite(lengths)):
        raise InvalidArgument("lengths", "finite numbers above 0", lengths)
    if np.any(solved > trials):
        wrong = int(np.argmax(solved > trials))
        got = f"{solved[wrong]:g} of {trials[wrong]:g} at length {lengths[wrong]:g}"
        raise InvalidArgument("solved", "at most the trials of each length", got)
    if not np.any(trials):
        raise InvalidArgument("trials", "at least 1 at some length", "none")
    tried, place = np.unique(lengths[trials > 0], return_inverse=True)
    counts = (np.bincount(place, count[trials > 0]) for count in (solved, trials))
    return tried, *counts  # type: ignore[return-value]


def _row(name: str, value: Any) -> np.ndarray:
    """Return `value` as floats; raise unless it is a row of numbers."""
    values = plain_array(name, value)
    if values.ndim != 1 or values.dtype.kind not in "iuf":
        got = value if values.ndim != 1 or values.dtype.kind not in "OSU" else f"dtype {values.dtype}"
        raise InvalidArgument(name, "a one-dimensional array of numbers", got)
    return values.astype(float)


def _whole(name: str, value: Any, count: int) -> np.ndarray:
    """Return `value` as floats; raise unless it is a whole number of at least 0 for each length."""
    values = plain_array(name, value)
    values = _row(name, np.full(count, values) if name == "trials" and values.ndim == 0 else value)
    if len(values) != count:
        raise InvalidArgument(name, f"{count} numbers, one for each length", f"{len(values)}")
    if not np.all((values >= 0) & (values == np.floor(values)) & np.isfinite(values)):
        raise InvalidArgument(name, "whole numbers of at least 0", values)
    return values


def falling_shares(solved: np.ndarray, trials: np.ndarray) -> np.ndarray:
    """Return the most likely shares that never rise with the length (isotonic regression)."""
    blocks: list[tuple[float, float, int]] = []  # solved, trials, lengths
    for k, n in zip(solved, trials, strict=True):
        block = (k, n, 1)
        while blocks and block[0] * blocks[-1][1] >= blocks[-1][0] * block[1]:
            last = blocks.pop()
            block = (block[0] + last[0], block[1] + last[1], block[2] + last[2])
        blocks.append(block)
    return np.repeat([k / n for k, n, _ in blocks], [lengths for _, _, lengths in blocks])


def binomial_log_likelihood(p: np.ndarray, solved: np.ndarray, trials: np.ndarray) -> float:
    """Return the log likelihood of counts, without the binomial coefficients."""
    from scipy.special import xlog1py, xlogy

    return float(np.sum(xlogy(solved, p) + xlog1py(trials - solved, -p)))


def quantiles(x: np.ndarray, weights: np.ndarray, levels: Any) -> np.ndarray:
    """Return quantiles of a density on a lattice x, linear between its points."""
    mass = np.concatenate([[0.0], np.cumsum((weights[1:] + weights[:-1]) / 2)])
    return np.interp(np.asarray(levels) * mass[-1], mass, x)
