"""Whether counts contradict what every estimate of a span assumes: that the probability p of solving falls.

Fisher's exact test compares the trainings at neighbouring lengths, at 1, 2, 4, ... of them on each side. Every
comparison is counted as a chance of a false alarm (Bonferroni). If p falls, the shorter lengths are solved with
some probability or more often, and the longer ones with the same or less often. So the bound holds for any falling
p, however few trainings each length has. (The deviance of the best falling curve exceeds its chi-square
distribution too often where many lengths have few trainings each.)
"""

import numpy as np


def falling_bound(solved: np.ndarray, trials: np.ndarray) -> float:
    """Return the most that the probability of counts which rise as much as these can be, if p falls.

    Parameters
    ----------
    solved, trials : ndarray [n]
        Of rising lengths, each with trials.
    """
    k, n = (np.append(0, np.cumsum(counts)) for counts in (solved, trials))
    sizes = 2 ** np.arange(len(trials).bit_length())
    begin, before, beyond = (grid.ravel() for grid in np.meshgrid(np.arange(len(trials)), sizes, sizes))
    inside = begin + before + beyond <= len(trials)
    if not inside.any():
        return 1.0
    i = begin[inside]
    j = i + before[inside]
    end = j + beyond[inside]
    tails = _at_most(k[j] - k[i], n[j] - n[i], k[end] - k[i], n[end] - n[i])
    return min(1.0, float(len(tails) * tails.min()))


def _at_most(k: np.ndarray, n: np.ndarray, solved: np.ndarray, trials: np.ndarray) -> np.ndarray:
    """Return a bound on the probability that at most k of n trainings solve theirs, given how many of all do.

    It is for equal p. The ratio of the hypergeometric probabilities of k - 1 and k rises with k, so a geometric
    series bounds their sum.
    """
    from scipy.special import gammaln

    def log_choose(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.asarray(gammaln(a + 1) - gammaln(b + 1) - gammaln(a - b + 1))

    logs = log_choose(solved, k) + log_choose(trials - solved, n - k) - log_choose(trials, n)
    failed_others = trials - solved - (n - k)
    ratio = k * failed_others / ((solved - k + 1) * (n - k + 1))
    few = ratio < 1
    return np.where(few, np.exp(logs) / np.where(few, 1 - ratio, 1), 1.0)
