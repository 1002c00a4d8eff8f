"""How far a right gradient may be from the oracle: the tolerance."""

from typing import Any, overload

import numpy as np
from jaxtyping import Int

from memspan.gradcheck.oracle import COMPLEX_STEP
from memspan.shapes import PerStep

# Calibrated by benchmarks/calibrate_gradcheck.py; the table is in docs/gradient-check.md.
FLOOR, PER_STEP = 512.0, 8.0  # in units of the machine epsilon
ROUNDINGS = 16.0  # in units of what one rounding of the cell's derivatives does to the gradient
BLIND = 0.01  # a comparison that tolerates a larger relative error would pass a mistake of 1 %

SILENT = "0 everywhere"  # a gradient twice as large would be 0 too
MOVE = 1e-3  # of the largest weight, or of 1: far from rounding, and the network stays much the same


@overload
def tolerance(steps: int, dtype: np.dtype) -> float: ...
@overload
def tolerance(steps: Int[np.ndarray, "time"], dtype: np.dtype) -> PerStep: ...
def tolerance(steps: Any, dtype: np.dtype) -> Any:
    """Return the allowed relative error after an error has travelled `steps` time steps, without saturation."""
    return np.maximum(FLOOR, PER_STEP * np.asarray(steps)) * np.finfo(dtype).eps


@overload
def widening(rounding: float, scale: float) -> float: ...
@overload
def widening(rounding: PerStep, scale: PerStep) -> PerStep: ...
def widening(rounding: Any, scale: Any) -> Any:
    """Return what rounding adds to a tolerance: 0 if the scale is 0 or not finite, so that NaN never passes."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return ROUNDINGS * np.nan_to_num(np.divide(rounding, scale), nan=0.0, posinf=0.0)


def smallest(dtype: np.dtype) -> float:
    """Return the magnitude below which a product has lost digits."""
    numbers = np.finfo(dtype)
    return float(numbers.tiny / numbers.eps)


def underflow(dtype: np.dtype, step: float = COMPLEX_STEP) -> float:
    """Return the magnitude below which a gradient, or `step` times the gradient, has lost digits."""
    return max(smallest(dtype), smallest(np.dtype(np.float64)) / step)


def too_wide(rounding: float, scale: float) -> str:
    """Return why a comparison with a tolerance above `BLIND` does not count."""
    moved = 100 * rounding / scale
    return f"one rounding moves it by {f'{moved:.2g}' if moved < 100 else 'over 100'} %"


def too_small(least: float) -> str:
    """Return why a comparison of numbers below `least` does not count."""
    return f"below {least:.0e}, where digits are lost"
