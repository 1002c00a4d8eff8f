"""Cells of equinox and flax with the weights of memspan's own cells, as factories and as copies of a network."""

import equinox
import jax
import numpy as np
from flax import linen, nnx

from memspan.jax import JaxNetwork, Steps, make_network, to_equinox, to_linen, to_nnx


def equinox_lstm(features, outputs, hidden=32, *, key):
    return Steps(equinox.nn.LSTMCell(features, hidden, key=key), hidden, outputs, key=key)


def equinox_gru(features, outputs, hidden=32, *, key):
    return Steps(equinox.nn.GRUCell(features, hidden, key=key), hidden, outputs, key=key)


def nnx_rnn(features, outputs, hidden=32, *, key):
    return Steps(nnx.SimpleCell(features, hidden, rngs=nnx.Rngs(key)), hidden, outputs, key=key)


def nnx_lstm(features, outputs, hidden=32, *, key):
    return Steps(nnx.OptimizedLSTMCell(features, hidden, rngs=nnx.Rngs(key)), hidden, outputs, key=key)


def linen_lstm(features, outputs, hidden=32, *, key):
    return Steps(linen.OptimizedLSTMCell(hidden), hidden, outputs, key=key, features=features)


def linen_gru(features, outputs, hidden=32, *, key):
    return Steps(linen.GRUCell(hidden), hidden, outputs, key=key, features=features)


FACTORIES = {
    "equinox lstm": equinox_lstm,
    "equinox gru": equinox_gru,
    "nnx lstm": nnx_lstm,
    "linen lstm": linen_lstm,
    "linen gru": linen_gru,
}
"""The factories by library and memspan's cell."""


def twin_of(network, library):
    """The network in JAX with the same weights."""
    factory = FACTORIES[f"{library} {network.cell.name}"]
    sizes = network.input_size, network.output_size
    how = {"hidden": network.hidden_size, "output_steps": network.output_steps, "dtype": network.dtype}
    twin = make_network(factory, *sizes, **how, rng=0)
    twin.set_weights(weights_in_jax(network, library))
    return twin


def weights_in_jax(network, library):
    """The weights of a network by the names of the twin."""
    with jax.enable_x64(network.dtype.itemsize == 8):
        model = {"equinox": to_equinox, "nnx": to_nnx, "linen": to_linen}[library](network)
        cell = model.variables["params"]["cell"] if library == "linen" else model.cell
        found = {f"{'params' if library == 'linen' else 'module'}.{name}": part for name, part in named(cell)}
    read_out = {"read_out.weight": network.V.T, "read_out.bias": network.by[:, 0]}
    return {name: np.array(part) for name, part in found.items()} | read_out


def named(cell):
    for path, leaf in jax.tree_util.tree_flatten_with_path(cell)[0]:
        yield jax.tree_util.keystr(path, simple=True, separator=".").removesuffix(".value"), leaf


def network_of(module, features, outputs):
    return JaxNetwork(module, features, outputs)
