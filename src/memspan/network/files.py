"""Saving networks: a file of the weights, with a header that names the cell and the sizes.

A file names the cell but does not contain it, because a cell is code.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import PositiveInt

from memspan.cells import CELLS, Cell
from memspan.engines.parameters import Layout
from memspan.errors import InvalidArgument, UnreadableFile
from memspan.network import ACTIVATIONS, GRU, LSTM, RNN, Model, Network
from memspan.runtime import tensors
from memspan.runtime.tensors import Header, Strict, expect
from memspan.shapes import Flat

ANOTHER = "another "
"""What a file puts before the name of a cell that has the name of one of memspan's, but is not the same."""


class Description(Strict):
    """What a header says about a network: all but its weights.

    Of a model of another library (kind `Model`), `cell` is its name.
    """

    kind: Literal["Network", "RNN", "LSTM", "GRU", "Model"]
    cell: str
    input_size: PositiveInt
    hidden_size: PositiveInt
    output_size: PositiveInt
    dtype: Literal["float32", "float64"]
    output_steps: PositiveInt | None = None


class _Header(Header, Description):
    format: Literal["memspan network 1"] = "memspan network 1"


def write(path: Path, network: Network) -> None:
    """Write a network to a new file, which then replaces `path` in one step."""
    tensors.write(path, _header(network), network.get_weights())


def packed(network: Network) -> bytes:
    """Return the content of the file of a network."""
    return tensors.packed(_header(network), network.get_weights())


def read(path: Path, given: Cell | None = None) -> Network:
    """Read a network, of the class that was saved.

    Raises
    ------
    UnreadableFile
        If the file is truncated, damaged, or not a saved network.
    InvalidArgument
        If the cell is missing, or is not the one that was saved.
    """
    header, arrays = tensors.read(path, _Header, "network")

    def weights(layout: Layout) -> Flat:
        if surplus := sorted(arrays.keys() - layout.shapes.keys()):
            raise UnreadableFile(f"{path} contains {surplus[0]}, which the cell {layout.cell.name} does not have.")
        found = (expect(path, arrays, name, shape, header.dtype) for name, shape in layout.shapes.items())
        return np.concatenate([array.ravel() for array in found])

    return restored(path, header, given, weights)


def _header(network: Network) -> _Header:
    return _Header(**described("network", network).model_dump())


def described(argument: str, network: Network) -> Description:
    """Describe a network, which messages call `argument`."""
    if type(network) not in (Network, RNN, LSTM, GRU):
        raise InvalidArgument(argument, "a Network, RNN, LSTM or GRU, to be saved", type(network).__name__)
    return description_of(argument, network, type(network).__name__, name_of(network.cell))


def description_of(argument: str, model: Model, kind: Any, cell: str) -> Description:
    """Describe any model; messages call it `argument`."""
    if model.dtype.kind == "c":
        raise InvalidArgument(argument, "of float32 or float64, to be saved", model.dtype.name)
    return Description(
        kind=kind,
        cell=cell,
        input_size=model.input_size,
        hidden_size=model.hidden_size,
        output_size=model.output_size,
        dtype=model.dtype.name,
        output_steps=model.output_steps,
    )


def restored(path: Path, saved: Description, given: Cell | None, weights: Callable[[Layout], Flat]) -> Network:
    """Make the network that a header describes.

    Parameters
    ----------
    path : path
        The file, for messages.
    saved : Description
        What its header says.
    given : Cell or None
        The cell that the caller passed.
    weights : callable
        Returns all weights for a layout, or raises `UnreadableFile` if the file does not have them. The header
        could claim any size, and a network of it would fill the memory, so the network is made after this.
    """
    cell = cell_named(saved.cell, given)
    parameters = weights(Layout(cell, saved.input_size, saved.hidden_size, saved.output_size))
    if not np.isfinite(parameters).all():
        raise UnreadableFile(f"{path} contains weights that are not finite.")
    network = _network_of(saved, cell)
    if network is not None and given is not None and network.cell != given:
        raise InvalidArgument("cell", f"omitted, because a saved {saved.kind} always has its own cell", given.name)
    if network is None:
        raise UnreadableFile(f"{path} describes a {saved.kind!r} with the cell {cell.name}, which is impossible.")
    network.parameters[:] = parameters
    return network


def name_of(cell: Cell) -> str:
    """Return the cell's name, marked as another cell if it computes something else than memspan's of that name.

    Fields that affect only the initial weights are ignored.
    """
    known = CELLS.get(cell.name)
    if known is None:
        return cell.name
    alike = (
        replace(cell, bias=known.bias, init=known.init, unit_init=known.unit_init, source=known.source) == known
    )
    return cell.name if alike else f"{ANOTHER}{cell.name}"


def cell_named(name: str, given: Cell | None) -> Cell:
    """Return the cell of a saved network, from the name in its file and the cell that the caller passed."""
    if given is None:
        if name not in CELLS:
            raise InvalidArgument("cell", f"passed, because {name!r} is not one of memspan's cells", "None")
        return CELLS[name]
    if not isinstance(given, Cell):
        raise InvalidArgument("cell", "a Cell", repr(given))
    if given.name != name.removeprefix(ANOTHER):
        rule = f"the cell of the saved network, which has the name {name.removeprefix(ANOTHER)!r}"
        raise InvalidArgument("cell", rule, repr(given.name))
    return given


def _network_of(saved: Description, cell: Cell) -> Network | None:
    """Make a network of the saved class and sizes; return None if the class does not have that cell."""
    sizes = saved.input_size, saved.hidden_size, saved.output_size
    activation = next((name for name, its in ACTIVATIONS.items() if its.name == cell.name), None)
    options: dict[str, Any] = {"dtype": saved.dtype, "output_steps": saved.output_steps, "rng": 0}
    match saved.kind:
        case "Network":
            return Network(cell, *sizes, **options)
        case "RNN" if activation is not None:
            return RNN(*sizes, activation=activation, **options)
        case "LSTM" if cell.name == "lstm":
            return LSTM(*sizes, forget_bias=cell.bias.get("f", 0.0), **options)
        case "GRU" if cell.name == "gru":
            return GRU(*sizes, **options)
    return None
