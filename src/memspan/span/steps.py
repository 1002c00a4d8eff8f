"""Curves of the probability of solving that fall in steps: how well they explain counts, given where the span is.

Nothing is assumed but that p falls. Seen from length 0 it starts at 1, and falls by a Poisson process in log T,
each time to a value that is uniform between the share and where it was. Seen from long lengths it starts at 0, and
rises towards the share in the same way. The span is the place where the two meet, anywhere in a gap between the
tried lengths. So the evidence depends on the gap alone.
"""

import numpy as np

RATE = 1.0  # steps in a factor of e of the length, on each side of the span
CELLS = 32  # of p on one side of the share, at least


def gap_evidence(share: float, lengths: np.ndarray, solved: np.ndarray, trials: np.ndarray) -> np.ndarray:
    """Return the log marginal likelihood of counts, given that the span is in each gap.

    Parameters
    ----------
    share : float
    lengths, solved, trials : ndarray [n]
        The lengths rise.

    Returns
    -------
    evidence : ndarray [n + 1]
        Of a span below the first length, between the first two, ..., beyond the last.
    """
    cells = CELLS + int(np.sqrt(trials.max()))  # narrower than the likelihood of any count
    failed = trials - solved
    stays = np.exp(-RATE * np.concatenate([[1.0], np.diff(np.log(lengths))]))
    above = _one_side(1 - share, cells, failed, solved, stays)
    stays = np.exp(-RATE * np.concatenate([[1.0], np.diff(np.log(lengths))[::-1]]))
    below = _one_side(share, cells, solved[::-1], failed[::-1], stays)
    return above + below[::-1]


def _one_side(most: float, cells: int, events: np.ndarray, others: np.ndarray, stays: np.ndarray) -> np.ndarray:
    """Return the log evidence of the first 0, 1, ..., n counts.

    The probability of an event starts at 0 and rises towards `most`: before each count it stays with a probability
    `stays`, or moves to a cell between where it was and `most`.
    """
    from scipy.special import xlog1py, xlogy

    p = most * np.concatenate([[0.0], (np.arange(cells) + 0.5) / cells])
    logs = xlogy(events[:, None], p) + xlog1py(others[:, None], -p)
    tops = logs.max(axis=1)
    likelihoods = np.exp(logs - tops[:, None])
    choices = 1 / np.concatenate([[cells], np.arange(cells, 0.0, -1.0)])
    weights = np.zeros(cells + 1)
    weights[0] = 1.0
    evidence = [0.0]
    for likelihood, top, stay in zip(likelihoods, tops.tolist(), stays.tolist(), strict=True):
        moved = np.cumsum(weights * choices)
        moved[0] = 0.0
        weights = (stay * weights + (1 - stay) * moved) * likelihood
        total = weights.sum()
        weights /= total
        evidence.append(evidence[-1] + top + np.log(total))
    return np.array(evidence)
