"""Figures. Each is computed as a typed record, then drawn, and saved together with its data."""

from memspan.figures.flow import plot_flow

__all__ = ["plot_flow"]
