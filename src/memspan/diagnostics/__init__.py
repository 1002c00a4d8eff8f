"""Diagnostics of traces and gradients. Nothing here trains."""

from memspan.diagnostics.attribution import Attribution, StepShares
from memspan.diagnostics.flow import FlowSpread, GradientFlow, gains

__all__ = ["Attribution", "FlowSpread", "GradientFlow", "StepShares", "gains"]
