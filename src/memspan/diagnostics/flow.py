"""The size of the gradient at each time step, and how it is spread over the samples of a batch."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from jaxtyping import Float, Inexact

from memspan.diagnostics.tracing import checked_gradients
from memspan.network.model import Backward
from memspan.runtime.floats import quiet
from memspan.shapes import Array, PerStep

PERCENTS = (10, 50, 90)
"""The quantiles of `FlowSpread`."""


@dataclass(frozen=True)
class FlowSpread:
    """How the norm of dL/da[t] is spread over the samples of a batch, at every time step.

    A sample's gradient is its part of dL/da[t] times B. If the loss is a mean over the batch, this is the gradient
    of the sample's own loss, for any batch size. The mean of the norms over the samples is `GradientFlow.d_a`.

    Attributes
    ----------
    quantiles : array [3, T]
        The 10, 50 and 90 % quantiles of the norms: the smallest norm that this share of the samples does not
        exceed. NaN counts as larger than infinity.
    zero : array [T]
        The share of samples whose gradient is exactly 0. In the compiled engine this includes underflow, because
        its kernels flush denormal numbers to zero (on x86 processors).
    underflow : array [T]
        The share of samples whose gradient is not 0 but has a norm below the smallest normal number of the
        network's dtype. Only the readable engine tells these samples from those with a gradient of 0.
    not_finite : array [T]
        The share of samples whose gradient has an infinity or NaN.
    """

    quantiles: Float[np.ndarray, "quantiles time"]
    zero: PerStep
    underflow: PerStep
    not_finite: PerStep

    @classmethod
    @quiet
    def of(cls, norms: Float[np.ndarray, "time batch"], dtype: Any) -> Self:
        """Summarise the norms of the samples' parts of dL/da[t], in float64, of a network of this dtype."""
        (T, B), tiny = norms.shape, np.finfo(dtype).tiny
        ordered = np.sort(norms, axis=1)  # NaN last
        quantiles = B * ordered[:, [-(-percent * B // 100) - 1 for percent in PERCENTS]].T
        if ordered[:, 0].min() >= tiny and ordered[:, -1].max() < np.inf:  # the usual case takes no time
            return cls(quantiles, *np.zeros((3, T)))
        exceptions = norms == 0, (norms > 0) & (norms < tiny), ~np.isfinite(norms)
        return cls(quantiles, *(found.mean(axis=1) for found in exceptions))

    def of_steps(self, steps: slice) -> Self:
        """Return the spread of some of the time steps."""
        shares = (self.zero, self.underflow, self.not_finite)
        return type(self)(self.quantiles[:, steps], *(share[steps] for share in shares))

    def __repr__(self) -> str:
        T, median, zero = len(self.zero), self.quantiles[1, 0], self.zero[0]
        return f"<FlowSpread over {T} steps: median {median:.3g} at lag {T - 1}, 0 for {zero:.0%} of the samples>"


@dataclass(frozen=True)
class GradientFlow:
    """The size of the gradient at every time step of one backward pass, in float64.

    Exact zeros (from underflow or inactive relu units) stay 0, and infinity and NaN stay as they are.

    Attributes
    ----------
    d_a : array [T]
        Σ_b ‖dL/da[t]‖ over the samples b. If the loss is a mean over the batch, this is the mean of the samples'
        gradient norms, for any batch size.
    d_R, d_W : array [T]
        The Frobenius norm of the step's contribution to dL/dR and dL/dW. At t = 0 `d_R` is 0 because a[-1] = 0.
        NaN for a PyTorch or JAX model with a cell that memspan does not know: it cannot tell which parameters are
        R and W.
    spread : FlowSpread
        Quantiles of the norm of dL/da[t] over the samples, and the shares of samples with a gradient that is 0,
        underflows or is not finite.
    """

    d_a: PerStep
    d_R: PerStep
    d_W: PerStep
    spread: FlowSpread

    @classmethod
    @quiet
    def of(cls, gradients: Backward) -> Self:
        """Measure a backward pass.

        Parameters
        ----------
        gradients : Gradients or ForeignGradients
            What `network.backward` returned; `network.grads` keeps it. Changes that were made to the gradients of
            single weights since, such as a clip, are not in the flow.

        Raises
        ------
        InvalidArgument
            When it is something else, such as the `grads` of a network before its backward pass.
        """
        if not isinstance(gradients, Backward):
            checked_gradients(gradients)  # raises
        T = len(gradients.d_a)
        d_R, d_W = (norms_of(steps.reshape(T, -1)) for steps in (gradients.d_R, gradients.d_W))
        norms = norms_of(gradients.d_a)
        return cls(norms.sum(axis=1), d_R, d_W, FlowSpread.of(norms, gradients.d_a.dtype))

    @property
    def gain(self) -> Float[np.ndarray, "gaps"]:
        """The gain of each step back in time, `[T-1]`: see `gains`."""
        return gains(self.d_a)

    def __repr__(self) -> str:
        ends = f"‖dL/da‖ {self.d_a[-1]:.3g} at lag 0, {self.d_a[0]:.3g} at lag {len(self.d_a) - 1}"
        return f"<GradientFlow over {len(self.d_a)} steps: {ends}>"


@quiet
def gains(norms: Float[np.ndarray, "*maps time"]) -> Float[np.ndarray, "*maps time-1"]:
    """Return the gain of each step back in time, `r[t] = ‖dL/da[t-1]‖ / ‖dL/da[t]‖` for t = 1, ..., T-1.

    The product of all gains is the ratio of the ends. A gain of 1 keeps the gradient, a smaller one makes it
    vanish, and a larger one makes it explode (the regulariser of Pascanu et al. 2013, arXiv:1211.5063, equation 9,
    wants this ratio to be 1). At the last K steps the read-out adds to dL/da[t].

    Parameters
    ----------
    norms : array [..., T]
        Norms by time step, such as `GradientFlow.d_a`, or the rows of `Trial.flow_map`.

    Returns
    -------
    array [..., T-1]
        NaN where both norms are 0, infinite where only the later one is 0.
    """
    return norms[..., :-1] / norms[..., 1:]


def norms_of(values: Inexact[np.ndarray, "*rows width"]) -> Float[np.ndarray, "*rows"]:
    """‖·‖₂ over the last axis, in float64; `hypot` avoids squares, because that of 1e-170 would be 0."""
    return np.hypot.reduce(np.abs(values).astype(np.float64), axis=-1)


def summed(norms: Float[np.ndarray, "time batch"]) -> PerStep:
    """Σ_b of the samples' norms, one after the other, so that the bits depend on no vector width."""
    total: Array = np.add.accumulate(norms, axis=1)[:, -1]
    return total
