"""The cells of flax.nnx: the places of their weights, and the model."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from memspan.errors import InvalidArgument
from memspan.jax.arrays import ACTIVATIONS, array, demand_activations, simple
from memspan.network import Network
from memspan.network.gates import Block, Linear
from memspan.shapes import Array

NAME = "flax.nnx"
_LSTM = ("i", "f", "g", "o")
_SIMPLE = (Block("dense_i", "W", ("a",), ("a",)), Block("dense_h", "R", ("a",)))
CELLS = {
    "rnn": _SIMPLE,
    "rnn-relu": _SIMPLE,
    "lstm": (Block("dense_i", "W", _LSTM), Block("dense_h", "R", _LSTM, _LSTM)),
    "gru": (Block("dense_i", "W", ("r", "z", "n"), ("r", "z", "n")), Block("dense_h", "R", ("r", "z", "u"))),
}
"""The linear maps of each cell; they have the names of the attributes."""
APART = (
    *(Block({"f": "if_"}.get(gate, f"i{gate}"), "W", (gate,)) for gate in _LSTM),
    *(Block(f"h{gate}", "R", (gate,), (gate,)) for gate in _LSTM),
)
"""The linear maps of `LSTMCell`, one for each gate. Those of `OptimizedLSTMCell` are side by side."""


class Model(nnx.Module):
    """A cell over a sequence, and a linear read-out of its output at every step.

    Parameters
    ----------
    cell : Module
        A cell of flax.nnx.
    read_out : Linear
        From H to O.
    """

    def __init__(self, cell: Any, read_out: Any) -> None:
        self.cell, self.read_out = cell, read_out

    def __call__(self, x: Any, state: Any = None) -> tuple[Any, Any]:
        """Return y `[T, B, O]` for x `[T, B, F]`, and the last state in flax's form."""
        if state is None:
            state = self.cell.initialize_carry(x.shape[1:], nnx.Rngs(0))
        state, a = jax.lax.scan(lambda state, x: self.cell(state, x), state, x)
        return self.read_out(a), state


def known(module: Any) -> tuple[str, tuple[Block, ...]]:
    """Return the name and the linear maps of a cell; raise if memspan has no such cell."""
    if type(module) is nnx.SimpleCell:
        return (cell := simple(module)), CELLS[cell]
    blocks = {
        nnx.LSTMCell: ("lstm", APART),
        nnx.OptimizedLSTMCell: ("lstm", CELLS["lstm"]),
        nnx.GRUCell: ("gru", CELLS["gru"]),
    }
    if type(module) not in blocks:
        names = ", ".join(kind.__name__ for kind in (nnx.SimpleCell, *blocks))
        raise InvalidArgument("module", f"a cell that memspan knows ({NAME}: {names})", type(module).__name__)
    demand_activations(module)
    return blocks[type(module)]


def read(module: Any, name: str) -> Linear:
    """Return a linear map of a cell."""
    return _linear("module", getattr(module, name))


def linear(layer: Any) -> Linear:
    """Return the matrix and the bias of a `Linear`."""
    if type(layer) is not nnx.Linear:
        raise InvalidArgument("read_out", f"a Linear of {NAME}", type(layer).__name__)
    return _linear("read_out", layer)


def made(net: Network, cell: str, linears: dict[str, tuple[Array, Array]]) -> Any:
    """Return a model with the given linear maps."""
    kinds = {"lstm": nnx.OptimizedLSTMCell, "gru": nnx.GRUCell}
    # Without `dtype`, SimpleCell computes in float32.
    options = {"param_dtype": net.dtype, "dtype": net.dtype, "rngs": nnx.Rngs(0)}
    if cell not in kinds:
        options["activation_fn"] = ACTIVATIONS["relu" if cell == "rnn-relu" else "tanh"]
    own = kinds.get(cell, nnx.SimpleCell)(net.input_size, net.hidden_size, **options)
    for block in CELLS[cell]:
        _set(getattr(own, block.name), *linears[block.name])
    made = {"param_dtype": net.dtype, "dtype": net.dtype, "rngs": nnx.Rngs(0)}
    read_out = nnx.Linear(net.hidden_size, net.output_size, **made)
    _set(read_out, net.V, net.by[:, 0])
    return Model(own, read_out)


def _set(layer: Any, kernel: Array, bias: Array) -> None:
    layer.kernel[...] = jnp.asarray(kernel)
    if layer.bias is not None:
        layer.bias[...] = jnp.asarray(bias)


def _linear(argument: str, layer: Any) -> Linear:
    return array(argument, layer.kernel), None if layer.bias is None else array(argument, layer.bias)
