"""Sequences whose end is random, as most of those of 1997 are."""

import numpy as np
from jaxtyping import Float

from memspan.losses import MSELoss
from memspan.tasks.base import Answer, Labels, PerSequence, Shape, Steps, Task, choices


class RandomEnd(Task):
    """Sequences that end somewhere from T to T + T/10, as in Hochreiter & Schmidhuber 1997, experiments 3 to 6.

    x is zero after the end, and the answer is read after each of the last K = T/10 + 1 steps. Of the labels
    `[K, B, O]` one of each sequence is a number, that of its last step. All others are NaN, and the loss leaves
    them out.
    """

    def make_loss(self) -> MSELoss:
        """The mean squared error, at the end of each sequence."""
        return MSELoss(masked=True)

    @staticmethod
    def steps_read(length: int) -> int:
        """K."""
        return length // 10 + 1

    @classmethod
    def shape_of(cls, length: int, features: int, outputs: int) -> Shape:
        """The shape at a length, up to the last possible end."""
        read = cls.steps_read(length)
        return Shape(length + read - 1, features, outputs, read)

    @classmethod
    def labels(
        cls, u: PerSequence, values: Float[np.ndarray, "batch outputs"], length: int
    ) -> tuple[Steps, Labels]:
        """Whether each step `[T, B]` is still part of its sequence, and the labels `[K, B, O]`.

        Parameters
        ----------
        u : array [B]
            Uniform numbers in [0, 1), which choose the ends.
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
        """The same answer wherever the sequence ends."""
        return np.tile(answer, (cls.steps_read(length), 1))
