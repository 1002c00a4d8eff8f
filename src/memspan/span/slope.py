"""The power law of a span: how it grows with one quantity, such as the hidden size."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from memspan.errors import InvalidArgument, real_number
from memspan.span.likelihood import Likelihood


@dataclass(frozen=True)
class Slope:
    """A weighted straight line through log spans against the logarithm of a quantity.

    Its intervals are the wider of two: the one that follows from the uncertainty of the spans, and the one that
    follows from how far they lie off the line, with the quantile of Student's t for n - 2 degrees of freedom.

    Attributes
    ----------
    slope, low, high : float
        The power of the quantity with which the span grows, and its interval.
    level : float
    points : int
        The number of spans, n.
    misfit : float
        The weighted mean square of the residuals. Above 1, the spans do not lie on a power law within their
        uncertainty.
    centre : tuple of float
        The weighted means of the log quantity and the log span.
    reach : tuple of float
        Half the interval of the line's height at the centre, and of its slope.
    """

    slope: float
    low: float
    high: float
    level: float
    points: int
    misfit: float
    centre: tuple[float, float]
    reach: tuple[float, float]

    def __str__(self) -> str:
        return f"{self.slope:.2f} [{self.low:.2f}, {self.high:.2f}]"

    def line(self, quantity: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the line and its pointwise interval at values of the quantity, in time steps."""
        x = np.log(quantity) - self.centre[0]
        middle = self.centre[1] + self.slope * x
        reach = np.hypot(self.reach[0], self.reach[1] * x)
        return np.exp(middle), np.exp(middle - reach), np.exp(middle + reach)


def fit_slope(quantity: Sequence[float], spans: Sequence[Likelihood], level: float = 0.95) -> Slope:
    """Fit a power law through spans by weighted least squares, with the variances of their posteriors.

    Parameters
    ----------
    quantity : sequence of float
        The quantity of each span: numbers above 0, of which at least two differ.
    spans : sequence of Likelihood
        At least three.
    level : float
        The level of the interval.

    Raises
    ------
    InvalidArgument
        If an argument is of another kind.
    """
    level = real_number("level", level, above=0, below=1)
    if len(quantity) != len(spans) or len(spans) < 3:
        raise InvalidArgument("spans", f"at least 3, one for each of {len(quantity)} quantities", len(spans))
    if min(quantity) <= 0 or len(set(quantity)) < 2:
        raise InvalidArgument("quantity", "numbers above 0 that differ", list(quantity))
    x, (y, variance) = np.log(quantity), np.transpose([_moments(span) for span in spans])
    weight = 1 / variance
    centre = float(weight @ x / weight.sum()), float(weight @ y / weight.sum())
    spread = float(weight @ (x - centre[0]) ** 2)
    slope = float(weight @ ((x - centre[0]) * (y - centre[1]))) / spread
    residuals = y - centre[1] - slope * (x - centre[0])
    misfit = float(weight @ residuals**2) / (len(y) - 2)
    errors = _errors(level, len(y) - 2, misfit)
    reach = errors / float(weight.sum()) ** 0.5, errors / spread**0.5
    return Slope(slope, slope - reach[1], slope + reach[1], level, len(y), misfit, centre, reach)


def _moments(span: Likelihood) -> tuple[float, float]:
    """The mean and variance of the posterior of a log span."""
    mean = float(span.posterior @ span.tau)
    return mean, float(span.posterior @ (span.tau - mean) ** 2)


def _errors(level: float, freedom: int, misfit: float) -> float:
    """Return half the interval in standard errors that follow from the spans' own variances."""
    from scipy.special import ndtri, stdtrit

    upper = (1 + level) / 2
    return max(float(ndtri(upper)), misfit**0.5 * float(stdtrit(freedom, upper)))
