"""Write `docs/cells.md` from `memspan.CELLS`: `python docs/make_cells.py`. A test compares the two."""

from collections.abc import Iterator
from pathlib import Path

from memspan import CELLS
from memspan.engines.parameters import Layout

PAGE = Path(__file__).with_name("cells.md")
FEATURES, HIDDEN, OUTPUTS = 1, 32, 1

INTRODUCTION = f"""\
# The cells

*Written by `docs/make_cells.py` from `memspan.CELLS` and the docstrings of `memspan.cells`.*

Every cell is the linear map `s[t] = Wᵀ x[t] + Rᵀ a[t-1] + b_s` and then something pointwise, one unit at a time.
The answer is read out of the first state, `a`. W, R and b_s feed every gate unless the table says otherwise, in
parentheses. "Own" are weights that each unit has for itself. The weights are counted at F = {FEATURES}, \
H = {HIDDEN} and O = {OUTPUTS}.
`init` is the initializer of a cell unless another is chosen (`memspan.INITIALIZERS`).
"""

MISFITS = """\
## Where the one linear map does not fit

- **`gru-before` and `mgu`** scale a[t-1] by a gate *before* the product with R, and the gate needs a product with
  R itself: a step has two linear maps, one after the other (`memspan.cells.base.Reset`). `gru` scales the product
  instead, so that one map does; that is a different cell as soon as there are two units, and the one that the
  libraries compute.
- **`cornn`** feeds back its position and its velocity: R reads two states and has 2H rows.
- **`mingru` and `lru`** feed nothing back through a matrix: there is no R, and with initializers that are about R
  (`orthogonal`, `identity`) W and V start as with `uniform`.
- **`lru`** has a complex state, which is two real states here; its way through time is in its unit weights.
- **`slstm`** has a block-diagonal R in its paper, a block for each head. Here R is full, which is one head.

Not offered, because they are not one linear map and something pointwise:

- layers around a cell: stacks, normalisation, convolutions, gated feed-forward parts, skip connections (the
  architectures in which LRU, minGRU and sLSTM are published);
- several cells under one pair of gates, as in the memory blocks of 1997;
- a matrix for a memory, as in the mLSTM, and attention: their state is not a number for each unit;
- an R that is kept orthogonal or unitary while it is trained: that is a rule of the optimiser, not of a cell.
  `orthogonal` only starts there;
- a parallel scan for the cells without R: memspan goes through time step by step, whatever the cell.
"""


def page() -> str:
    """The whole page."""
    return "\n\n".join([INTRODUCTION.rstrip(), "\n".join(table()), *equations(), MISFITS])


def table() -> Iterator[str]:
    """One row for each cell."""
    yield "| cell | gates | states | weights | per unit | constants | init | source |"
    yield "| --- | --- | --- | ---: | --- | --- | --- | --- |"
    for cell in CELLS.values():
        weights = Layout(cell, FEATURES, HIDDEN, OUTPUTS).size
        constants = ", ".join(f"{name} = {value:g}" for name, value in cell.constants.items())
        init = ", ".join([cell.init, *(f"b_{gate} = {value:g}" for gate, value in cell.bias.items())])
        columns = (
            cell.wiring,
            ", ".join(cell.states),
            weights,
            ", ".join(cell.unit_weights),
            constants,
            init,
            cell.source,
        )
        yield f"| `{cell.name}` | " + " | ".join(map(str, columns)) + " |"


def equations() -> Iterator[str]:
    """The equations, each under the names of its cells."""
    names: dict[str, list[str]] = {}
    for cell in CELLS.values():
        names.setdefault(cell.equations, []).append(f"`{cell.name}`")
    for text, cells in names.items():
        yield f"## {', '.join(cells)}\n\n{text}"


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
