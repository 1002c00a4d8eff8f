"""Twelve wrong backward passes, to measure what a gradient check can detect.

Each contains one mistake that people make when they write back-propagation through time by hand; the rest of the
pass is correct. `tests/gradcheck/test_mistakes.py` requires that `gradient_check` rejects and locates every
mistake. `benchmarks/gradient_checkers.py` runs other checkers on the same mistakes.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from memspan.engines.parameters import split
from memspan.engines.readable import Gradients
from memspan.losses import MSELoss
from memspan.network import Network
from memspan.shapes import Array, Outputs


@dataclass(frozen=True)
class Mistake:
    """One planted mistake.

    Attributes
    ----------
    name : str
        The name that `MistakenNetwork` takes.
    sentence : str
        A description of the mistake.
    weights : tuple of str
        The weights whose gradient the mistake spoils; a check must report exactly these.
    """

    name: str
    sentence: str
    weights: tuple[str, ...]


@dataclass(frozen=True)
class ModelMistake:
    """One mistake planted in a PyTorch or JAX model (`torch/mistakes.py`, `jax/mistakes.py`).

    Attributes
    ----------
    factory : callable
        Makes the model.
    contract : str
        The contract that must be broken first.
    says : str
        What the message must contain.
    """

    factory: Callable[..., Any]
    contract: str
    says: str

    @property
    def sentence(self) -> str:
        """A description of the mistake."""
        return str(self.factory.__doc__)


_RECURRENT = ("W", "R", "bs")
_ALL = (*_RECURRENT, "V", "by")

MISTAKES: dict[str, Mistake] = {
    mistake.name: mistake
    for mistake in (
        Mistake("last-step-dropped", "the last time step contributes nothing", _RECURRENT),
        Mistake("truncated", "the loop stops half way, where the gradient is below 1e-8", _RECURRENT),
        Mistake("not-transposed", "dL/da[t-1] uses R where it needs Rᵀ", _RECURRENT),
        Mistake("a-for-previous-a", "dL/dR[t] uses a[t] where it needs a[t-1]", ("R",)),
        Mistake("derivative-of-previous-step", "dL/ds[t] uses the cell's derivatives of step t-1", _RECURRENT),
        Mistake("bias-of-one-sample", "dL/dbs is not summed over the batch", ("bs",)),
        Mistake("batch-mean-twice", "gradients are divided by the batch size, as the loss already did", _ALL),
        Mistake("constant-batch-size", "the loss's gradient is divided by a constant batch size", ("y_hat",)),
        Mistake("gate-sign", "one gate's gradient has the wrong sign", _RECURRENT),
        Mistake("clip-inside", "dL/ds[t] is clipped to ±1 inside the loop", _RECURRENT),
        Mistake("aliased-buffer", "dL/dR is returned in a buffer that the next call overwrites", ("R",)),
        Mistake("float32-sum", "dL/dR passes through a float32 accumulator", ("R",)),
    )
}
"""Every mistake by name."""


class MistakenNetwork(Network):
    """A network whose `backward` makes the given mistake; its `forward` is correct.

    Parameters
    ----------
    mistake : str
        A name in `MISTAKES`.
    *args, **kwargs
        As for `Network`.
    """

    def __init__(self, mistake: str, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.mistake = MISTAKES[mistake].name
        self._buffer = np.empty(0, self.dtype)

    @classmethod
    def like(cls, network: Network, mistake: str) -> Self:
        """Return a copy of `network` that makes the mistake."""
        sizes = network.input_size, network.hidden_size, network.output_size
        mistaken = cls(mistake, network.cell, *sizes, dtype=network.dtype, rng=0)
        mistaken.parameters[:] = network.parameters
        return mistaken

    def backward(self, d_loss: Array) -> Gradients:  # type: ignore[override]  # the check needs no more
        """`Network.backward` with the mistake."""
        made = self.mistake
        right = super().backpropagate(d_loss)
        trace, d_y_hat = right.trace, right.d_y_hat[-1]
        d_s = self._steps_back(d_y_hat)
        previous = trace.a if made == "a-for-previous-a" else trace.read
        d_bs = d_s[:, 0] if made == "bias-of-one-sample" else d_s.sum(axis=1)
        gradients = {
            "d_V": trace.a[-1].T @ d_y_hat,
            "d_W": trace.x.transpose(0, 2, 1) @ d_s,
            "d_R": previous.transpose(0, 2, 1) @ d_s,
            "d_bs": d_bs[:, :, np.newaxis].copy(),
            "d_by": d_y_hat.sum(axis=0)[:, np.newaxis],
        }
        if made == "batch-mean-twice":
            gradients = {name: gradient / len(d_y_hat) for name, gradient in gradients.items()}
        if made == "float32-sum":
            gradients["d_R"] = gradients["d_R"].astype(np.float32).astype(self.dtype)
        if made == "aliased-buffer":
            if self._buffer.shape != gradients["d_R"].shape:
                self._buffer = np.empty_like(gradients["d_R"])
            self._buffer[:] = gradients["d_R"]
            gradients["d_R"] = self._buffer
        right.update(gradients)
        return right

    def astype(self, dtype: Any) -> Self:
        """`Network.astype`; the copy gets a separate buffer."""
        twin = super().astype(dtype)
        twin._buffer = copy.copy(self._buffer)
        return twin

    def _steps_back(self, d_y_hat: Outputs) -> Array:
        """`memspan.engines.readable.backpropagate`, rewritten with the mistakes."""
        assert self.trace is not None
        made, trace, weights, H = self.mistake, self.trace, self.weights, self.hidden_size
        T, B, _ = trace.a.shape
        d_s = np.zeros((T, B, weights.R.shape[1]), self.dtype)
        d_state: tuple[Any, ...] = (d_y_hat @ weights.V.T, *np.zeros((len(self.cell.states) - 1, B, H)))
        for t in reversed(range(T // 2 if made == "truncated" else 0, T)):
            step = max(t - 1, 0) if made == "derivative-of-previous-step" else t
            previous, state = tuple(trace.states[:, t]), tuple(trace.states[:, t + 1])
            residuals = tuple(trace.residuals[:, step])
            if made == "derivative-of-previous-step" and not residuals:
                state = tuple(trace.states[:, step + 1])
            d_gates, d_previous, _ = self.cell.backward(d_state, residuals, previous, state, ())
            if made == "gate-sign":
                # The second gate, which is the LSTM's forget gate; the only gate if there is one.
                wrong = min(1, len(d_gates) - 1)
                d_gates = tuple(-d if k == wrong else d for k, d in enumerate(d_gates))
            if made == "clip-inside":
                d_gates = tuple(np.clip(d, -1, 1) for d in d_gates)
            d_s[t] = np.concatenate(d_gates, axis=1)
            R = weights.R
            if made == "not-transposed":
                d_a = sum(d @ block for d, block in zip(split(d_s[t], H), split(R, H), strict=True))
            else:
                d_a = d_s[t] @ R.T
            d_state = (d_previous[0] + d_a, *d_previous[1:])
        if made == "last-step-dropped":
            d_s[-1] = 0
        return d_s


class ConstantBatchLoss(MSELoss):
    """The mean squared error with the mistake `constant-batch-size` in its derivative.

    Parameters
    ----------
    batch : int
        The constant that takes the place of the batch size.
    """

    def __init__(self, batch: int) -> None:
        super().__init__()
        self.batch = batch

    def backward(self) -> Outputs:
        """Return 2 (ŷ - y) divided by the constant."""
        right = super().backward()
        return right * (len(right) / self.batch)
