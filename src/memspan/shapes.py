"""The axes of every array, once.

`time` T, `batch` B, `features` F, `hidden` H, `gates` G, `states` S, `outputs` O, `output_steps` K, the last steps
that are read out; `columns` is G·H, the pre-activations of one step side by side. `Inexact` admits float32 and
float64, and the complex128 of the gradient check. Outside the tests these are plain array annotations; the tests
enforce them.
"""

import numpy as np
from jaxtyping import Float, Inexact

Array = np.ndarray
"""An array of any shape."""

Inputs = Inexact[np.ndarray, "time batch features"]
"""A batch of input sequences."""

Outputs = Inexact[np.ndarray, "*output_steps batch outputs"]
"""Predictions, labels, or the gradient of the loss with respect to predictions; of one step, or of the last K."""

Hidden = Inexact[np.ndarray, "time batch hidden"]
"""One hidden state of every step."""

Columns = Inexact[np.ndarray, "time batch columns"]
"""Pre-activations of every gate at every step."""

Flat = Inexact[np.ndarray, "parameters"]
"""All weights of a network, or their gradient, in one vector."""

PerStep = Float[np.ndarray, "time"]
"""One real number for each time step."""
