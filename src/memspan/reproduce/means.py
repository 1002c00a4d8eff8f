"""Whether a published mean could be the mean of runs like ours, where the paper gives no spread."""

from collections.abc import Sequence

import numpy as np

from memspan.reproduce.base import Verdict

MOST = 2.0
"""The factor beyond which no two means agree, however much runs differ."""


def compare_means(
    published: float, runs: int, values: Sequence[float], spread: float, digits: str = ".0f"
) -> tuple[str, str, Verdict]:
    """Compare the mean of our runs with a published mean of so many runs.

    The paper's standard deviation is unknown; it lies between 0 and `spread` times the larger of the two means.
    With n runs of ours, of standard deviation s, and m published ones, of standard deviation s', the two means
    differ by less than t · √(s²/n + s'²/m) in 95 % of all cases, Student's t taken for the smaller number of runs.
    So they agree where they do for s' = 0, and with it for every s'; they differ where they do for the largest s';
    between the two it cannot be told.

    Parameters
    ----------
    published : float
        The paper's mean.
    runs : int
        m, of how many runs it is the mean.
    values : sequence of float
        Ours, two or more.
    spread : float
        The largest standard deviation that the paper allows, as a share of its mean.
    digits : str
        How numbers are written.

    Returns
    -------
    tuple of str, str, Verdict
        What ours is, the rule, and the verdict.
    """
    from scipy.stats import t

    n = len(values)
    mean, deviation = float(np.mean(values)), float(np.std(values, ddof=1))
    largest = spread * max(published, mean)
    narrow = float(t.ppf(0.975, n - 1)) * deviation / n**0.5
    wide = float(t.ppf(0.975, min(n, runs) - 1)) * (deviation**2 / n + largest**2 / runs) ** 0.5
    low, high = max(mean - narrow, mean / MOST), min(mean + narrow, mean * MOST)
    ours = f"{mean:{digits}} ± {deviation:{digits}} (mean and s of {n}), {mean / published:.2f} of the paper's"
    rule = (
        f"{low:{digits}} to {high:{digits}}, where it agrees whatever the paper's spread; differs if more than "
        f"{wide:{digits}} away, where no spread up to {100 * spread:.0f} % of the mean explains it"
    )
    distance = abs(mean - published)
    if low <= published <= high:
        return ours, rule, Verdict.AGREES
    return ours, rule, Verdict.DIFFERS if distance > wide else Verdict.UNDECIDED
