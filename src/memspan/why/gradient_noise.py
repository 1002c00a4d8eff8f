"""The noise of the batches: how large a loss it keeps up, and how it compares with the gradient.

The gradient of a batch of B sequences is G + ξ, with E ξ = 0 and E |ξ|² = tr C / B. C is the covariance of the
gradient of one sequence. Steps of η never let the weights rest, and so keep up a loss of about η tr C / 4B above
the least one. This does not depend on the curvature: along a direction of curvature λ the variance of the weights
is η c / 2Bλ (Mandt, Hoffman & Blei 2017, arXiv:1704.04289). In the least mean squares rule its share of the least
loss is called the *misadjustment* (Widrow & Hoff 1960). Here it is a share of the trivial risk, at the weights
after training.

Adam and RMSprop divide each step by √v, the root mean square of the gradient of a batch, so each weight has its η.
"""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from memspan.network import Model
from memspan.runtime.blas import one_blas_thread
from memspan.runtime.floats import quiet
from memspan.shapes import Flat
from memspan.study.configuration import Configuration
from memspan.tasks import Batch
from memspan.why.plateau import TINY
from memspan.why.predict import GRADIENT_DESCENT, descent_of

SINGLES = 128
"""The sequences whose gradients are taken one by one."""
AT_ONCE = 16
"""Of these, as many are in memory at once."""


@dataclass(frozen=True)
class GradientNoise:
    """The noise in the gradient of a batch of a configuration.

    Attributes
    ----------
    misadjustment : float
        The loss that the noise keeps up, as a share of the trivial risk.
    signal_to_noise : float
        B |G|² / tr C: the squared gradient, divided by that of the noise. Below 1 the steps are mostly noise.
    """

    misadjustment: float
    signal_to_noise: float

    @classmethod
    @quiet
    def of(cls, network: Model, configuration: Configuration, batch: Batch, trivial_risk: float) -> Self:
        """Measure the gradients of the first sequences of `batch`, one by one.

        Parameters
        ----------
        network : Network or another Model
        configuration : Configuration
            For its loss, optimiser, clip and batch size.
        batch : Batch
        trivial_risk : float
        """
        loss, rows = configuration.make_task().make_loss(), network.astype(np.float64)
        engine = rows.make_engine(loss)
        count = min(SINGLES, batch.x.shape[1])
        total, square = np.zeros((2, rows.layout.size))
        with one_blas_thread():
            for begin in range(0, count, AT_ONCE):
                singles = [
                    (batch.x[:, [k]], batch.y[..., [k], :]) for k in range(begin, min(begin + AT_ONCE, count))
                ]
                found = engine.differentiate(np.repeat(rows.parameters[np.newaxis], len(singles), axis=0), singles)
                total += found.gradients.sum(axis=0)
                square += (found.gradients**2).sum(axis=0)
        mean_square = (total**2 - square) / (count * (count - 1))  # of G, without bias
        noise = np.maximum(square / count - mean_square, 0) / configuration.batch
        rate = _rates(configuration, mean_square, noise)
        misadjustment = (rate * noise).sum() / (4 * trivial_risk)
        return cls(float(misadjustment), float(mean_square.sum() / max(noise.sum(), TINY)))


def _rates(configuration: Configuration, mean_square: Flat, noise: Flat) -> Any:
    """η of each weight: how far a gradient of 1 moves it in the long run."""
    square = np.maximum(mean_square, 0) + noise  # of a batch's gradient
    if configuration.optimizer not in GRADIENT_DESCENT:
        return configuration.learning_rate / np.sqrt(np.maximum(square, TINY))
    descent = descent_of(configuration)
    return descent.rate * min(1.0, descent.clip / max(np.sqrt(square.sum()), TINY))
