"""Statistics of solved lengths, independent of networks and studies."""

from memspan.span.estimate import SpanEstimate, estimate_span, read_span
from memspan.span.likelihood import Likelihood, quantiles
<<<<<<< HEAD
from memspan.span.search import Answer, Ended, Group, Round, SpanSearch, Summary
from memspan.span.shares import LongestSolved, SolvedShare, longest_solved
=======
from memspan.span.shares import SolvedShare, longest_solved
>>>>>>> estimate

__all__ = [
    "Answer",
    "Ended",
    "Group",
    "Likelihood",
<<<<<<< HEAD
    "LongestSolved",
    "Round",
=======
>>>>>>> estimate
    "SolvedShare",
    "SpanEstimate",
    "SpanSearch",
    "Summary",
    "estimate_span",
    "longest_solved",
    "quantiles",
    "read_span",
]
