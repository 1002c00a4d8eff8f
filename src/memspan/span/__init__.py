"""The answer, as pure statistics: how often each length is solved. It knows no network."""

from memspan.span.shares import LongestSolved, SolvedShare, longest_solved

__all__ = ["LongestSolved", "SolvedShare", "longest_solved"]
