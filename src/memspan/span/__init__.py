"""Statistics of solved lengths, independent of networks and studies."""

from memspan.span.estimate import SpanEstimate, estimate_span, read_span
from memspan.span.likelihood import Likelihood, quantiles
from memspan.span.rounds import Answer, Ended, Group, Round, Summary
from memspan.span.search import SpanSearch
from memspan.span.shares import SolvedShare, longest_solved

__all__ = [
    "Answer",
    "Ended",
    "Group",
    "Likelihood",
    "Round",
    "SolvedShare",
    "SpanEstimate",
    "SpanSearch",
    "Summary",
    "estimate_span",
    "longest_solved",
    "quantiles",
    "read_span",
]
