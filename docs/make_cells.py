"""Write `docs/cells.md` from `memspan.CELLS`.

    python docs/make_cells.py

A test compares the page with the cells.
"""

from collections.abc import Iterator
from pathlib import Path

from memspan import CELLS
from memspan.engines.parameters import Layout

PAGE = Path(__file__).with_name("cells.md")
FEATURES, HIDDEN, OUTPUTS = 1, 32, 1

INTRODUCTION = f"""\
# The cells

*Written by `docs/make_cells.py` from `memspan.CELLS` and the docstrings of `memspan.cells`.*

Every cell is the linear map `s[t] = Wᵀ x[t] + Rᵀ a[t-1] + b_s` followed by a pointwise function, which acts on
one unit at a time. The readout reads the first state, `a`. W, R and b_s feed every gate, except where
parentheses in the table state otherwise. The column "per unit" lists the weights of which each unit has one. The
numbers of weights are for F = {FEATURES}, H = {HIDDEN} and O = {OUTPUTS}. `init` is the cell's default
initializer (`memspan.INITIALIZERS`). With `init="critical"` a study multiplies R by a gain that depends on the
task and the length ([studies.md](studies.md#the-critical-gain)).
"""

MISFITS = """\
## Cells with another linear map

- **`gru-before` and `mgu`** multiply a[t-1] by a gate *before* the product with R, and the gate itself needs a
  product with R. So a step has two linear maps, one after the other (`memspan.cells.base.Reset`). `gru`, the
  variant of the libraries, scales the product instead and needs only one map. With more than one unit it is a
  different cell.
- **`cornn`** feeds back its position and its velocity, so R reads two states and has 2H rows.
- **`mingru` and `lru`** have no R. With the initializers that concern R (`orthogonal`, `identity`), W and V
  start as with `uniform`.
- **`lru`** has a complex state, which is stored as two real states. Its recurrent weights are per-unit weights.
- **`slstm`** has a block-diagonal R in its paper, with one block for each head. Here R is full, which
  corresponds to one head.

## Cells and layers that memspan does not have

These are not a linear map followed by a pointwise function:

- layers around a cell: stacks, normalisation, convolutions, gated feed-forward parts and skip connections, which
  are part of the published LRU, minGRU and sLSTM architectures;
- several cells under one pair of gates, as in the memory blocks of 1997;
- matrix memories, as in the mLSTM, and attention, whose states are not one number for each unit;
- an R that stays orthogonal or unitary during training. That constraint belongs to the optimiser; the initializer
  `orthogonal` affects only the initial weights.

memspan also has no parallel scan for the cells without R: it computes every cell step by step.
"""


def page() -> str:
    """Return the text of the page."""
    return "\n\n".join([INTRODUCTION.rstrip(), "\n".join(table()), *equations(), MISFITS])


def table() -> Iterator[str]:
    """Yield the table, with one row for each cell."""
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
    """Yield the equations, each under the names of its cells."""
    names: dict[str, list[str]] = {}
    for cell in CELLS.values():
        names.setdefault(cell.equations, []).append(f"`{cell.name}`")
    for text, cells in names.items():
        yield f"## {', '.join(cells)}\n\n{text}"


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
