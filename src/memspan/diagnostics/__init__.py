"""Diagnostics of networks, traces and gradients. Nothing here trains."""

from memspan.diagnostics.attribution import Attribution, StepShares
from memspan.diagnostics.exponents import LyapunovExponents
from memspan.diagnostics.flow import FlowSpread, GradientFlow, gains
from memspan.diagnostics.jacobians import Jacobians, Products
from memspan.diagnostics.label import LabelGradient, LabelSignal, label_gradient, label_signal
from memspan.diagnostics.saturation import Saturation
from memspan.diagnostics.spectra import RecurrentSpectrum, recurrent_spectra
from memspan.diagnostics.twins import Twins

__all__ = [
    "Attribution",
    "FlowSpread",
    "GradientFlow",
    "Jacobians",
    "LabelGradient",
    "LabelSignal",
    "LyapunovExponents",
    "Products",
    "RecurrentSpectrum",
    "Saturation",
    "StepShares",
    "Twins",
    "gains",
    "label_gradient",
    "label_signal",
    "recurrent_spectra",
]
