"""The cells of equinox: the places of their weights, and the model."""

from typing import Any

import equinox
import jax
import jax.numpy as jnp
import numpy as np

from memspan.errors import InvalidArgument
from memspan.jax.arrays import array
from memspan.network import Network
from memspan.network.gates import Block, Linear
from memspan.shapes import Array

NAME = "equinox"
_LSTM = ("i", "f", "g", "o")
CELLS = {
    "lstm": (Block("ih", "W", _LSTM, _LSTM), Block("hh", "R", _LSTM)),
    "gru": (Block("ih", "W", ("r", "z", "n"), ("r", "z", "n")), Block("hh", "R", ("r", "z", "u"), ("u",))),
}
"""The linear maps of each cell. `bias` is that of `weight_ih`; `bias_n` of the GRU is that of the gate u."""


class Model(equinox.Module):
    """A cell over a sequence, and a linear read-out of its output at every step.

    Attributes
    ----------
    cell : Module
        `equinox.nn.LSTMCell` or `equinox.nn.GRUCell`.
    read_out : Module
        `equinox.nn.Linear` from H to O.
    """

    cell: Any
    read_out: Any

    def __call__(self, x: Any, state: Any = None) -> tuple[Any, Any]:
        """Return y `[T, B, O]` for x `[T, B, F]`, and the last state in equinox's form."""
        two = isinstance(self.cell, equinox.nn.LSTMCell)
        if state is None:
            zeros = jnp.zeros((x.shape[1], self.cell.hidden_size), self.cell.weight_hh.dtype)
            state = (zeros, zeros) if two else zeros

        def step(state: Any, x: Any) -> tuple[Any, Any]:
            state = jax.vmap(self.cell)(x, state)
            return state, state[0] if two else state

        state, a = jax.lax.scan(step, state, x)
        return jax.vmap(jax.vmap(self.read_out))(a), state


def known(module: Any) -> tuple[str, tuple[Block, ...]]:
    """Return the name and the linear maps of a cell; raise if memspan has no such cell."""
    cells = {equinox.nn.LSTMCell: "lstm", equinox.nn.GRUCell: "gru"}
    if type(module) not in cells:
        names = ", ".join(kind.__name__ for kind in cells)
        raise InvalidArgument("module", f"a cell that memspan knows ({NAME}.nn: {names})", type(module).__name__)
    cell = cells[type(module)]
    return cell, CELLS[cell]


def read(module: Any, name: str) -> Linear:
    """Return a linear map of a cell."""
    matrix = array("module", getattr(module, f"weight_{name}")).T
    if not module.use_bias or (name == "hh" and isinstance(module, equinox.nn.LSTMCell)):
        return matrix, None
    if name == "ih":
        return matrix, array("module", module.bias)
    return matrix, np.concatenate([np.zeros(2 * module.hidden_size), array("module", module.bias_n)])


def linear(layer: Any) -> Linear:
    """Return the matrix and the bias of a `Linear`."""
    if type(layer) is not equinox.nn.Linear:
        raise InvalidArgument("read_out", f"a Linear of {NAME}.nn", type(layer).__name__)
    return array("read_out", layer.weight).T, None if layer.bias is None else array("read_out", layer.bias)


def made(net: Network, cell: str, linears: dict[str, tuple[Array, Array]]) -> Any:
    """Return a model with the given linear maps."""
    kinds = {"lstm": equinox.nn.LSTMCell, "gru": equinox.nn.GRUCell}
    key = jax.random.key(0)  # what is drawn is replaced
    own = kinds[cell](net.input_size, net.hidden_size, dtype=net.dtype, key=key)
    (W, bias), (R, second) = linears["ih"], linears["hh"]
    parts = {"weight_ih": W.T, "weight_hh": R.T, "bias": bias}
    if cell == "gru":
        parts["bias_n"] = second[2 * net.hidden_size :]
    read_out = equinox.nn.Linear(net.hidden_size, net.output_size, dtype=net.dtype, key=key)
    return Model(_replaced(own, parts), _replaced(read_out, {"weight": net.V.T, "bias": net.by[:, 0]}))


def _replaced(module: Any, parts: dict[str, Array]) -> Any:
    def of(module: Any) -> list[Any]:
        return [getattr(module, name) for name in parts]

    return equinox.tree_at(of, module, [jnp.asarray(part) for part in parts.values()])
