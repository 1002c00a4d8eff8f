"""The square wave: repeat a pulse of five steps, some steps after its end."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from memspan.errors import whole_number
from memspan.losses import SigmoidCrossEntropy
from memspan.runtime.renamed import checked_keywords
from memspan.tasks.base import (
    Answer,
    Batch,
    Correctness,
    Draws,
    Labels,
    Sequences,
    Shape,
    Steps,
    Task,
    all_right,
    choices,
    parameter,
)
from memspan.tasks.copying import NEVER


@checked_keywords()
@dataclass(frozen=True)
class SquareWave(Task):
    """Repeat a square wave, T steps after its end.

    The input is 1 in d successive steps, the wave, and 0 in all others. The label is the same wave T + d steps
    later, so T zeros separate the two. The network answers after every step. Its output, after a logistic
    function, is the probability that the label is 1.

    The wave is always the same. Only its first step is random, uniform among 2d + 1 steps. A sequence has T + 4d
    steps, enough for both waves wherever the first begins. So there are 2d + 1 different sequences, and the
    network must measure a time, not remember a value.

    Without the input, the probability of a label of 1 rises from 0 to d / (2d + 1) and falls again: over 3d steps
    it is min(k, d, 3d + 1 - k) / (2d + 1), k = 1 ... 3d. The trivial risk is the entropy of these labels, averaged
    over all steps. The accuracy is the share of sequences that are answered correctly in every step. Separate
    steps would say little, because the answer 0 is correct in all but d of T + 4d. An answer that ignores the
    input is one pattern, so it is correct for at most one of the 2d + 1 sequences.

    The paper's text was not available in full. These parts come from its abstract and from public summaries of it:
    d = 5, the delay as the variable, the random first step, an answer after every step, the logistic output and
    the cross-entropy. Their example with a delay of 3 has 23 steps, and 3 zeros between the waves. Three parts are
    choices made here:

    - the number of steps, T + 4d, which gives 23 for the example;
    - the distribution of the first step, uniform over all places where both waves fit;
    - the criterion of success, a correct answer in every step.

    The paper trains on 1,024 sequences; here every batch is new, which hardly matters with so few different ones.

    Parameters
    ----------
    width : int
        The number of steps d of the wave; always 5 in the paper.
    """

    variant: str = "km2024"
    width: int = parameter(5, whole_number)

    family = "square-wave"
    variants = ("km2024",)
    least_length = 1
    source = "Kent & Murray 2024 (arXiv:2408.11946), delayed reconstruction of a square wave"
    rule = "a probability above one half for the right answer, in every step of the sequence"

    @property
    def sentence(self) -> str:
        """The question, in one sentence."""
        return f"Repeat a square wave of {self.width} steps, T steps after its end."

    @property
    def class_names(self) -> tuple[str, ...]:
        """The meanings of 0 and 1."""
        return ("low", "high")

    def shape(self, length: int) -> Shape:
        """One input and one output in each of T + 4d steps."""
        steps = length + 4 * self.width
        return Shape(steps, 1, 1, steps)

    def draws(self, length: int) -> int:
        """One random number: the first step of the wave."""
        return 1

    def make(self, u: Draws, length: int) -> Batch:
        """Make x and y from uniform random numbers."""
        first = choices(u[0], self._places)
        return Batch(self._wave(first, length), self._wave(first + self.width + length, length))

    def make_loss(self) -> SigmoidCrossEntropy:
        """Return the sigmoid cross-entropy."""
        return SigmoidCrossEntropy()

    def correct(self, y_hat: Labels, y: Labels) -> Correctness:
        """Return for every step whether the whole sequence is right. An answer of NaN is wrong."""
        right = all_right(((y_hat > 0) == (y > 0.5)) & ~np.isnan(y_hat), y)
        return np.broadcast_to(right.all(axis=0), right.shape)

    def relevant(self, x: Sequences) -> Steps:
        """Mark the steps of the wave."""
        return np.asarray(x[..., 0] == 1)

    def trivial_answer(self, length: int) -> Answer:
        """The probability of 1 in each step."""
        p = self._probabilities(length)
        with np.errstate(divide="ignore"):
            return np.maximum(np.log(p / (1 - p)), NEVER)[:, np.newaxis]

    def trivial_risk(self, length: int) -> float:
        """The entropy of a label whose probability of 1 is known, averaged over all steps."""
        p = self._probabilities(length)
        uncertain = p[p > 0]
        return float(-(uncertain * np.log(uncertain) + (1 - uncertain) * np.log1p(-uncertain)).sum() / len(p))

    def chance_answer(self, length: int) -> Answer:
        """A wave at one of the possible places; all are equally good."""
        return 2 * self._wave(np.array([self.width + length]), length)[:, 0] - 1

    def chance_accuracy(self, length: int) -> float:
        """The probability of guessing the first step of the wave."""
        return 1 / self._places

    @property
    def _places(self) -> int:
        """The number of steps at which the wave may begin."""
        return 2 * self.width + 1

    def _wave(self, first: Int[np.ndarray, "batch"], length: int) -> Sequences:
        """Return 1 in d steps from `first` on, 0 elsewhere: `[T + 4d, B, 1]`."""
        steps = np.arange(self.shape(length).steps)[:, np.newaxis]
        return ((first <= steps) & (steps < first + self.width)).astype(float)[..., np.newaxis]

    def _probabilities(self, length: int) -> Float[np.ndarray, "time"]:
        """Return the probability that the label is 1, for each step."""
        k = np.arange(self.shape(length).steps) - length - self.width + 1
        return np.minimum(k, 3 * self.width + 1 - k).clip(0, self.width) / self._places
