"""Sequences with a random end, as in most experiments of Hochreiter & Schmidhuber 1997."""

import numpy as np
from jaxtyping import Float

from memspan.losses import MSELoss
from memspan.tasks.base import Answer, Labels, PerSequence, Shape, Steps, Task, choices


class RandomEnd(Task):
    """Sequences that end at a random step from T to T + T/10 (Hochreiter & Schmidhuber 1997, experiments 3 to 6).

    x is zero after the end, and the network answers after each of the last K = T/10 + 1 steps. Among the labels
    `[K, B, O]`, each sequence has only the one at its last step. All others are NaN, and the masked loss leaves
    them out.
    """

    def make_loss(self) -> MSELoss:
        """Return the mean squared error over the labels at the ends."""
        return MSELoss(masked=True)

    @staticmethod
    def steps_read(length: int) -> int:
        """Return K."""
        return length // 10 + 1

    @classmethod
    def shape_of(cls, length: int, features: int, outputs: int) -> Shape:
        """Return the sizes at a length, up to the last possible end."""
        read = cls.steps_read(length)
        return Shape(length + read - 1, features, outputs, read)

    @classmethod
    def labels(
        cls, u: PerSequence, values: Float[np.ndarray, "batch outputs"], length: int
    ) -> tuple[Steps, Labels]:
        """Return whether each step `[steps, B]` is part of its sequence, and the labels `[K, B, O]`.

        Parameters
        ----------
        u : array [B]
            Uniform random numbers in [0, 1), which determine the ends.
        values : array [B, O]
            The label of each sequence.
        length : int
            T.
        """
        K = cls.steps_read(length)
        beyond = choices(u, K)
        y = np.full((K, *values.shape), np.nan)
        y[beyond, np.arange(len(beyond))] = values
        return np.arange(length + K - 1)[:, np.newaxis] < length + beyond, y

    @classmethod
    def at_every_end(cls, answer: Float[np.ndarray, "outputs"], length: int) -> Answer:
        """Repeat an answer for every possible end of a sequence."""
        return np.tile(answer, (cls.steps_read(length), 1))
