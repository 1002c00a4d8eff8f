"""Diagnostics of traces and gradients. Nothing here trains."""

from memspan.diagnostics.flow import GradientFlow

__all__ = ["GradientFlow"]
