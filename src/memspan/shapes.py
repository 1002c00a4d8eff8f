"""The names of the array axes.

`time` T, `batch` B, `features` F, `hidden` H, `gates` G, `states` S, `outputs` O. `output_steps` K: the readout
reads the last K time steps. `columns` is G·H, the pre-activations of one step side by side. `Inexact` admits
float32, float64 and the complex128 of the gradient check. The tests enforce these annotations; elsewhere they are
documentation.
"""

import numpy as np
from jaxtyping import Float, Inexact

Array = np.ndarray
"""An array of any shape."""

Inputs = Inexact[np.ndarray, "time batch features"]
"""A batch of input sequences."""

Outputs = Inexact[np.ndarray, "*output_steps batch outputs"]
"""Predictions, labels, or the gradient of the loss with respect to predictions, at the last step or the last K."""

Hidden = Inexact[np.ndarray, "time batch hidden"]
"""One hidden state at every step."""

States = Inexact[np.ndarray, "states batch hidden"]
"""Every state of a cell before or after one step."""

Columns = Inexact[np.ndarray, "time batch columns"]
"""The pre-activations of all gates at every step."""

Flat = Inexact[np.ndarray, "parameters"]
"""All weights of a network, or their gradient, in one vector."""

PerStep = Float[np.ndarray, "time"]
"""One real number for each time step."""
