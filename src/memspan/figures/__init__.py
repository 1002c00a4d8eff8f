"""Figures: a typed record is computed first, then drawn, and saved with its data beside it."""

from memspan.figures.flow import plot_flow

__all__ = ["plot_flow"]
