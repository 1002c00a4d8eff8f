"""The answer: how often each length is solved, and the longest that is solved by at least half."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from memspan.errors import InvalidArgument, whole_number


@dataclass(frozen=True)
class SolvedShare:
    """How many of n repetitions solved a length.

    Most runs solve a length or stay far from it (they remember the number, or one of a few values: see
    examples/latched.py), so the share that solves a length is the variable to report, with an interval, and not a
    mean loss.

    Attributes
    ----------
    solved, trials : int
        k and n.
    low, high : float
        The 95 % Wilson interval of the probability of solving (Wilson 1927, doi:10.1080/01621459.1927.10502953).
    """

    solved: int
    trials: int
    low: float
    high: float

    @classmethod
    def of(cls, solved: int, trials: int) -> Self:
        """Count, and add the interval; without any trial the interval is [0, 1]."""
        solved, trials = whole_number("solved", solved, least=0), whole_number("trials", trials, least=0)
        if solved > trials:
            raise InvalidArgument("solved", f"at most the {trials} trials", solved)
        if trials == 0:
            return cls(0, 0, 0.0, 1.0)
        from scipy.stats import binomtest

        interval = binomtest(solved, trials).proportion_ci(confidence_level=0.95, method="wilson")
        return cls(solved, trials, float(interval.low), float(interval.high))

    @property
    def share(self) -> float:
        """k/n, or nan without any trial."""
        return self.solved / self.trials if self.trials else float("nan")


@dataclass(frozen=True)
class LongestSolved:
    """The longest length that networks solve at least half of the time, as far as the repetitions can tell.

    The longest length of which at least half of the repetitions solved it is the largest of several noisy numbers:
    with other seeds it is another, and on a fine grid it is too long on average. So the lengths are given that the
    intervals of the shares leave open.

    Attributes
    ----------
    low : int or None
        The longest length whose interval lies at one half or above; None if no length is that sure.
    high : int or None
        The longest length whose interval reaches one half; None if none does.
    trials : int
        The most repetitions at a length.
    """

    low: int | None
    high: int | None
    trials: int

    @classmethod
    def of(cls, shares: Mapping[int, SolvedShare]) -> Self:
        """From the shares by length; lengths without repetitions say nothing."""
        ran = {length: share for length, share in shares.items() if share.trials}
        low = max((length for length, share in ran.items() if share.low >= 0.5), default=None)
        high = max((length for length, share in ran.items() if share.high >= 0.5), default=None)
        return cls(low, high, max((share.trials for share in ran.values()), default=0))

    def __str__(self) -> str:
        """`20`, `15-30 (10 repetitions cannot tell these lengths apart)`, or `none`."""
        if self.high is None or self.low == self.high:
            return "none" if self.high is None else str(self.high)
        lengths = f"at most {self.high}" if self.low is None else f"{self.low}-{self.high}"
        repetitions = "1 repetition" if self.trials == 1 else f"{self.trials} repetitions"
        return f"{lengths} ({repetitions} cannot tell these lengths apart)"


def longest_solved(shares: Mapping[int, SolvedShare], least: float = 0.5) -> int | None:
    """The longest length that at least that share of the repetitions solved; None if there is none.

    It describes these repetitions. `LongestSolved` is what they say of others.
    """
    return max((length for length, share in shares.items() if share.share >= least), default=None)
