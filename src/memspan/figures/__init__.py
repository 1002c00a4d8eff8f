"""Figures. Each is computed as a typed record, then drawn, and saved together with its data."""

from memspan.figures.attribution import plot_attribution
from memspan.figures.flow import plot_flow

__all__ = ["plot_attribution", "plot_flow"]
