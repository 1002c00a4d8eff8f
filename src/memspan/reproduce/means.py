"""Comparison of a measured mean with a published mean whose spread is unknown."""

from collections.abc import Sequence

import numpy as np

from memspan.reproduce.base import Verdict

MOST = 2.0
"""Two means that differ by more than this factor never agree, whatever the spread of the runs."""


def compare_means(
    published: float, runs: int, values: Sequence[float], spread: float, digits: str = ".0f"
) -> tuple[str, str, Verdict]:
    """Compare the mean of the measured runs with a published mean.

    The standard deviation s' of the published runs is unknown. It is assumed to lie between 0 and `spread` times
    the larger of the two means. Let there be n measured runs with standard deviation s, and m published runs. If
    both have the same expectation, the means differ by less than t · √(s²/n + s'²/m) in 95 % of all cases, where t
    is the quantile of Student's distribution for the smaller number of runs (for n runs if s' = 0). The means
    agree if their difference is below this bound for s' = 0, and therefore for every s', and at most a factor of
    2. They differ if it exceeds the bound for the largest s'. Otherwise the verdict is `Verdict.UNDECIDED`.

    Parameters
    ----------
    published : float
        The published mean.
    runs : int
        The number m of published runs.
    values : sequence of float
        The measured values, at least two.
    spread : float
        The largest plausible standard deviation of the published runs, as a fraction of the larger mean.
    digits : str
        The format specification of the numbers in the texts.

    Returns
    -------
    tuple of str, str, Verdict
        The measured mean and the rule, as texts for a `Finding`, and the verdict.
    """
    from scipy.stats import t

    n = len(values)
    mean, deviation = float(np.mean(values)), float(np.std(values, ddof=1))
    largest = spread * max(published, mean)
    narrow = float(t.ppf(0.975, n - 1)) * deviation / n**0.5
    wide = float(t.ppf(0.975, min(n, runs) - 1)) * (deviation**2 / n + largest**2 / runs) ** 0.5
    low, high = max(mean - narrow, mean / MOST), min(mean + narrow, mean * MOST)
    ours = (
        f"{mean:{digits}} ± {deviation:{digits}} (mean ± standard deviation of {n}), "
        f"{mean / published:.2f} times the paper's"
    )
    rule = (
        f"the paper's mean lies in {low:{digits}} to {high:{digits}}; differs if the two means are more than "
        f"{wide:{digits}} apart, which no standard deviation of the paper's runs up to {100 * spread:.0f} % of "
        "the mean explains"
    )
    distance = abs(mean - published)
    if low <= published <= high:
        return ours, rule, Verdict.AGREES
    return ours, rule, Verdict.DIFFERS if distance > wide else Verdict.UNDECIDED
