"""The copying problem: read some symbols, wait for T steps, and repeat them in order."""

from dataclasses import dataclass

import numpy as np

from memspan.errors import whole_number
from memspan.runtime.renamed import checked_keywords
from memspan.tasks.base import (
    Answer,
    Batch,
    Draws,
    Labels,
    Mask,
    OneOfClasses,
    Sequences,
    Shape,
    Steps,
    choices,
    one_hot,
    parameter,
)

NEVER = -1e3
"""The output for a class that is never the label; its softmax probability is 0."""

SOURCES = {
    "tcn": "Bai, Kolter & Koltun 2018 (arXiv:1803.01271), as in the authors' code",
    "urnn": "Arjovsky, Shah & Bengio 2016 (arXiv:1511.06464), as in the authors' code",
}


@checked_keywords()
@dataclass(frozen=True)
class Copying(OneOfClasses):
    """Repeat `items` symbols after T steps.

    A sequence has T + 2·items steps. The input starts with the symbols and T - 1 blanks. The rest differs:

    - `urnn`: one delimiter, then blanks. The input is one-hot, with one input for each symbol, blank and
      delimiter.
    - `tcn`: delimiters only. There is one input, the number of the symbol: 0 for blank, symbols + 1 for the
      delimiter.

    The network answers at every step: blank at first, and the symbols in the last `items` steps. The best answer
    that ignores the input says blank where it is right and guesses the symbols, with risk
    items · log(symbols) / (T + 2·items). Only the last `items` steps count in the accuracy.

    Parameters
    ----------
    items : int
        The number of symbols to repeat; 10 in both papers.
    symbols : int
        The number of different symbols; 8 in both papers.
    """

    variant: str = "urnn"
    items: int = parameter(10, whole_number)
    symbols: int = parameter(8, whole_number, least=2)

    family = "copying"
    variants = ("tcn", "urnn")
    least_length = 1

    @property
    def sentence(self) -> str:
        """The question, in one sentence."""
        return (
            f"Read {self.items} symbols of {self.symbols} kinds, wait for T steps, "
            f"and repeat them in order; until then, answer blank."
        )

    @property
    def source(self) -> str:
        """The paper of the variant."""
        return SOURCES[self.variant]

    @property
    def rule(self) -> str:
        """The condition under which an answer is correct."""
        return f"{super().rule}, in the last {self.items} steps"

    @property
    def input_names(self) -> tuple[str, ...]:
        """Blank, the symbols and the delimiter."""
        return (*self._classes, "delimiter") if self.variant == "urnn" else ()

    @property
    def class_names(self) -> tuple[str, ...]:
        """Blank and the symbols; in `tcn` also the delimiter, which is never the label."""
        return self._classes if self.variant == "urnn" else (*self._classes, "delimiter")

    @property
    def _classes(self) -> tuple[str, ...]:
        return ("blank", *(str(1 + k) for k in range(self.symbols)))

    def shape(self, length: int) -> Shape:
        """T + 2·items steps, with an answer after each."""
        steps = length + 2 * self.items
        one_hot_inputs = self.variant == "urnn"
        features, outputs = (self.symbols + 2, self.symbols + 1) if one_hot_inputs else (1, self.symbols + 2)
        return Shape(steps, features, outputs, steps)

    def draws(self, length: int) -> int:
        """One random number per symbol."""
        return self.items

    def make(self, u: Draws, length: int) -> Batch:
        """Make x and y from uniform random numbers."""
        steps, features, outputs, _ = self.shape(length)
        symbols, recall = 1 + choices(u, self.symbols), length + self.items
        seen, wanted = np.zeros((2, steps, u.shape[1]), np.intp)
        seen[: self.items] = wanted[recall:] = symbols
        seen[recall - 1 : steps if self.variant == "tcn" else recall] = self.symbols + 1
        x = one_hot(seen, features) if self.variant == "urnn" else seen[..., np.newaxis].astype(float)
        return Batch(x, one_hot(wanted, outputs))

    def mask(self, y: Labels) -> Mask:
        """Mark the answers whose label is not blank."""
        return np.asarray(y[..., 0] == 0)

    def relevant(self, x: Sequences) -> Steps:
        """Mark the steps of the symbols."""
        return np.tile(np.arange(len(x))[:, np.newaxis] < self.items, x.shape[1])

    def trivial_answer(self, length: int) -> Answer:
        """Blank at first, then all symbols with the same probability."""
        steps, _, outputs, _ = self.shape(length)
        answer = np.full((steps, outputs), NEVER)
        answer[: length + self.items, 0] = 0
        answer[length + self.items :, 1 : self.symbols + 1] = 0
        return answer

    def trivial_risk(self, length: int) -> float:
        """log(symbols) for each guessed symbol, averaged over all steps."""
        return float(self.items * np.log(self.symbols) / (length + 2 * self.items))

    def chance_accuracy(self, length: int) -> float:
        """The probability of guessing a symbol."""
        return 1 / self.symbols
