"""Comparisons of spans: the ratio of two with its interval, and which of several spans differ.

Nothing is extrapolated. The posterior of a span reaches beyond the tried lengths, but the prior decides how far.
So that part of it counts as a span anywhere beyond. An end of a ratio is known only if no such span can move it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from memspan.errors import InvalidArgument, real_number, shown
from memspan.span.estimate import read_span
from memspan.span.lattice import STEP
from memspan.span.likelihood import NEGLECTED, Likelihood

LEAST_P = 4 * NEGLECTED
"""No p-value is smaller: it doubles a probability, of which either posterior leaves out as much as `NEGLECTED`."""


@dataclass(frozen=True)
class SpanRatio:
    """The ratio of two spans.

    Attributes
    ----------
    ratio : float or None
        Of their medians; None if one of these lies outside the tried lengths.
    low, high : float or None
        The ends of its interval; None where spans beyond the tried lengths decide.
    level : float
    p : float
        Twice the smaller of the probabilities that the ratio may be at most 1 and may be at least 1; not below
        `LEAST_P`, and not above 1.
    p_inside : float
        The part of `p` that does not come from spans outside the tried lengths.
    """

    ratio: float | None
    low: float | None
    high: float | None
    level: float
    p: float
    p_inside: float

    @property
    def short(self) -> str:
        """`2.1 [1.6, 2.9]`, `at least 1.6`, `at most 2.9` or `unknown`, for tables."""
        low, high = (None if end is None else f"{end:.3g}" for end in (self.low, self.high))
        if low is not None and high is not None and self.ratio is not None:
            return f"{self.ratio:.3g} [{low}, {high}]"
        if low is not None:
            return f"at least {low}"
        return "unknown" if high is None else f"at most {high}"

    @property
    def turned(self) -> "SpanRatio":
        """The ratio of the second span to the first."""
        ratio, low, high = _inverse(self.ratio), _inverse(self.high), _inverse(self.low)
        return SpanRatio(ratio, low, high, self.level, self.p, self.p_inside)


def _inverse(value: float | None) -> float | None:
    return None if value is None else 1 / value


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
        """Whether the corrected p-value is below 1 - level, and the interval excludes 1."""
        return self.p < 1 - self.ratio.level and (self._a_is_longer or self._b_is_longer)

    @property
    def p_text(self) -> str:
        """`p = 0.02`, or `p < 0.0012` where the posteriors do not tell how small it is."""
        return f"p {'<' if self.ratio.p <= LEAST_P else '='} {self.p:.2g}"

    @property
    def open_end_decides(self) -> bool:
        """Whether they cannot be told apart because a span may lie outside its tried lengths.

        Most of `p` then comes from such spans, and the rest would tell the two apart.
        """
        rest = self.ratio.p_inside / self.ratio.p
        return not self.told_apart and rest < 0.5 and rest * self.p < 1 - self.ratio.level

    def sentence(self, place: str = "") -> str:
        """Return the comparison in words.

        Parameters
        ----------
        place : str
            What leads from a span to a name, such as "on" if the names are those of tasks; empty if they are those
            of networks.
        """
        if not self.told_apart:
            names = f"the span {place} {self.a} from that {place} {self.b}" if place else f"{self.a} from {self.b}"
            why = ", because a span may lie outside the lengths tried" if self.open_end_decides else ""
            return f"These data cannot tell {names} ({self.p_text}){why}."
        longer, shorter, ratio = self.a, self.b, self.ratio
        if self._b_is_longer:
            longer, shorter, ratio = self.b, self.a, self.ratio.turned
        evidence = f"({100 * ratio.level:g} %; {self.p_text})"
        if place:
            return f"The span {place} {longer} is {ratio.short} times that {place} {shorter} {evidence}."
        return f"{longer} remembers {ratio.short} times as far as {shorter} {evidence}."

    @property
    def _a_is_longer(self) -> bool:
        return self.ratio.low is not None and self.ratio.low > 1

    @property
    def _b_is_longer(self) -> bool:
        return self.ratio.high is not None and self.ratio.high < 1


def compare_spans(a: Likelihood, b: Likelihood, level: float = 0.95) -> SpanRatio:
    """Return the ratio of the span of `a` to that of `b`.

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
    low, at_most_1 = _least_ratio(a, b, (1 - level) / 2)
    least_turned, at_least_1 = _least_ratio(b, a, (1 - level) / 2)
    of_a, of_b = read_span(a, level).span, read_span(b, level).span
    return SpanRatio(
        ratio=None if of_a is None or of_b is None else of_a / of_b,
        low=low,
        high=_inverse(least_turned),
        level=level,
        p=min(1.0, max(LEAST_P, 2 * min(at_most_1, at_least_1))),
        p_inside=min(1.0, 2 * min(_inside(a, b))),
    )


def _inside(a: Likelihood, b: Likelihood) -> tuple[float, float]:
    """The probabilities that the ratio of a to b is at most 1, and at least 1, with both within their lengths."""
    of_a, of_b = (
        one.posterior * ((one.tau >= np.log(one.lengths[0])) & (one.tau <= np.log(one.lengths[-1])))
        for one in (a, b)
    )
    below = np.append(0.0, np.cumsum(of_b))
    from_here, to_here = (np.searchsorted(b.tau, a.tau, side) for side in ("left", "right"))
    return float(of_a @ (below[-1] - below[from_here])), float(of_a @ below[to_here])


def _least_ratio(a: Likelihood, b: Likelihood, tail: float) -> tuple[float | None, float]:
    """Return a bound of the ratio of a to b, and the probability that the ratio may be at most 1.

    The ratio may be less than the bound with the probability `tail`; the bound is None if there is none.
    """
    first, last = np.log([(one.lengths[0], one.lengths[-1]) for one in (a, b)]).T
    place_a, of_a = _least(a.tau, a.posterior, first[0], last[0])
    place_b, of_b = _least(-b.tau, b.posterior, -last[1], -first[1])
    density = np.convolve(of_a, of_b)
    edges = STEP * (place_a + place_b + np.arange(len(density) + 1) - 0.5)
    without_bound = 1 - float(density.sum())
    below = without_bound + np.append(0.0, np.cumsum(density))
    bound = float(np.exp(np.interp(tail, below, edges))) if without_bound < tail else None
    return bound, float(np.interp(0, edges, below))


def _least(tau: np.ndarray, posterior: np.ndarray, first: float, last: float) -> tuple[int, np.ndarray]:
    """Return how small a log span may be: a place on the lattice, and the probabilities of it and those after it.

    Beyond the tried lengths, which end at `last`, it may be as small as `last`. Below `first` it may be anything,
    so that part of the posterior is left out.
    """
    places = np.rint(np.minimum(tau, last) / STEP).astype(int)
    return int(places.min()), np.bincount(places - places.min(), posterior * (tau >= first))


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
