"""The page of each cell: equations, derivative, source, shapes, a picture, its spans and why they end."""

import json
import sys
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from memspan.cells import CELLS, INITIALIZERS, Cell
from memspan.engines.parameters import Layout
from memspan.reproduce.atlas import TASKS
from reference import ROOT, Draw, cut, table, toctree
from reference.cell_picture import draw

F, H, O = 7, 1000, 13
"""Sizes whose multiples are told apart: a matrix of 7 by 4000 is F by 4H."""

PAGE = """\
# `{name}`

{equations}

## Derivative

{derivative}

{convention}

## A trained network

The network was trained to recall the first number of a sequence, which is orange. The picture shows one sequence.
In each panel a row is a unit. A closed gate is white and an open one black. Of other values red is above 0, and
blue below. The last panel has the gradient that reaches each step.

{picture}

## Weights

{weights}

## Span

{spans}

## Use

```sh
memspan span --cell {name}
```

```python
from memspan import Network

network = Network("{name}", 1, 32, 1, rng=0)  # F, H, O
```
"""
CONVENTION = """\
dL/dx is the gradient of the loss with respect to x. The network adds to it what passes through R, which has the
same form for every cell: `dL/da[t-1] += R dL/ds[t]`. Every derivative is compared with the complex step
([gradient check](../../gradient-check.md))."""
SPANS = """\
T50 is the length that half of the networks solve, with its 95 % interval, in
[the atlas](../../reproductions/atlas.md): about 1,100 weights, and one learning rate for all cells. To find why it
ends there, networks were trained at 1.5 times the span, and those that failed were explained.
[Why memory stops](../../why.md) defines the verdicts.
"""


def pages() -> Mapping[str, str]:
    """Return the page of each cell, and the table of all."""
    return {f"cells/{name}.md": page(cell) for name, cell in CELLS.items()} | {"cells/_table.md": overview()}


def pictures() -> Mapping[str, Draw]:
    """Return the function that draws the picture of each cell."""
    return {f"cells/{name}.png": partial(draw, cell) for name, cell in CELLS.items()}


def page(cell: Cell) -> str:
    """Return the page of a cell."""
    text = str(sys.modules[cell.forward.__module__].__doc__)
    equations, derivative = cut(text, "\nBackward.")
    return PAGE.format(
        name=cell.name,
        equations=f"{equations}\n\n**Source:** {cell.source}.",
        derivative=derivative,
        convention=CONVENTION,
        picture=f"![Gates and states of a trained {cell.name}]({cell.name}.png)",
        weights="\n\n".join(weights(cell)),
        spans=SPANS + "\n" + spans(cell),
    )


def overview() -> str:
    """Return the table of all cells."""
    rows = []
    for cell in CELLS.values():
        count = Layout(cell, 1, 32, 1).size
        link = f"[`{cell.name}`](cells/{cell.name}.md)"
        per_unit = ", ".join([*cell.unit_weights, *cell.constants])
        rows.append((link, cell.wiring, ", ".join(cell.states), count, per_unit, cell.init, cell.source))
    heads = ("cell", "gates", "states", "weights", "per unit, constants", "init", "source")
    return f"{table(heads, rows)}\n\n{toctree(f'cells/{name}' for name in CELLS)}\n"


def weights(cell: Cell) -> Iterator[str]:
    """Yield the table of the weights with their shapes, and the sentences below it."""
    rows = [
        (f"`{name}`", f"`[{', '.join(map(symbol, shape))}]`", FEEDS[name].format(**fed(cell)))
        for name, shape in Layout(cell, F, H, O).shapes.items()
    ]
    yield table(("weights", "shape", "what for"), rows)
    rule = INITIALIZERS[cell.init]
    bias = [f"b_{gate} = {value:g}" for gate, value in cell.bias.items()]
    yield f"Initial values: `{cell.init}`; {first_line(rule.recurrent)}. Biases: {', '.join([*bias, '0'])}."
    if cell.constants:
        values = ", ".join(f"{name} = {value:g}" for name, value in cell.constants.items())
        yield f"Constants, which are not trained: {values}."


FEEDS = {
    "W": "the inputs x[t], for the gates {W}",
    "R": "{reads}, for the gates {R}",
    "bs": "the biases of the gates {all}",
    "V": "the read-out of a[t]",
    "by": "its bias",
    "U": "{U}: one number of each for every unit",
}


def fed(cell: Cell) -> dict[str, str]:
    """Return what the matrices feed and read."""
    reads = ", ".join(f"{state}[t-1]" for state in cell.reads)
    if cell.reset:
        reads += f" (q[t] for {', '.join(cell.reset.gates)})"
    names = {"W": cell.input_gates, "R": cell.recurrent_gates, "all": cell.gates, "U": cell.unit_weights}
    return {"reads": reads} | {key: ", ".join(value) for key, value in names.items()}


def symbol(size: int) -> str:
    """Return a size as a symbol: 7 is F, and 4000 is 4H."""
    known = {F: "F", O: "O", H: "H"}
    return known.get(size) or (f"{size // H}H" if size % H == 0 else str(size))


def spans(cell: Cell) -> str:
    """Return the spans of a cell in the atlas, with why they end."""
    atlas = {(row["task"], row["cell"]): row for row in read("docs/reproductions/atlas.json")["measured"]}
    verdicts = {(row["task"], row["cell"]): row for row in read("benchmarks/results/atlas_verdicts.json")}
    rows = []
    for task in TASKS:
        row = atlas[task, cell.name]
        rows.append((task, row["hidden"], row["short"], *verdict(row, verdicts.get((task, cell.name)))))
    return table(("task", "H", "T50", "why it ends", "first remedy"), rows)


def verdict(row: dict[str, Any], found: dict[str, Any] | None) -> tuple[str, str]:
    """Return why a span ends, and what should raise it."""
    if found is None:
        beyond = row["span"] is None and row["low"] is not None
        return ("beyond the longest length of the atlas" if beyond else "not measured"), ""
    evidence = found["evidence"]
    says = "still solved" if found["verdict"] == "solved" else f"**{found['verdict']}**"
    solved = f"at T = {found['length']}, where {evidence['solved']} of {evidence['trials']} solve it"
    return f"{says} {solved}", (found["remedies"] or [""])[0]


def read(name: str) -> Any:
    """Return a committed result."""
    return json.loads((ROOT / name).read_text("utf-8"))


def first_line(function: object) -> str:
    """Return the first sentence of a docstring, without its full stop."""
    return str(function.__doc__).strip().partition("\n")[0].removesuffix(".")
