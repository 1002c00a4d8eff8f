"""Selective copying: repeat symbols that are scattered among noise."""

from dataclasses import dataclass

import numpy as np

from memspan.errors import whole_number
from memspan.runtime.renamed import checked_keywords
from memspan.tasks.base import (
    Answer,
    Batch,
    Draws,
    OneOfClasses,
    Sequences,
    Shape,
    Steps,
    choices,
    one_hot,
    parameter,
)


@checked_keywords()
@dataclass(frozen=True)
class SelectiveCopying(OneOfClasses):
    """Repeat `items` symbols, which are at random places among the first T steps, in their order.

    All other of these steps hold a noise token. In the `items` steps that follow, the input is a mark, and the
    network answers with the symbols. Counting steps, which is enough for `Copying`, does not help: the network
    must select the symbols. Guessing has the risk log(symbols).

    The paper's vocabulary has 16 tokens. It does not say whether these include the noise token and the mark; here
    they do not.

    Parameters
    ----------
    items : int
        The number of symbols to repeat; 16 in the paper, where T is 4096.
    symbols : int
        The number of different symbols.
    """

    items: int = parameter(16, whole_number)
    symbols: int = parameter(16, whole_number, least=2)

    family = "selective-copying"
    source = "Gu & Dao 2023 (arXiv:2312.00752), after the denoising task of Jing et al. 2019 (arXiv:1706.02761)"

    @property
    def least_length(self) -> int:  # type: ignore[override]
        """Each symbol needs a step."""
        return self.items

    @property
    def sentence(self) -> str:
        """The question, in one sentence."""
        return f"T steps of noise contain {self.items} symbols of {self.symbols} kinds: repeat them in order."

    @property
    def input_names(self) -> tuple[str, ...]:
        """The symbols, noise and the mark."""
        return (*self.class_names, "noise", "mark")

    @property
    def class_names(self) -> tuple[str, ...]:
        """The symbols."""
        return tuple(str(1 + k) for k in range(self.symbols))

    def shape(self, length: int) -> Shape:
        """One input for each symbol, for noise and for the mark; one output for each symbol."""
        return Shape(length + self.items, self.symbols + 2, self.symbols, self.items)

    def draws(self, length: int) -> int:
        """One random number per symbol, and one per step: the steps with the smallest hold the symbols."""
        return self.items + length

    def make(self, u: Draws, length: int) -> Batch:
        """Make x and y from uniform random numbers."""
        symbols = choices(u[: self.items], self.symbols)
        places = np.sort(np.argsort(u[self.items :], axis=0, kind="stable")[: self.items], axis=0)
        seen = np.full((length + self.items, u.shape[1]), self.symbols)
        np.put_along_axis(seen, places, symbols, axis=0)
        seen[length:] = self.symbols + 1
        return Batch(one_hot(seen, self.symbols + 2), one_hot(symbols, self.symbols))

    def relevant(self, x: Sequences) -> Steps:
        """Mark the steps of the symbols."""
        return np.asarray(x[..., : self.symbols].any(axis=-1))

    def trivial_answer(self, length: int) -> Answer:
        """The same probability for every symbol."""
        return np.zeros((self.items, self.symbols))

    def trivial_risk(self, length: int) -> float:
        """The cross-entropy of guessing."""
        return float(np.log(self.symbols))

    def chance_accuracy(self, length: int) -> float:
        """The probability of guessing a symbol."""
        return 1 / self.symbols
