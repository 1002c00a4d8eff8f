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
    failed, gaps = trials - solved, np.diff(np.log(lengths))
    most = np.array([1 - share, share])  # of failures before the span, and of successes beyond it
    evidence = _two_sides(
        most[:, None, None] * np.append(0.0, (np.arange(cells) + 0.5) / cells),
        np.stack([failed, solved[::-1]]),
        np.stack([solved, failed[::-1]]),
        np.exp(-RATE * np.stack([np.append(1.0, gaps), np.append(1.0, gaps[::-1])])),
    )
    return evidence[0] + evidence[1, ::-1]


def _two_sides(p: np.ndarray, events: np.ndarray, others: np.ndarray, stays: np.ndarray) -> np.ndarray:
    """Return the log evidence `[2, n + 1]` of the first 0, 1, ..., n counts of each side.

    The probability p `[2, 1, cells + 1]` of an event begins in cell 0. Before each count it stays in its cell with
    the probability `stays`, or moves to any cell but 0 from its own on.
    """
    from scipy.special import xlog1py, xlogy

    logs = xlogy(events[..., None], p) + xlog1py(others[..., None], -p)
    tops = logs.max(axis=2)
    likelihoods = np.exp(logs - tops[..., None])
    cells = p.shape[2] - 1
    choices = 1 / np.append(cells, np.arange(cells, 0.0, -1.0))
    weights = np.zeros((2, cells + 1))
    weights[:, 0] = 1.0
    totals = np.ones((2, events.shape[1] + 1))
    for i in range(events.shape[1]):
        moved = np.cumsum(weights * choices, axis=1)
        moved[:, 0] = 0.0
        stay = stays[:, i, None]
        weights = (stay * weights + (1 - stay) * moved) * likelihoods[:, i]
        totals[:, i + 1] = weights.sum(axis=1)
        weights /= totals[:, i + 1, None]
    return np.cumsum(np.log(totals) + np.pad(tops, ((0, 0), (1, 0))), axis=1)
