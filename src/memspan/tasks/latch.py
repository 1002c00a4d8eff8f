"""Latching, or the two-sequence problem: the first few numbers show the class, and noise follows."""

from dataclasses import dataclass, field

import numpy as np

from memspan.errors import real_number, whole_number
from memspan.runtime.renamed import checked_keywords
from memspan.tasks.base import (
    Answer,
    Batch,
    Draws,
    Inputs,
    Labels,
    Sequences,
    Shape,
    Steps,
    WithinTolerance,
    choices,
    normals,
    parameter,
)
from memspan.tasks.random_end import RandomEnd

NOISE, TARGET_NOISE = 0.2, 0.1
"""The variances of the noise on the inputs and on the labels."""


@checked_keywords()
@dataclass(frozen=True)
class Latch(RandomEnd, WithinTolerance):
    """Report which of two classes the beginning of a sequence belongs to.

    The first `informative` numbers are all 1 or all -1, which is the class. All others are normal, with mean 0 and
    variance 0.2. A sequence ends at a random step from T to T + T/10. The loss is the mean squared error.

    - `3a`: the labels are 1 for the class 1, and 0 for the class -1.
    - `3b`: the informative numbers have the same noise as the others. Their mean has the wrong sign with
      probability Φ(-√(informative / 0.2)): 1.3 % for one number, 0.005 % for three. No answer can be more accurate
      than that.
    - `3c`: the labels are 0.2 for the class 1 and 0.8 for the class -1, plus noise of variance 0.1. The best
      answer is the label without its noise, which decides whether an answer is correct. Its risk is 0.1.

    Answering with the mean of the labels, 0.5, has a risk of 1/4, or 0.09 + 0.1 for `3c`.

    Parameters
    ----------
    informative : int
        The number of informative inputs, N in the paper; 1 or 3 there.
    tolerance : float, optional
        An answer is correct if it lies within this distance of the label. If None, 0.2, or 0.1 for `3c`.
    """

    variant: str = "3a"
    informative: int = parameter(3, whole_number)
    tolerance: float = field(default=None, metadata={"optional": True})  # type: ignore[assignment]

    family = "latch"
    variants = ("3a", "3b", "3c")

    def __post_init__(self) -> None:
        super().__post_init__()
        tolerance = self.tolerance
        if tolerance is None:
            tolerance = 0.1 if self.variant == "3c" else 0.2
        high, low = self.levels
        checked = real_number("tolerance", tolerance, above=0, below=abs(high - low) / 2)
        object.__setattr__(self, "tolerance", checked)

    @property
    def levels(self) -> tuple[float, float]:
        """The labels of the classes 1 and -1."""
        return (0.2, 0.8) if self.variant == "3c" else (1.0, 0.0)

    @property
    def least_risk(self) -> float:  # type: ignore[override]
        """The variance of the noise on the labels."""
        return TARGET_NOISE if self.variant == "3c" else 0.0

    @property
    def least_length(self) -> int:  # type: ignore[override]
        """The informative numbers and at least one other."""
        return self.informative + 1

    @property
    def sentence(self) -> str:
        """The question, in one sentence."""
        begin = "The first of T numbers is 1 or -1"
        if self.informative > 1:
            begin = f"The first {self.informative} of T numbers are all 1 or all -1"
        begin += {"3a": "", "3b": ", plus noise", "3c": " (the labels are noisy)"}[self.variant]
        return f"{begin}; all others are noise: report the sign."

    @property
    def source(self) -> str:
        """The paper, and the origin of its task."""
        origin = "after Bengio, Simard & Frasconi 1994"
        return (
            f"Hochreiter & Schmidhuber 1997, experiment {self.variant} (doi:10.1162/neco.1997.9.8.1735), {origin}"
        )

    @property
    def rule(self) -> str:
        """The condition under which an answer is correct."""
        label = "the noise-free label" if self.variant == "3c" else "the label"
        return f"within {self.tolerance:g} of {label}"

    def shape(self, length: int) -> Shape:
        """One input and one output."""
        return self.shape_of(length, 1, 1)

    def draws(self, length: int) -> int:
        """One for each normal number, rounded up to an even count, and two for the class and the end."""
        noise = self.shape(length).steps + 1
        return noise + noise % 2 + 2

    def make(self, u: Draws, length: int) -> Batch:
        """Make x and y from uniform random numbers."""
        *_, kind, end = u
        of_minus = choices(kind, 2)
        noise = normals(u[:-2])
        x, label_noise = np.sqrt(NOISE) * noise[: self.shape(length).steps], np.sqrt(TARGET_NOISE) * noise[-1]
        x[: self.informative] = (x[: self.informative] if self.variant == "3b" else 0) + 1 - 2 * of_minus
        values = np.array(self.levels)[of_minus] + (label_noise if self.variant == "3c" else 0)
        inside, y = self.labels(end, values[:, np.newaxis], length)
        return Batch((x * inside)[..., np.newaxis], y)

    def noise_free(self, x: Inputs, y: Labels) -> Labels:
        """Return the labels without their noise."""
        if self.variant != "3c":
            return y
        levels = np.where(x[0, ..., :1] > 0, *self.levels).astype(y.dtype)
        return np.where(np.isnan(y), y, levels)

    def relevant(self, x: Sequences) -> Steps:
        """Mark the informative numbers."""
        return np.tile(np.arange(len(x))[:, np.newaxis] < self.informative, x.shape[1])

    def trivial_answer(self, length: int) -> Answer:
        """The mean of the labels, 0.5."""
        return self.at_every_end(np.full(1, 0.5), length)

    def trivial_risk(self, length: int) -> float:
        """The variance of the labels."""
        high, low = self.levels
        return ((high - low) / 2) ** 2 + self.least_risk

    def chance_answer(self, length: int) -> Answer:
        """The label of the class 1; both classes are equally likely."""
        return self.at_every_end(np.full(1, self.levels[0]), length)

    def chance_accuracy(self, length: int) -> float:
        """The probability of guessing the class."""
        return 0.5
