"""The fitted curve and its band: for each length, the probability of solving it and its interval."""

from typing import Any

import numpy as np

from memspan.span.counts import merged_counts
from memspan.span.lattice import STEP, Lattice
from memspan.span.likelihood import Likelihood
from memspan.span.smooth import PAIRS, SmoothCurves, lapse_prior

MOST_CURVES = 20_000
"""The most likely curves that are kept. Together they have nearly all of the posterior's mass."""


def probability_band(
    lengths: Any, solved: Any, trials: Any, at: np.ndarray, share: float = 0.5, level: float = 0.95
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the pointwise posterior interval and median of the probability of solving, at other lengths.

    They are those of the smooth curves. Curves that fall in steps only widen the interval of the span.

    Parameters
    ----------
    lengths, solved, trials, share, level
        As in `estimate_span`.
    at : array [points]
        Lengths above 0.

    Returns
    -------
    low, middle, high : array [points]
    """
    likelihood = Likelihood.of(lengths, solved, trials, share)
    every = 1 + len(likelihood.tau) // 100
    lattice = Lattice(round(likelihood.tau[0] / STEP), (len(likelihood.tau) - 1) // every + 1, every)
    curves = SmoothCurves.of(share, lattice, *merged_counts(lengths, solved, trials))
    weights = (np.exp(curves.values - curves.top) * lapse_prior(share)).ravel()
    kept = np.argsort(weights)[-MOST_CURVES:]
    pair, *place = (index[:, None] for index in np.unravel_index(kept, curves.values.shape))
    p = np.empty((len(kept), len(at)))
    for i in range(len(PAIRS)):
        chosen = pair[:, 0] == i
        p[chosen] = curves.curve((i, *(index[chosen] for index in place)))(at)
    tail = (1 - level) / 2
    levels = (tail, 0.5, 1 - tail)
    low, middle, high = np.transpose([_quantiles(column, weights[kept], levels) for column in p.T])
    return low, middle, high


def _quantiles(values: np.ndarray, weights: np.ndarray, levels: tuple[float, ...]) -> np.ndarray:
    """Weighted quantiles."""
    order = np.argsort(values)
    mass = np.cumsum(weights[order])
    return np.asarray(values[order][np.searchsorted(mass, np.multiply(levels, mass[-1]))])
