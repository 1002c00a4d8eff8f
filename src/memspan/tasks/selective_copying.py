"""Selective copying: repeat the symbols that were scattered among noise."""

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
    """Repeat `items` symbols that stood anywhere in the first T steps, in their order.

    All other steps hold a noise token, and the symbols are asked for in the `items` steps after the T, marked in
    the input by a token of their own. Other than in `Copying`, a network cannot count steps: it must choose what
    to keep. Guessing has the risk log(symbols).

    In the paper the vocabulary has 16 tokens; whether noise and mark are among them it does not say. Here they are
    not.

    Parameters
    ----------
    items : int
        How many symbols there are; 16 in the paper, whose T is 4096.
    symbols : int
        How many to choose from.
    """

    items: int = parameter(16, whole_number)
    symbols: int = parameter(16, whole_number, least=2)

    family = "selective-copying"
    source = "Gu & Dao 2023 (arXiv:2312.00752), after the denoising task of Jing et al. 2019 (arXiv:1706.02761)"

    @property
    def least_length(self) -> int:  # type: ignore[override]
        """Room for every symbol."""
        return self.items

    @property
    def sentence(self) -> str:
        """What is asked."""
        return f"In T steps of noise there are {self.items} symbols of {self.symbols} kinds: repeat them in order."

    @property
    def input_names(self) -> tuple[str, ...]:
        """Symbols, noise, mark."""
        return (*self.class_names, "noise", "mark")

    @property
    def class_names(self) -> tuple[str, ...]:
        """Symbols."""
        return tuple(str(1 + k) for k in range(self.symbols))

    def shape(self, length: int) -> Shape:
        """One input for each symbol, one for noise, one for the mark."""
        return Shape(length + self.items, self.symbols + 2, self.symbols, self.items)

    def draws(self, length: int) -> int:
        """One a symbol, and one a step: the steps with the smallest hold the symbols."""
        return self.items + length

    def make(self, u: Draws, length: int) -> Batch:
        """x and y, of uniform numbers."""
        symbols = choices(u[: self.items], self.symbols)
        places = np.sort(np.argsort(u[self.items :], axis=0, kind="stable")[: self.items], axis=0)
        seen = np.full((length + self.items, u.shape[1]), self.symbols)
        np.put_along_axis(seen, places, symbols, axis=0)
        seen[length:] = self.symbols + 1
        return Batch(one_hot(seen, self.symbols + 2), one_hot(symbols, self.symbols))

    def relevant(self, x: Sequences) -> Steps:
        """The symbols."""
        return np.asarray(x[..., : self.symbols].any(axis=-1))

    def trivial_answer(self, length: int) -> Answer:
        """Any symbol."""
        return np.zeros((self.items, self.symbols))

    def trivial_risk(self, length: int) -> float:
        """A guess."""
        return float(np.log(self.symbols))

    def chance_accuracy(self, length: int) -> float:
        """A guess."""
        return 1 / self.symbols
