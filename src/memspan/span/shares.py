"""The share of repetitions that solve each length, with its interval."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from memspan.errors import InvalidArgument, real_number, whole_number


@dataclass(frozen=True)
class SolvedShare:
    """The share of repetitions that solved a length, with its interval.

    Most runs either solve a length or stay far from solving it (they remember the number, or one of a few values;
    see examples/latched.py). So the quantity to report is the share that solves a length, and not a mean loss.

    Attributes
    ----------
    solved, trials : int
        k of n repetitions solved the length.
    low, high : float
        The 95 % Wilson interval of the probability of solving (Wilson 1927, doi:10.1080/01621459.1927.10502953).
    """

    solved: int
    trials: int
    low: float
    high: float

    @classmethod
    def of(cls, solved: int, trials: int) -> Self:
        """Compute the interval of a share. Without trials it is [0, 1].

        Parameters
        ----------
        solved, trials : int
            k and n.

        Raises
        ------
        InvalidArgument
            Unless 0 <= k <= n.
        """
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
        """k/n; nan without trials."""
        return self.solved / self.trials if self.trials else float("nan")

    @property
    def exact(self) -> tuple[float, float]:
        """The 95 % interval that covers every probability at least 95 times in 100, for tables and figures.

        Clopper and Pearson (1934, doi:10.1093/biomet/26.4.404). Wilson's is narrower and covers 95 % in the mean.
        """
        from scipy.special import betaincinv

        k, n = self.solved, self.trials
        low = float(betaincinv(k, n - k + 1, 0.025)) if k else 0.0
        high = float(betaincinv(k + 1, n - k, 0.975)) if k < n else 1.0
        return low, high


def longest_solved(shares: Mapping[int, SolvedShare], least: float = 0.5) -> int | None:
    """Return the longest length that a share of at least `least` of the repetitions solved; None if there is none.

    This describes the given repetitions. `estimate_span` estimates what holds for others.

    Parameters
    ----------
    shares : mapping of int to SolvedShare
        The share of each length.
    least : float
        A share above 0 and at most 1.

    Raises
    ------
    InvalidArgument
        If an argument is of another kind.
    """
    given = shares.values() if isinstance(shares, Mapping) else [shares]  # type: ignore[redundant-expr]
    if not all(isinstance(share, SolvedShare) for share in given):
        raise InvalidArgument("shares", "a mapping from lengths to a SolvedShare each", repr(shares))
    least = real_number("least", least, above=0, most=1)
    return max((length for length, share in shares.items() if share.share >= least), default=None)
