"""Latching, the two-sequence problem: the first few numbers tell the class, and noise follows."""

from dataclasses import dataclass

import numpy as np

from memspan.errors import real_number, whole_number
from memspan.losses import MSELoss
from memspan.shapes import Array
from memspan.tasks.base import Batch, RandomEnd, Shape, Task, choices, normals, within

NOISE, TARGET_NOISE = 0.2, 0.1
"""Variances of the noise on the inputs and on the labels."""


@dataclass(frozen=True)
class Latch(Task):
    """Say which of two classes the beginning was of.

    The first `informative` numbers are 1 or -1, the class; all others are normal, with mean 0 and variance 0.2.
    A sequence ends somewhere from T to T + T/10. The loss is the mean squared error.

    - `3a`: labels 1 and 0.
    - `3b`: the same noise on the informative numbers too. Their mean has the wrong sign with probability
      Φ(-√(informative / 0.2)): 1.3 % for one, 0.005 % for three. No answer can be better than that.
    - `3c`: labels 0.2 for 1 and 0.8 for -1, with noise of variance 0.1 on the labels themselves. The best answer
      is the label without its noise, by which answers are judged, and its risk is not 0 but 0.1.

    Answering with the mean, 0.5, has a risk of 1/4, or 0.09 + 0.1 for `3c`.

    Parameters
    ----------
    informative : int
        N of the paper; 1 or 3 there.
    tolerance : float, optional
        An answer is correct within this distance of the label: 0.2, or 0.1 for `3c`, if not given.
    """

    variant: str = "3a"
    informative: int = 3
    tolerance: float | None = None

    family = "latch"
    variants = ("3a", "3b", "3c")

    def __post_init__(self) -> None:
        super().__post_init__()
        self._settle("informative", whole_number)
        if self.tolerance is None:
            object.__setattr__(self, "tolerance", 0.1 if self.variant == "3c" else 0.2)
        high, low = self.levels
        self._settle("tolerance", real_number, above=0, below=abs(high - low) / 2)

    @property
    def levels(self) -> tuple[float, float]:
        """The labels of 1 and of -1."""
        return (0.2, 0.8) if self.variant == "3c" else (1.0, 0.0)

    @property
    def least_risk(self) -> float:  # type: ignore[override]
        """That of the labels' noise."""
        return TARGET_NOISE if self.variant == "3c" else 0.0

    @property
    def least_length(self) -> int:  # type: ignore[override]
        """At least one number of noise."""
        return self.informative + 1

    @property
    def sentence(self) -> str:
        """What is asked."""
        told = {"3a": "1 or -1", "3b": "1 or -1 and noise", "3c": "1 or -1, labels noisy"}[self.variant]
        begin = f"The first of T numbers is {told}"
        if self.informative > 1:
            begin = f"The first {self.informative} of T numbers are all {told}"
        return f"{begin}; noise follows: answer which it was."

    @property
    def source(self) -> str:
        """The paper, and where it took the task from."""
        origin = "after Bengio, Simard & Frasconi 1994"
        return (
            f"Hochreiter & Schmidhuber 1997, experiment {self.variant} (doi:10.1162/neco.1997.9.8.1735), {origin}"
        )

    @property
    def rule(self) -> str:
        """When an answer is correct."""
        return f"within {self.tolerance:g} of the label" + (" without its noise" if self.variant == "3c" else "")

    def shape(self, length: int) -> Shape:
        """One number in, one out."""
        read = RandomEnd.steps_read(length)
        return Shape(length + read - 1, 1, 1, read)

    def draws(self, length: int) -> int:
        """One for each number of noise, on inputs and label, to an even number; a class and an end."""
        noise = self.shape(length).steps + 1
        return noise + noise % 2 + 2

    def make(self, u: Array, length: int) -> Batch:
        """x and y, of uniform numbers."""
        *_, kind, end = u
        of_minus = choices(kind, 2)
        noise = normals(u[:-2])
        x, label_noise = np.sqrt(NOISE) * noise[: self.shape(length).steps], np.sqrt(TARGET_NOISE) * noise[-1]
        x[: self.informative] = (x[: self.informative] if self.variant == "3b" else 0) + 1 - 2 * of_minus
        values = np.array(self.levels)[of_minus] + (label_noise if self.variant == "3c" else 0)
        inside, y = RandomEnd.labels(end, values[:, np.newaxis], length)
        return Batch((x * inside)[..., np.newaxis], y)

    def make_loss(self) -> MSELoss:
        """The mean squared error."""
        return MSELoss(masked=True)

    def correct(self, y_hat: Array, y: Array) -> Array:
        """Within the tolerance."""
        assert self.tolerance is not None
        return within(self.tolerance, y_hat, y)

    def noise_free(self, x: Array, y: Array) -> Array:
        """The labels without their noise."""
        if self.variant != "3c":
            return y
        levels = np.where(x[0, :, :1] > 0, *self.levels).astype(y.dtype)
        return np.where(np.isnan(y), y, levels)

    def relevant(self, x: Array) -> Array:
        """The beginning."""
        return np.tile(np.arange(len(x))[:, np.newaxis] < self.informative, x.shape[1])

    def trivial_answer(self, length: int) -> Array:
        """The mean."""
        return RandomEnd.at_every_end(np.full(1, 0.5), length)

    def trivial_risk(self, length: int) -> float:
        """The variance of the labels."""
        high, low = self.levels
        return ((high - low) / 2) ** 2 + self.least_risk

    def chance_answer(self, length: int) -> Array:
        """One of the two."""
        return RandomEnd.at_every_end(np.full(1, self.levels[0]), length)

    def chance_accuracy(self, length: int) -> float:
        """A guess."""
        return 0.5
