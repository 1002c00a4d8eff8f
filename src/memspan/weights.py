"""The weights of a network: five matrices by the assignment's names, in one flat vector."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Inexact

from memspan.axes import Flat
from memspan.cells import Cell
from memspan.starts import STARTS


class Weights(NamedTuple):
    """`W [F, G·H]`, `R [H, G·H]`, `bs [G·H, 1]`, `V [H, O]`, `by [O, 1]`."""

    W: Inexact[np.ndarray, "features columns"]
    R: Inexact[np.ndarray, "hidden columns"]
    bs: Inexact[np.ndarray, "columns 1"]
    V: Inexact[np.ndarray, "hidden outputs"]
    by: Inexact[np.ndarray, "outputs 1"]


@dataclass(frozen=True)
class Layout:
    """Where each matrix lies in the flat vector, in the order of `Weights`.

    One vector makes clipping, the finite check and an optimiser's step single array operations, whatever the
    cell; the matrices are views into it.
    """

    features: int
    hidden: int
    gates: int
    outputs: int

    @property
    def shapes(self) -> dict[str, tuple[int, int]]:
        """The shape of each matrix, by name."""
        columns = self.gates * self.hidden
        return {
            "W": (self.features, columns),
            "R": (self.hidden, columns),
            "bs": (columns, 1),
            "V": (self.hidden, self.outputs),
            "by": (self.outputs, 1),
        }

    @property
    def size(self) -> int:
        """P, the number of weights."""
        return sum(rows * columns for rows, columns in self.shapes.values())

    def views(self, flat: Flat) -> Weights:
        """The five matrices inside `flat`; writing to one writes to the vector."""
        views, begin = [], 0
        for rows, columns in self.shapes.values():
            end = begin + rows * columns
            views.append(flat[begin:end].reshape(rows, columns))
            begin = end
        return Weights(*views)


def initial_weights(cell: Cell, layout: Layout, start: str, gain: float, rng: np.random.Generator) -> Flat:
    """Draw the weights of `cell` from the start of that name; float64.

    The gain multiplies what the start is about: R alone for `orthogonal` and `identity`, else W, R and V.
    """
    rule = STARTS[start]
    other_gain = gain if rule.other is rule.recurrent else 1.0
    F, H, G, O = layout.features, layout.hidden, layout.gates, layout.outputs
    flat = np.zeros(layout.size)
    weights = layout.views(flat)
    weights.W[:] = np.hstack([other_gain * rule.other(rng, F, H) for _ in range(G)])
    weights.R[:] = np.hstack([gain * rule.recurrent(rng, H, H) for _ in range(G)])
    weights.V[:] = other_gain * rule.other(rng, H, O)
    weights.bs[:, 0] = np.repeat([cell.bias.get(gate, 0.0) for gate in cell.gates], H)
    return flat
