"""How much gradient arrives at each time step."""

import reprlib
from dataclasses import dataclass
from typing import Self

import numpy as np
from jaxtyping import Float, Inexact

from memspan.engines.readable import Gradients
from memspan.errors import InvalidArgument
from memspan.shapes import PerStep


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
        """Measure a backward pass.

        Parameters
        ----------
        gradients : Gradients
            What `network.backward` returned; `network.grads` keeps it. Changes that were made to the gradients of
            single weights since, such as a clip, are not in the flow.

        Raises
        ------
        InvalidArgument
            When it is something else, such as the `grads` of a network before its backward pass.
        """
        if not isinstance(gradients, Gradients):
            rule = "the grads of a network, after its backward pass"
            raise InvalidArgument("gradients", rule, reprlib.repr(gradients))
        T = len(gradients.d_a)
        d_R, d_W = (_norm(steps.reshape(T, -1)) for steps in (gradients.d_R, gradients.d_W))
        return cls(_norm(gradients.d_a).sum(axis=1), d_R, d_W)

    def __repr__(self) -> str:
        ends = f"‖dL/da‖ {self.d_a[-1]:.3g} at lag 0, {self.d_a[0]:.3g} at lag {len(self.d_a) - 1}"
        return f"<GradientFlow over {len(self.d_a)} steps: {ends}>"


def _norm(values: Inexact[np.ndarray, "*rows width"]) -> Float[np.ndarray, "*rows"]:
    """‖·‖₂ over the last axis, in float64 and without squares: that of 1e-170 would be 0, and no result."""
    return np.hypot.reduce(values.astype(np.float64), axis=-1)
