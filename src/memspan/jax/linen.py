"""The cells of flax.linen: the places of their weights, and the model."""

from typing import Any

import jax.numpy as jnp
from flax import linen

from memspan.errors import InvalidArgument
from memspan.jax.arrays import ACTIVATIONS, array, demand_activations, simple
from memspan.network import Network
from memspan.network.gates import Block, Linear
from memspan.shapes import Array

NAME = "flax.linen"
_SIMPLE = (Block("i", "W", ("a",), ("a",)), Block("h", "R", ("a",)))
CELLS = {
    "rnn": _SIMPLE,
    "rnn-relu": _SIMPLE,
    "lstm": (
        *(Block(f"i{gate}", "W", (gate,)) for gate in "ifgo"),
        *(Block(f"h{gate}", "R", (gate,), (gate,)) for gate in "ifgo"),
    ),
    "gru": (
        *(Block(f"i{gate}", "W", (gate,), (gate,)) for gate in "rzn"),
        *(Block(f"h{gate}", "R", (gate,)) for gate in "rz"),
        Block("hn", "R", ("u",), ("u",)),
    ),
}
"""The linear maps of each cell; they have the names of the parameters."""


class Model(linen.Module):
    """A cell over a sequence, and a linear read-out of its output at every step.

    Attributes
    ----------
    cell : Module
        A cell of flax.linen.
    outputs : int
        O.
    dtype : dtype
        Of the parameters.
    """

    cell: Any
    outputs: int
    dtype: Any

    def setup(self) -> None:
        """Make the read-out."""
        self.rnn = linen.RNN(self.cell, time_major=True, return_carry=True)
        self.read_out = linen.Dense(self.outputs, param_dtype=self.dtype)

    def __call__(self, x: Any, state: Any = None) -> tuple[Any, Any]:
        """Return y `[T, B, O]` for x `[T, B, F]`, and the last state in flax's form."""
        state, a = self.rnn(x, initial_carry=state)
        return self.read_out(a), state


def known(module: Any) -> tuple[str, tuple[Block, ...]]:
    """Return the name and the linear maps of a bound cell; raise if memspan has no such cell."""
    _demand_bound("module", module)
    kinds = {
        linen.SimpleCell: "rnn",
        linen.LSTMCell: "lstm",
        linen.OptimizedLSTMCell: "lstm",
        linen.GRUCell: "gru",
    }
    if type(module) not in kinds:
        names = ", ".join(kind.__name__ for kind in kinds)
        raise InvalidArgument("module", f"a cell that memspan knows ({NAME}: {names})", type(module).__name__)
    if isinstance(module, linen.SimpleCell):
        cell = simple(module)
    else:
        demand_activations(module)
        cell = kinds[type(module)]
    return cell, CELLS[cell]


def read(module: Any, name: str) -> Linear:
    """Return a linear map of a cell."""
    return _linear("module", module.variables["params"][name])


def linear(layer: Any) -> Linear:
    """Return the matrix and the bias of a bound `Dense`."""
    _demand_bound("read_out", layer)
    if type(layer) is not linen.Dense:
        raise InvalidArgument("read_out", f"a Dense of {NAME}", type(layer).__name__)
    return _linear("read_out", layer.variables["params"])


def made(net: Network, cell: str, linears: dict[str, tuple[Array, Array]]) -> Any:
    """Return a bound model with the given linear maps."""
    kinds = {"lstm": linen.OptimizedLSTMCell, "gru": linen.GRUCell}
    options = {"param_dtype": net.dtype}
    if cell in kinds:
        own = kinds[cell](net.hidden_size, **options)
    else:
        activation = ACTIVATIONS["relu" if cell == "rnn-relu" else "tanh"]
        own = linen.SimpleCell(net.hidden_size, activation_fn=activation, **options)
    params: dict[str, Any] = {"cell": {}}
    for block in CELLS[cell]:
        kernel, bias = map(jnp.asarray, linears[block.name])
        params["cell"][block.name] = {"kernel": kernel, **({"bias": bias} if block.bias else {})}
    params["read_out"] = {"kernel": jnp.asarray(net.V), "bias": jnp.asarray(net.by[:, 0])}
    return Model(own, net.output_size, net.dtype).bind({"params": params})


def _linear(argument: str, params: Any) -> Linear:
    bias = params.get("bias")
    return array(argument, params["kernel"]), None if bias is None else array(argument, bias)


def _demand_bound(argument: str, module: Any) -> None:
    if module.scope is None:
        rule = "bound to its parameters: module.bind({'params': params})"
        raise InvalidArgument(argument, rule, f"an unbound {type(module).__name__}")
