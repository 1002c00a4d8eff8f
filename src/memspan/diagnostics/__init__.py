"""What a trace and its gradients tell; nothing here trains."""

from memspan.diagnostics.flow import GradientFlow

__all__ = ["GradientFlow"]
