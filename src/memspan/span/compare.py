"""Comparisons of spans: the ratio of two with its interval, and which of several spans differ."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from memspan.errors import InvalidArgument, real_number, shown
from memspan.span.estimate import read_span
from memspan.span.lattice import STEP
from memspan.span.likelihood import Likelihood, quantiles


@dataclass(frozen=True)
class SpanRatio:
    """The ratio of two spans.

    Attributes
    ----------
    ratio : float or None
        The median of its posterior; None if a span itself lies outside the tried lengths.
    low, high : float or None
        The ends of its interval; None where an end of a span is open on that side.
    level : float
    p : float
        Twice the smaller of the posterior probabilities that the ratio is below or above 1.
    """

    ratio: float | None
    low: float | None
    high: float | None
    level: float
    p: float

    @property
    def short(self) -> str:
        """`2.1 [1.6, 2.9]`, `at least 1.6`, `at most 2.9` or `unknown`, for tables."""
        low, high = (None if end is None else f"{end:.3g}" for end in (self.low, self.high))
        if low is not None and high is not None and self.ratio is not None:
            return f"{self.ratio:.3g} [{low}, {high}]"
        if low is not None:
            return f"at least {low}"
        return "unknown" if high is None else f"at most {high}"


@dataclass(frozen=True)
class PairOfSpans:
    """Two of several spans, and whether they differ.

    Attributes
    ----------
    a, b : str
        Their names.
    ratio : SpanRatio
        The span of a over that of b.
    p : float
        The p-value of equal spans, corrected for the number of pairs.
    """

    a: str
    b: str
    ratio: SpanRatio
    p: float

    @property
    def told_apart(self) -> bool:
        """Whether the corrected p-value is below 1 - level."""
        return self.p < 1 - self.ratio.level

    @property
    def sentence(self) -> str:
        """The comparison in words."""
        if not self.told_apart:
            return f"These data cannot tell {self.a} from {self.b} (p = {self.p:.2g})."
        longer, shorter, ratio = (
            (self.a, self.b, self.ratio) if self._a_is_longer else (self.b, self.a, self._turned)
        )
        level = f"{100 * ratio.level:g} %"
        return f"{longer} remembers {ratio.short} times as far as {shorter} ({level}; p = {self.p:.2g})."

    @property
    def _a_is_longer(self) -> bool:
        known = (self.ratio.ratio, self.ratio.low, self.ratio.high)
        return next((value > 1 for value in known if value is not None), True)

    @property
    def _turned(self) -> SpanRatio:
        """The ratio of b to a."""
        found = self.ratio
        return SpanRatio(_inverse(found.ratio), _inverse(found.high), _inverse(found.low), found.level, found.p)


def _inverse(value: float | None) -> float | None:
    return None if value is None else 1 / value


def compare_spans(a: Likelihood, b: Likelihood, level: float = 0.95) -> SpanRatio:
    """Return the ratio of the span of `a` to that of `b`.

    Both posteriors lie on the same lattice of log spans, so the posterior of the log ratio is their convolution.

    Parameters
    ----------
    a, b : Likelihood
        Of the same share.
    level : float
        The level of the interval.

    Raises
    ------
    InvalidArgument
        If an argument is of another kind.
    """
    for name, one in (("a", a), ("b", b)):
        if not isinstance(one, Likelihood):
            raise InvalidArgument(name, "a Likelihood", shown(one))
    if a.share != b.share:
        raise InvalidArgument("b", f"of the same share as a, {a.share:g}", b.share)
    level = real_number("level", level, above=0, below=1)
    density = np.convolve(a.posterior, b.posterior[::-1])
    log_ratio = a.tau[0] - b.tau[-1] + STEP * np.arange(len(density))
    tail = (1 - level) / 2
    low, middle, high = np.exp(quantiles(log_ratio, density, [tail, 0.5, 1 - tail])).tolist()
    below = float(np.interp(0, log_ratio, np.cumsum(density) - density / 2))
    of_a, of_b = read_span(a, level), read_span(b, level)
    known = of_a.span is not None and of_b.span is not None
    return SpanRatio(
        ratio=middle if known else None,
        low=None if of_a.left_censored or of_b.right_censored else low,
        high=None if of_a.right_censored or of_b.left_censored else high,
        level=level,
        p=min(1.0, 2 * min(below, 1 - below)),
    )


def compare_all(spans: Mapping[str, Likelihood], level: float = 0.95) -> list[PairOfSpans]:
    """Compare every two of several spans.

    Parameters
    ----------
    spans : mapping of str to Likelihood
        What is known of each span, by name.
    level : float
        The level of the intervals; pairs are told apart at 1 - level.

    Raises
    ------
    InvalidArgument
        As in `compare_spans`.
    """
    pairs = list(combinations(spans, 2))
    ratios = [compare_spans(spans[a], spans[b], level) for a, b in pairs]
    corrected = holm([ratio.p for ratio in ratios])
    return [PairOfSpans(*pair, ratio, p) for pair, ratio, p in zip(pairs, ratios, corrected, strict=True)]


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p-values for their number (Holm 1979, Scandinavian Journal of Statistics 6).

    The smallest of n is multiplied by n, the next by n - 1, and so on. None becomes smaller than one before it.
    """
    order = np.argsort(p_values, kind="stable")
    factors = np.arange(len(order), 0, -1)
    corrected = np.minimum(1.0, np.maximum.accumulate(factors * np.take(p_values, order)))
    found: list[Any] = [0.0] * len(order)
    for place, p in zip(order, corrected.tolist(), strict=True):
        found[place] = p
    return found
