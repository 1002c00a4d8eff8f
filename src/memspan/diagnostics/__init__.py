"""Diagnostics of networks, traces and gradients. Nothing here trains."""

from memspan.diagnostics.exponents import LyapunovExponents
from memspan.diagnostics.flow import GradientFlow
from memspan.diagnostics.jacobians import Jacobians, Products
from memspan.diagnostics.saturation import Saturation
from memspan.diagnostics.spectra import RecurrentSpectrum, recurrent_spectra

__all__ = [
    "GradientFlow",
    "Jacobians",
    "LyapunovExponents",
    "Products",
    "RecurrentSpectrum",
    "Saturation",
    "recurrent_spectra",
]
