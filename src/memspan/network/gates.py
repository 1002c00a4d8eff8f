"""The weights of a network gate by gate, and their places in the modules of other libraries.

Every library puts the blocks of W, R and b_s side by side in an order of its own, and some have two biases. A
`Block` describes one linear map of such a module, so the weights go in and out by the same table.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from memspan.engines.parameters import split
from memspan.errors import InvalidArgument, shown
from memspan.network.files import name_of
from memspan.network.network import Network
from memspan.shapes import Array

Linear = tuple[Array, Array | None]
"""A matrix `[inputs, outputs]` and a bias `[outputs]`, or None for no bias."""


class Block(NamedTuple):
    """A linear map in a module of another library, which feeds several gates.

    Attributes
    ----------
    name : str
        The name of the linear map in the module.
    matrix : str
        `W` or `R`.
    gates : tuple of str
        The gates that it feeds, in the library's order.
    bias : tuple of str
        Those of the gates whose bias belongs here when weights go out. If the module has a bias for other gates
        too, it is 0. Biases that come in are added up.
    """

    name: str
    matrix: str
    gates: tuple[str, ...]
    bias: tuple[str, ...] = ()


class Gates(NamedTuple):
    """The weights by gate: `W[gate] [F, H]`, `R[gate] [H, H]`, `b[gate] [H]`."""

    W: dict[str, Array]
    R: dict[str, Array]
    b: dict[str, Array]

    @classmethod
    def of(cls, network: Network) -> "Gates":
        """The weights of a network, as views."""
        cell, H = network.cell, network.hidden_size
        blocks = zip(
            (cell.input_gates, cell.recurrent_gates, cell.gates),
            (network.W, network.R, network.bs[:, 0]),
            strict=True,
        )
        return cls(*(dict(zip(names, split(columns, H), strict=True)) for names, columns in blocks))

    @classmethod
    def collect(cls, blocks: Sequence[Block], read: Callable[[str], Linear]) -> "Gates":
        """Collect the weights from the blocks of a module; `read(name)` returns one of its linear maps."""
        gates = cls({}, {}, {})
        for block in blocks:
            matrix, bias = read(block.name)
            hidden = matrix.shape[-1] // len(block.gates)
            getattr(gates, block.matrix).update(zip(block.gates, split(matrix, hidden), strict=True))
            parts = () if bias is None else zip(block.gates, split(bias, hidden), strict=True)
            for gate, part in parts:
                gates.b[gate] = _sum(gates.b[gate], part) if gate in gates.b else part
        return gates

    def linear(self, block: Block) -> tuple[Array, Array]:
        """Return the matrix and the bias of a block."""
        matrix = np.concatenate([getattr(self, block.matrix)[gate] for gate in block.gates], axis=-1)
        nothing = np.zeros(matrix.shape[-1] // len(block.gates), matrix.dtype)
        bias = np.concatenate([self.b[gate] if gate in block.bias else nothing for gate in block.gates])
        return matrix, bias


def _sum(first: Array, second: Array) -> Array:
    """Add two biases, so that a second one of 0 changes no bit of the first, not even the sign of a zero."""
    return np.where(second == 0, first, first + second)


def set_gates(network: Network, gates: Gates, read_out: Linear | None) -> None:
    """Set the weights of a network from those of a module called `module`, and of its read-out if there is one.

    Raises
    ------
    InvalidArgument
        If a size is not that of the network, or a weight is not finite. Then no weight changes.
    """
    cell, sizes = network.cell, (network.input_size, network.hidden_size)
    found = next(iter(gates.W.values())).shape
    if found != sizes:
        rule = "of {} inputs and {} units, as the network".format(*sizes)
        raise InvalidArgument("module", rule, "{} inputs and {} units".format(*found))
    nothing = np.zeros(network.hidden_size)
    weights: dict[str, Array] = {
        **network.get_weights(),
        "W": np.concatenate([gates.W[gate] for gate in cell.input_gates], axis=-1),
        "R": np.concatenate([gates.R[gate] for gate in cell.recurrent_gates], axis=-1),
        "bs": np.concatenate([gates.b.get(gate, nothing) for gate in cell.gates])[:, np.newaxis],
    }
    if read_out is not None:
        V, by = read_out
        if V.shape != network.V.shape:
            rule = "a linear map of {} inputs and {} outputs, as in the network".format(*network.V.shape)
            raise InvalidArgument("read_out", rule, "{} inputs and {} outputs".format(*V.shape))
        weights |= {"V": V, "by": np.zeros((V.shape[1], 1)) if by is None else by[:, np.newaxis]}
    network.set_weights(weights)


RESET_AFTER = "the reset comes after the product with R"


def demand_network(net: Any) -> Network:
    """Return `net`; raise unless it is a `Network`."""
    if not isinstance(net, Network):
        raise InvalidArgument("net", "a Network", shown(net))
    return net


def demand_cell(net: Network, cell: str, module: str) -> None:
    """Raise unless a module that computes `cell` can give its weights to the network."""
    name = name_of(net.cell)
    if name != cell:
        hint = f", in which {RESET_AFTER}" if cell == "gru" else ""
        raise InvalidArgument("module", f"of the network's cell, {name!r}", f"{module}, which is {cell!r}{hint}")


def demand_known(net: Any, cells: Mapping[str, Any], library: str) -> str:
    """Return the name of the network's cell; raise unless the library has it, and the weights are real."""
    net = demand_network(net)
    name = name_of(net.cell)
    if name not in cells:
        hint = f"; in the GRU of {library} {RESET_AFTER}" if name == "gru-before" and "gru" in cells else ""
        raise InvalidArgument("net", f"of a cell that {library} has ({', '.join(cells)})", repr(name), hint)
    if net.dtype.kind != "f":
        raise InvalidArgument("net", "of float32 or float64", net.dtype.name)
    return name
