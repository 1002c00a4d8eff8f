"""Weights from cells of flax and equinox into memspan's networks, and back.

| cell | flax.linen | flax.nnx | equinox.nn |
|---|---|---|---|
| `rnn`, `rnn-relu` | `SimpleCell` with `activation_fn` tanh, relu | the same | |
| `lstm` | `LSTMCell`, `OptimizedLSTMCell` | the same | `LSTMCell` |
| `gru` | `GRUCell` | `GRUCell`, without b_u | `GRUCell` |

`to_linen`, `to_nnx` and `to_equinox` are three functions, because each library has its own kind of model, and flax
has two. All of them return what memspan calls a model. `linen.py`, `nnx.py` and `equinox.py` contain the places of
the weights in the cells of each library, and import the library. None of these cells is `gru-before`.
"""

import sys
from importlib import import_module
from typing import Any

import jax
import numpy as np

from memspan.errors import InvalidArgument, shown
from memspan.jax.adapters import Adapter
from memspan.network import Network
from memspan.network.gates import Gates, demand_cell, demand_known, demand_network, set_gates

Module = Any
"""A module of flax or equinox, which mypy does not know."""

LIBRARIES = {"linen": "flax.linen", "nnx": "flax.nnx", "equinox": "equinox"}
"""The module of memspan.jax for each library, and where the library's class `Module` is."""


def load_weights(net: Network, module: Module, read_out: Module = None) -> None:
    """Copy the weights of a cell of flax or equinox into a network.

    Parameters
    ----------
    net : Network
        Of the cell's kind and sizes, see `memspan.jax.weights`.
    module : Module
        An `LSTMCell` or `GRUCell` of flax.linen, flax.nnx or equinox, or an `OptimizedLSTMCell` or `SimpleCell` of
        flax. A cell of flax.linen must be bound to its parameters, because it does not contain them:
        `cell.bind({"params": params})`. Or a model that `to_linen`, `to_nnx` or `to_equinox` returned.
    read_out : Module, optional
        The linear map from H to O that reads the cell's output: a bound `Dense` of flax.linen, or a `Linear` of
        flax.nnx or equinox. Without it, V and b_y of the network do not change.

    Raises
    ------
    InvalidArgument
        If the module is not of the network's cell and sizes, has another activation or a residual connection, is
        not bound, or has weights that are not finite. Then no weight changes.

    Examples
    --------
    >>> from flax import nnx
    >>> from memspan import GRU
    >>> from memspan.jax import load_weights
    >>> net = GRU(1, 8, 2)
    >>> load_weights(net, nnx.GRUCell(1, 8, rngs=nnx.Rngs(0)), nnx.Linear(8, 2, rngs=nnx.Rngs(1)))
    """
    net = demand_network(net)
    library = _library("module", module)
    if read_out is None and isinstance(module, library.Model):
        module, read_out = module.cell, module.read_out
    cell, blocks = library.known(module)
    demand_cell(net, cell, type(module).__name__)
    gates = Gates.collect(blocks, lambda name: library.read(module, name))
    set_gates(net, gates, None if read_out is None else _library("read_out", read_out).linear(read_out))


def network_of(model: Any, features: int) -> Network | None:
    """Return a network of float64 with the weights of `Steps` or `Sequence`, if memspan has the cell in it.

    Parameters
    ----------
    model : pytree
    features : int
        F.
    """
    width, read_out = (model.width, model.read_out) if isinstance(model, Adapter) else (None, None)
    if width is None or read_out is None:
        return None
    cell = model.module if model.params is None else model.module.bind({"params": model.params})
    try:
        name, _ = _library("module", cell).known(cell)
        network = Network(name, features, width, model.outputs, rng=0)
        load_weights(network, cell)
    except InvalidArgument:
        return None
    network.V = np.array(read_out["weight"], np.float64).T
    network.by = np.array(read_out["bias"], np.float64)[:, np.newaxis]
    return network


def to_linen(net: Network) -> Module:
    """Return a bound model of flax.linen with the weights of a network.

    Parameters
    ----------
    net : Network
        Of the cell `rnn`, `rnn-relu`, `lstm` or `gru`. float64 needs JAX in 64-bit mode.

    Returns
    -------
    Module
        `model(x [T, B, F], state=None) -> (y [T, B, O], state)`: y after every step, of which the network returns
        the last or the last K. `module, variables = model.unbind()` gives what `module.apply` takes. `model.cell`
        is flax's cell, and `model.read_out` a `Dense`.

    Raises
    ------
    InvalidArgument
        If flax.linen has no such cell, or JAX cannot hold the network's dtype.

    Examples
    --------
    >>> from memspan import LSTM
    >>> from memspan.jax import to_linen
    >>> model = to_linen(LSTM(1, 8, 2, dtype="float32", rng=0))
    >>> y, state = model(np.ones((5, 3, 1), np.float32))
    >>> y.shape
    (5, 3, 2)
    """
    return _made("linen", net)


def to_nnx(net: Network) -> Module:
    """Return a model of flax.nnx with the weights of a network.

    Parameters and errors are those of `to_linen`. In addition, b_u of a `gru` must be 0, because the `GRUCell` of
    flax.nnx has no such bias.

    Returns
    -------
    Module
        `model(x [T, B, F], state=None) -> (y [T, B, O], state)`, with the attributes `cell` and `read_out`.

    Examples
    --------
    >>> from memspan import GRU
    >>> from memspan.jax import to_nnx
    >>> y, state = to_nnx(GRU(1, 8, 2, dtype="float32", rng=0))(np.ones((5, 3, 1), np.float32))
    >>> y.shape
    (5, 3, 2)
    """
    return _made("nnx", net)


def to_equinox(net: Network) -> Module:
    """Return a model of equinox with the weights of a network.

    Parameters and errors are those of `to_linen`. Equinox has the cells `lstm` and `gru`.

    Returns
    -------
    Module
        `model(x [T, B, F], state=None) -> (y [T, B, O], state)`, with the attributes `cell` and `read_out`.

    Examples
    --------
    >>> from memspan import GRU
    >>> from memspan.jax import to_equinox
    >>> y, state = to_equinox(GRU(1, 8, 2, dtype="float32", rng=0))(np.ones((5, 3, 1), np.float32))
    >>> y.shape
    (5, 3, 2)
    """
    return _made("equinox", net)


def _made(name: str, net: Network) -> Module:
    library = import_module(f"memspan.jax.{name}")
    cell = demand_known(net, library.CELLS, library.NAME)
    if net.dtype.itemsize == 8 and not jax.config.jax_enable_x64:
        hint = "; call jax.config.update('jax_enable_x64', True) first, or pass net.astype('float32')"
        raise InvalidArgument("net", "of float32 while JAX is in 32-bit mode", net.dtype.name, hint)
    gates, blocks = Gates.of(net), library.CELLS[cell]
    for gate in sorted(gates.b.keys() - {gate for block in blocks for gate in block.bias}):
        if gates.b[gate].any():
            where = np.flatnonzero(gates.b[gate])[0]
            rule = f"without a bias of the gate {gate}, because the {cell} of {library.NAME} has none"
            raise InvalidArgument("net", rule, f"b_{gate}[{where}] = {gates.b[gate][where]}")
    return library.made(net, cell, {block.name: gates.linear(block) for block in blocks})


def _library(argument: str, module: Module) -> Any:
    """Return the module of memspan.jax for the library of a module. The library of a real one is imported."""
    for name, library in LIBRARIES.items():
        kind = getattr(sys.modules.get(library), "Module", None)
        if kind is not None and isinstance(module, kind):
            return import_module(f"memspan.jax.{name}")
    raise InvalidArgument(argument, "a module of flax.linen, flax.nnx or equinox", shown(module))
