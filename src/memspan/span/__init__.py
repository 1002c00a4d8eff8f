"""The answer, as pure statistics: how often each length is solved. It knows no network."""

from memspan.span.shares import SolvedShare, longest_solved

__all__ = ["SolvedShare", "longest_solved"]
