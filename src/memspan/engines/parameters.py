"""The weights of a network: named matrices in one flat vector."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Inexact

from memspan.cells import Cell
from memspan.cells.initializers import INITIALIZERS
from memspan.shapes import Flat


class Weights(NamedTuple):
    """The matrices `W [F, G·H]`, `R [H, G·H]`, `bs [G·H, 1]`, `V [H, O]`, `by [O, 1]` and `U [K, H]`.

    W and R have columns only for the gates that they feed. R has H rows for each state that it reads. `U` holds
    the per-unit weights. A matrix that the cell does not have is empty. The names are those of the assignment
    (Kratzert 2019).
    """

    W: Inexact[np.ndarray, "features input_gates"]
    R: Inexact[np.ndarray, "read recurrent"]
    bs: Inexact[np.ndarray, "columns 1"]
    V: Inexact[np.ndarray, "hidden outputs"]
    by: Inexact[np.ndarray, "outputs 1"]
    U: Inexact[np.ndarray, "unit_weights hidden"]


@dataclass(frozen=True)
class Layout:
    """The place of each matrix in the flat vector, in the order of `Weights`.

    With one vector, clipping, the finite check and an optimiser's step are single array operations for every cell.
    The matrices are views into it.
    """

    cell: Cell
    features: int
    hidden: int
    outputs: int

    @property
    def shapes(self) -> dict[str, tuple[int, int]]:
        """The shapes of the matrices that the cell has, by name."""
        return {name: shape for name, shape in self._shapes().items() if 0 not in shape}

    @property
    def size(self) -> int:
        """P, the number of weights."""
        return sum(rows * columns for rows, columns in self._shapes().values())

    def views(self, flat: Flat) -> Weights:
        """The matrices as views into `flat`; writing to a matrix writes to the vector."""
        views, begin = [], 0
        for rows, columns in self._shapes().values():
            end = begin + rows * columns
            views.append(flat[begin:end].reshape(rows, columns))
            begin = end
        return Weights(*views)

    def by_name(self, flat: Flat) -> dict[str, Inexact[np.ndarray, "_ _"]]:
        """The matrices that the cell has, by name, as views into `flat`."""
        views = self.views(flat)
        return {name: getattr(views, name) for name in self.shapes}

    def _shapes(self) -> dict[str, tuple[int, int]]:
        cell, H = self.cell, self.hidden
        return {
            "W": (self.features, len(cell.input_gates) * H),
            "R": (len(cell.reads) * H, len(cell.recurrent_gates) * H),
            "bs": (len(cell.gates) * H, 1),
            "V": (H, self.outputs),
            "by": (self.outputs, 1),
            "U": (len(cell.unit_weights), H),
        }


def initial_weights(
    layout: Layout, init: str, gain: float, rng: np.random.Generator, recurrent_gain: float = 1.0
) -> Flat:
    """Draw the weights of a cell from the initializer `init`, in float64.

    `gain` multiplies W, R and V, but R alone for the initializers of R (`orthogonal`, `identity`).
    `recurrent_gain` multiplies R alone, for every initializer.
    """
    rule, cell = INITIALIZERS[init], layout.cell
    other_gain = gain if rule.other is rule.recurrent else 1.0
    F, H, O = layout.features, layout.hidden, layout.outputs
    flat = np.zeros(layout.size)
    weights = layout.views(flat)
    for gate in split(weights.W, H):
        gate[:] = other_gain * rule.other(rng, F, H)
    for gate in split(weights.R, H):
        for state in range(len(cell.reads)):
            gate[state * H : (state + 1) * H] = recurrent_gain * gain * rule.recurrent(rng, H, H)
    weights.V[:] = other_gain * rule.other(rng, H, O)
    weights.bs[:, 0] = np.repeat([cell.bias.get(gate, 0.0) for gate in cell.gates], H)
    if cell.unit_init is not None:
        weights.U[:] = cell.unit_init(rng, H)
    return flat


def split(
    columns: Inexact[np.ndarray, "*rows columns"], hidden: int
) -> tuple[Inexact[np.ndarray, "*rows hidden"], ...]:
    """Split `columns [..., n·H]` by gate into n views `[..., H]`."""
    return tuple(columns[..., begin : begin + hidden] for begin in range(0, columns.shape[-1], hidden))
