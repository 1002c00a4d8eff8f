"""The tolerance of the gradient check: how far a right gradient may be from the oracle."""

from typing import Any, overload

import numpy as np
from jaxtyping import Int

from memspan.gradcheck.oracle import COMPLEX_STEP
from memspan.shapes import PerStep

# Calibrated by benchmarks/calibrate_gradcheck.py; the table is in docs/gradient-check.md.
FLOOR, PER_STEP = 512.0, 8.0  # in units of the machine epsilon
ROUNDINGS = 16.0  # in units of how far one rounding of the cell's derivatives moves the gradient
BLIND = 0.01  # a comparison that tolerates a larger relative error would pass a mistake of 1 %

SILENT = "0 everywhere"  # not a comparison, because a gradient twice as large would also be 0
MOVE = 1e-3  # relative to the largest weight or to 1: far above rounding, and the network hardly changes


@overload
def tolerance(steps: int, dtype: np.dtype) -> float: ...
@overload
def tolerance(steps: Int[np.ndarray, "time"], dtype: np.dtype) -> PerStep: ...
def tolerance(steps: Any, dtype: np.dtype) -> Any:
    """The relative error allowed after `steps` time steps of back-propagation, without saturation."""
    return np.maximum(FLOOR, PER_STEP * np.asarray(steps)) * np.finfo(dtype).eps


@overload
def widening(rounding: float, scale: float) -> float: ...
@overload
def widening(rounding: PerStep, scale: PerStep) -> PerStep: ...
def widening(rounding: Any, scale: Any) -> Any:
    """The part of a tolerance for rounding; 0 where the scale is 0 or not finite, so that NaN never passes."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return ROUNDINGS * np.nan_to_num(np.divide(rounding, scale), nan=0.0, posinf=0.0)


def smallest(dtype: np.dtype) -> float:
    """The smallest number for which products keep all digits."""
    numbers = np.finfo(dtype)
    return float(numbers.tiny / numbers.eps)


def underflow(dtype: np.dtype, step: float = COMPLEX_STEP) -> float:
    """The smallest gradient with all digits, in products of the backward pass and in `step` times the gradient."""
    return max(smallest(dtype), smallest(np.dtype(np.float64)) / step)


def too_wide(rounding: float, scale: float) -> str:
    """The reason why a comparison with a tolerance above `BLIND` does not count."""
    moved = 100 * rounding / scale
    return f"one rounding moves it by {f'{moved:.2g}' if moved < 100 else 'over 100'} %"


def too_small(least: float) -> str:
    """The reason why a comparison of numbers below `least` does not count."""
    return f"below {least:.0e}, where digits are lost"
