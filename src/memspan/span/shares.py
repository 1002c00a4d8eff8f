"""The answer: how often each length is solved, and the longest that is solved by at least half."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from memspan.errors import InvalidArgument, real_number, whole_number


@dataclass(frozen=True)
class SolvedShare:
    """How many of n repetitions solved a length.

    Outcomes are all or nothing (a run remembers the number, or at best one of a few values: see
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


def longest_solved(shares: Mapping[int, SolvedShare], least: float = 0.5) -> int | None:
    """The longest length that at least that share of the repetitions solved; None if there is none."""
    given = shares.values() if isinstance(shares, Mapping) else [shares]  # type: ignore[redundant-expr]
    if not all(isinstance(share, SolvedShare) for share in given):
        raise InvalidArgument("shares", "a mapping from lengths to a SolvedShare each", repr(shares))
    least = real_number("least", least, above=0, most=1)
    return max((length for length, share in shares.items() if share.share >= least), default=None)
