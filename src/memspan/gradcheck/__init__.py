"""The gradient check: complex step, central difference, and the contracts of a backward pass."""

from memspan.gradcheck.assignment import get_analytical_gradient, get_numerical_gradient
from memspan.gradcheck.check import gradient_check
from memspan.gradcheck.report import Comparison, GradientReport
from memspan.gradcheck.sweep import StepSweep, step_size_sweep

__all__ = [
    "Comparison",
    "GradientReport",
    "StepSweep",
    "get_analytical_gradient",
    "get_numerical_gradient",
    "gradient_check",
    "step_size_sweep",
]
