"""The fitted curve and its band: for each length, the probability of solving it and its interval."""

from typing import Any

import numpy as np

from memspan.span.lattice import STEP, Family, Lattice
from memspan.span.likelihood import Likelihood, merged_counts

MOST_CURVES = 20_000
"""The most likely curves that are kept. Together they have nearly all of the posterior's mass."""


def probability_band(
    lengths: Any, solved: Any, trials: Any, at: np.ndarray, share: float = 0.5, level: float = 0.95
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the pointwise posterior interval and median of the probability of solving, at other lengths.

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
    lattice = Lattice(share, round(likelihood.tau[0] / STEP), len(likelihood.tau))
    values = lattice.log_likelihood(*merged_counts(lengths, solved, trials)) / likelihood.heat
    family = Family.of(share)
    weights = (np.exp(values - values.max()) * family.prior).ravel()
    kept = np.argsort(weights)[-MOST_CURVES:]
    point, member = np.unravel_index(kept, values.shape)
    distance = np.log(at) - lattice.tau[point][:, None]
    lapse = family.lapse[member][:, None]
    slope = np.where(distance > 0, family.beyond[member][:, None], family.before[member][:, None])
    p = (1 - lapse) * np.exp(-np.logaddexp(0, slope * distance + np.log((1 - lapse - share) / share)))
    tail = (1 - level) / 2
    levels = (tail, 0.5, 1 - tail)
    low, middle, high = np.transpose([_quantiles(column, weights[kept], levels) for column in p.T])
    return low, middle, high


def _quantiles(values: np.ndarray, weights: np.ndarray, levels: tuple[float, ...]) -> np.ndarray:
    """Weighted quantiles."""
    order = np.argsort(values)
    mass = np.cumsum(weights[order])
    return np.asarray(values[order][np.searchsorted(mass, np.multiply(levels, mass[-1]))])
