"""Statistics of solved lengths, independent of networks and studies."""

from memspan.span.shares import LongestSolved, SolvedShare, longest_solved

__all__ = ["LongestSolved", "SolvedShare", "longest_solved"]
