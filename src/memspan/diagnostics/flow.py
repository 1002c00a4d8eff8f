"""How much gradient arrives at each time step."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from memspan.axes import PerStep
from memspan.bptt import Gradients


@dataclass(frozen=True)
class GradientFlow:
    """The size of the gradient at every time step of one backward pass, float64.

    Exact zeros (underflow, or units that are off) stay 0 and non-finite values stay non-finite: they are
    results.

    Attributes
    ----------
    d_a : array [T]
        Σ_b ‖dL/da[t]‖ over the samples b. For a loss that is a mean over the batch this is the mean of the
        samples' own gradient norms, whatever the batch size.
    d_R, d_W : array [T]
        The Frobenius norm of the step's contribution to dL/dR and dL/dW. At t = 0 `d_R` is 0, because a[-1] is.
    """

    d_a: PerStep
    d_R: PerStep
    d_W: PerStep

    @classmethod
    def of(cls, gradients: Gradients) -> Self:
        """Measure a backward pass."""
        d_a = np.linalg.norm(gradients.d_a.astype(np.float64), axis=2).sum(axis=1)
        d_R = np.linalg.norm(gradients.d_R.astype(np.float64), axis=(1, 2))
        d_W = np.linalg.norm(gradients.d_W.astype(np.float64), axis=(1, 2))
        return cls(d_a, d_R, d_W)
