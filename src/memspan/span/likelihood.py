"""What counts of solved trainings say about the span: a posterior over a lattice of log spans."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from memspan.errors import real_number
from memspan.span.counts import merged_counts
from memspan.span.falling import falling_bound
from memspan.span.lattice import Lattice
from memspan.span.smooth import Curve, SmoothCurves
from memspan.span.steps import gap_evidence

# The prior probability of a curve that falls in steps. More of it covers steps better and widens the intervals of
# smooth curves: 0.1, 0.15, 0.2 and 0.3 were tried on the known and further curves of benchmarks/span_curves.py.
STEPPED = 0.15
COARSE = 8  # steps of the lattice of a first pass, which finds where the span may be
# Smooth curves are computed at that many points of the central 98 %, and interpolated between them. With this and
# the lattices in smooth.py, 9 of 10 ends of T50 are within 1 % of the interval's width of those of a much finer
# lattice (T90: 1.6 %).
POINTS = 24
NEGLECTED = 1e-4  # of the posterior, on each side: too much for levels beyond 0.999


@dataclass(frozen=True, eq=False)
class Likelihood:
    """The posterior of the log span tau, given counts.

    The prior is flat in tau. Most of it is for smooth curves, and the rest for curves that fall in steps.

    Attributes
    ----------
    share : float
        The span is the length that is solved with this probability.
    lengths : ndarray [lengths]
        The tried lengths, rising.
    trainings : int
        The sum of all trials.
    tau : ndarray [tau]
        The lattice of log spans: whole multiples of `lattice.STEP`, where the posterior has its mass.
    posterior : ndarray [tau]
        The posterior probability of the cell around each tau; its sum is 1.
    smooth : float
        The posterior probability that the curve is smooth.
    falls : float
        The most that the probability of counts which rise as much as these can be, if the curve falls.
    best : Curve
        The most likely smooth curve.
    """

    share: float
    lengths: np.ndarray
    trainings: int
    tau: np.ndarray
    posterior: np.ndarray
    smooth: float
    falls: float
    best: Curve

    @classmethod
    def of(cls, lengths: Any, solved: Any, trials: Any, share: float = 0.5) -> Self:
        """Compute the posterior. Neither the order of the counts nor how they are merged changes a bit of it.

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
        counts = merged_counts(lengths, solved, trials)
        lengths, _, trials = counts
        evidence = gap_evidence(share, *counts)

        def weigh(curves: SmoothCurves, lattice: Lattice) -> tuple[np.ndarray, np.ndarray]:
            """Return the weights of smooth and of stepped curves, on the curves' lattice or a finer one."""
            top = max(curves.top, float(evidence.max()))
            smooth = np.interp(lattice.tau, curves.lattice.tau, curves.mean_likelihood(top))
            return (1 - STEPPED) * smooth, STEPPED * lattice.means(np.log(lengths), np.exp(evidence - top))

        coarse = Lattice.around(lengths[0], lengths[-1], COARSE)
        smooth, stepped = weigh(SmoothCurves.of(share, coarse, *counts), coarse)
        curves = SmoothCurves.of(share, coarse.window(smooth + stepped, NEGLECTED, POINTS), *counts)
        lattice = curves.lattice.refined()
        smooth, stepped = weigh(curves, lattice)
        posterior = smooth + stepped
        total = float(posterior.sum())
        return cls(
            share=share,
            lengths=lengths,
            trainings=int(trials.sum()),
            tau=lattice.tau,
            posterior=posterior / total,
            smooth=float(smooth.sum()) / total,
            falls=falling_bound(*counts[1:]),
            best=curves.best,
        )


def quantiles(x: np.ndarray, weights: np.ndarray, levels: Any) -> np.ndarray:
    """Return quantiles of a distribution on a lattice x in equal steps.

    Each weight is spread over the cell around its point.
    """
    half = (x[1] - x[0]) / 2
    mass = np.append(0.0, np.cumsum(weights))
    return np.interp(np.asarray(levels) * mass[-1], mass, np.append(x[0] - half, x + half))
