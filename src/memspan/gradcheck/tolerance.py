"""How far a right gradient may be from the oracle."""

from typing import Any, overload

import numpy as np
from jaxtyping import Int

from memspan.gradcheck.oracle import COMPLEX_STEP
from memspan.shapes import PerStep

# Calibrated by benchmarks/calibrate_gradcheck.py; the table is in docs/gradient-check.md.
FLOOR, PER_STEP = 512.0, 8.0  # in units of the machine epsilon
ROUNDINGS = 16.0  # in units of what one rounding of the cell's derivatives does to the gradient


@overload
def tolerance(steps: int, dtype: np.dtype) -> float: ...
@overload
def tolerance(steps: Int[np.ndarray, "time"], dtype: np.dtype) -> PerStep: ...
def tolerance(steps: Any, dtype: np.dtype) -> Any:
    """The relative error allowed after an error has travelled `steps` time steps, without saturation."""
    return np.maximum(FLOOR, PER_STEP * np.asarray(steps)) * np.finfo(dtype).eps


@overload
def widening(rounding: float, scale: float) -> float: ...
@overload
def widening(rounding: PerStep, scale: PerStep) -> PerStep: ...
def widening(rounding: Any, scale: Any) -> Any:
    """What rounding adds to a tolerance: nothing where the scale is 0 or not finite, so that NaN never passes."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return ROUNDINGS * np.nan_to_num(np.divide(rounding, scale), nan=0.0, posinf=0.0)


def underflow(dtype: np.dtype) -> float:
    """Below this a gradient has lost digits, in the products of the backward pass or in h times the gradient."""
    numbers, double = np.finfo(dtype), np.finfo(np.float64)
    return max(float(numbers.tiny / numbers.eps), float(double.tiny / double.eps / COMPLEX_STEP))
