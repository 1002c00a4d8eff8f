"""The span: the length that is solved with probability one half, say, as one number with an interval."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from memspan.errors import InvalidArgument, plain_array, real_number
from memspan.span.likelihood import Likelihood, quantiles
from memspan.span.smooth import Curve

FITS = 0.1  # a smooth curve fits if it is at least that probable
RISES = 0.001  # the probability of a false alarm, at most


@dataclass(frozen=True)
class SpanEstimate:
    """The length that is solved with probability `share`: T50 for 0.5, T90 for 0.9.

    Nothing is extrapolated: an end beyond the tried lengths is None, and so is the span if its median is.

    Attributes
    ----------
    span : float or None
        The posterior median, in time steps; None if it lies outside the tried lengths.
    low, high : float or None
        The ends of the interval; None where it reaches beyond the tried lengths.
    share, level : float
        What was asked for.
    smooth : float
        The probability that the curve is smooth, and does not fall in steps.
    falls : float
        The most that the probability of counts which rise as much as these can be, if the curve falls.
    lengths : tuple of float
        The tried lengths, rising.
    trainings : int
        All trainings at these lengths.
    best : Curve
        The most likely curve.
    """

    span: float | None
    low: float | None
    high: float | None
    share: float
    level: float
    smooth: float
    falls: float
    lengths: tuple[float, ...] = field(repr=False)
    trainings: int
    best: Curve = field(repr=False)

    @property
    def left_censored(self) -> bool:
        """Whether the interval has no lower end."""
        return self.low is None

    @property
    def right_censored(self) -> bool:
        """Whether the interval has no upper end."""
        return self.high is None

    @property
    def fits(self) -> bool:
        """Whether a smooth curve fits. If not, the counts deserve a look: they fall in steps, or rise."""
        return self.smooth >= FITS and not self.rises

    @property
    def rises(self) -> bool:
        """Whether short lengths are clearly solved less often than longer ones. Then the span means little."""
        return self.falls < RISES

    @property
    def name(self) -> str:
        """`T50` for a share of 0.5."""
        return f"T{100 * self.share:g}"

    @property
    def relative_width(self) -> float:
        """(high - low) / (2 span); inf if any of them is open."""
        if self.span is None or self.low is None or self.high is None:
            return float("inf")
        return (self.high - self.low) / (2 * self.span)

    def curve(self, lengths: Any) -> np.ndarray:
        """Return the most likely probability of solving each length.

        Parameters
        ----------
        lengths : array_like
            Lengths above 0.

        Raises
        ------
        InvalidArgument
            If they are not.
        """
        values = plain_array("lengths", lengths)
        if values.dtype.kind not in "iuf" or not np.all((values > 0) & np.isfinite(values)):
            raise InvalidArgument("lengths", "finite numbers above 0", lengths)
        return self.best(values.astype(float))

    @property
    def short(self) -> str:
        """`24.7 [18.4, 36.2]`, `31 [at least 18.4]`, `at least 182`, `below 5` or `unknown`, for tables."""
        return self._text(str)

    def _repr_html_(self) -> str:
        """The span in words, for a notebook."""
        from memspan.runtime.html import for_notebook, paragraphs

        return for_notebook(paragraphs(f"{self}.", class_="answer"))

    def __str__(self) -> str:
        """`T50 = 24.7 steps [18.4, 36.2] (95 %), from 40 trainings at 4 lengths`, or what else can be said."""
        text = self._text(_in_steps)
        text = f"{self.name} {'is' if self.span is None else '='} {text} ({100 * self.level:g} %)"
        trainings, lengths = _many(self.trainings, "training"), _many(len(self.lengths), "length")
        text = f"{text}, from {trainings} at {lengths}"
        if self.rises:
            return f"{text}; short lengths are solved less often than longer ones"
        return text if self.fits else f"{text}; no smooth curve fits these counts"

    def _text(self, with_unit: Callable[[str], str]) -> str:
        low, high = (None if end is None else _digits(end) for end in (self.low, self.high))
        if self.span is None:
            if low is not None:
                return f"at least {with_unit(low)}"
            return "unknown" if high is None else f"below {with_unit(high)}"
        span = with_unit(_digits(self.span))
        if low is None or high is None:
            bound = f"at least {low}" if low is not None else f"below {high}" if high is not None else "no bounds"
            return f"{span} [{bound}]"
        return f"{span} [{low}, {high}]"


def _digits(length: float) -> str:
    """Return a length with three digits, or as a whole number."""
    return f"{length:.3g}" if length < 1000 else f"{length:.0f}"


def _in_steps(digits: str) -> str:
    return f"{digits} step" + "s" * (digits != "1")


def _many(count: int, noun: str) -> str:
    return f"{count:,} {noun}" + "s" * (count != 1)


def read_span(likelihood: Likelihood, level: float = 0.95) -> SpanEstimate:
    """Read the span and its interval off a likelihood.

    The interval is the central one of the posterior. If all trainings solve one length and none solves the next,
    it is nearly the whole gap between them.

    Parameters
    ----------
    likelihood : Likelihood
        Of the counts.
    level : float
        Above 0 and below 1: the posterior probability of the interval.

    Raises
    ------
    InvalidArgument
        If the level is of another kind.
    """
    level = real_number("level", level, above=0, below=1)
    tail = (1 - level) / 2
    ends = quantiles(likelihood.tau, likelihood.posterior, [tail, 0.5, 1 - tail])
    low, middle, high = np.exp(ends).tolist()
    shortest, longest = float(likelihood.lengths[0]), float(likelihood.lengths[-1])
    return SpanEstimate(
        span=middle if shortest <= middle <= longest else None,
        low=None if low < shortest else min(low, longest),
        high=None if high > longest else max(high, shortest),
        share=likelihood.share,
        level=level,
        smooth=likelihood.smooth,
        falls=likelihood.falls,
        lengths=tuple(likelihood.lengths.tolist()),
        trainings=likelihood.trainings,
        best=likelihood.best,
    )


def estimate_span(lengths: Any, solved: Any, trials: Any, share: float = 0.5, level: float = 0.95) -> SpanEstimate:
    """Estimate the length that is solved with probability `share`.

    Parameters
    ----------
    lengths : array_like [n]
        Lengths above 0, in any order. A length may occur several times.
    solved : array_like [n]
        How many trainings solved each length.
    trials : array_like [n], or int
        How many were trained at each length, or at all of them.
    share, level : float
        Above 0 and below 1.

    Raises
    ------
    InvalidArgument
        If an argument is of another kind, or if there are no trials at all.

    Examples
    --------
    >>> print(estimate_span([5, 10, 15, 20, 25, 30, 40], [10, 10, 9, 7, 5, 2, 1], 10))
    T50 = 23.7 steps [18.7, 29.4] (95 %), from 70 trainings at 7 lengths
    """
    return read_span(Likelihood.of(lengths, solved, trials, share), level)
