"""The engines that are timed. Each is a function that maps a case to the ways in which the engine can run a pass.

All engines get the same weights and the same batch, and make all preparations before the first pass. The functions
import PyTorch and JAX themselves, so that only their worker processes load these libraries.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from memspan.bench.case import Case, Pass, Passes, Problem, Result
from memspan.engines.compiled import CompiledEngine
from memspan.engines.parameters import split
from memspan.errors import MemspanError
from memspan.losses import MSELoss
from memspan.shapes import Array

TOGETHER = 8  # the number of models in one call, if JAX differentiates several


class NoSuchCell(MemspanError):
    """The engine does not have the cell."""


def readable(case: Case) -> Passes:
    """`Network.forward` and `backpropagate`, in NumPy."""
    network, x, y = case.problem()
    loss = MSELoss()

    def loss_and_gradient() -> Result:
        value = loss.forward(network.forward(x), y)
        return Result(value, network.backpropagate(loss.backward()).total())

    return {"NumPy": Pass(loss_and_gradient, loss_and_gradient)}


def compiled(case: Case) -> Passes:
    """The compiled kernels."""
    network, x, y = case.problem()
    engine = CompiledEngine(network.layout, network.dtype, MSELoss())
    parameters = network.parameters[np.newaxis]

    def result() -> Result:
        found = engine.differentiate(parameters, [(x, y)])
        return Result(float(found.losses[0]), found.gradients[0])

    return {"kernel": Pass(lambda: engine.differentiate(parameters, [(x, y)]), result)}


TORCH_GATES = {"rnn": ("a",), "gru": ("r", "z", "n"), "lstm": ("i", "f", "g", "o")}
"""The order of PyTorch's gates. PyTorch's `b_hn` of the GRU is memspan's gate u."""


def torch(case: Case) -> Passes:
    """PyTorch's layers.

    They are timed with denormal numbers kept and flushed to zero. PyTorch keeps them by default, which is slower
    where the gradient vanishes.
    """
    import torch

    problem = case.problem()
    gates = _known(case, TORCH_GATES, "PyTorch")
    layer, read_out = _torch_layers(problem)
    parameters = (*layer.parameters(), *read_out.parameters())
    loss, x, y = torch.nn.MSELoss(), torch.from_numpy(problem.x), torch.from_numpy(problem.y)

    def forward_and_backward(flush: bool) -> Any:
        torch.set_flush_denormal(flush)
        for parameter in parameters:
            parameter.grad = None
        states, _ = layer(x)
        value = loss(read_out(states[-1]), y)
        value.backward()
        return value

    def result(flush: bool) -> Result:
        value = forward_and_backward(flush).item()
        return Result(value, _torch_gradient(problem, gates, layer, read_out))

    ways = {"denormals kept": False, "denormals flushed": True}
    return {
        name: Pass(lambda flush=flush: forward_and_backward(flush), lambda flush=flush: result(flush))  # type: ignore[misc]
        for name, flush in ways.items()
    }


def _torch_layers(problem: Problem) -> tuple[Any, Any]:
    """Return PyTorch's own layer and a readout with the network's weights. One of its two biases is 0."""
    import torch

    from memspan.torch import to_torch

    network, model = problem.network, to_torch(problem.network)
    layer = getattr(torch.nn, network.cell.name.upper())(network.input_size, network.hidden_size)
    layer.load_state_dict(model.module.state_dict())
    return layer, model.read_out


def _torch_gradient(problem: Problem, gates: tuple[str, ...], layer: Any, read_out: Any) -> Array:
    cell, H = problem.network.cell, problem.network.hidden_size
    d_W, d_R, d_bs, d_both = (parameter.grad.numpy().T for parameter in layer.parameters())
    alone = (len(cell.gates) - len(gates)) * H
    parts = (
        arranged(d_W, gates, cell.input_gates, H),
        d_R,
        arranged(d_bs, gates, cell.input_gates, H),
        d_both[len(d_both) - alone :],
        read_out.weight.grad.numpy(),
        read_out.bias.grad.numpy(),
    )
    return np.concatenate([part.ravel() for part in parts])


def arranged(columns: Array, names: tuple[str, ...], order: tuple[str, ...], hidden: int) -> Array:
    """Return `columns [..., G·H]` with the named gates in another order."""
    blocks = dict(zip(names, split(columns, hidden), strict=True))
    return np.concatenate([blocks[name] for name in order], axis=-1)


def jax(case: Case) -> Passes:
    """`jit(value_and_grad(scan))` for one model, and `jit(vmap(value_and_grad(scan)))` for several."""
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_platforms", "cpu")
    step = _known(case, _jax_steps(), "JAX")
    network, x, y = case.problem()
    weights, x, y = jax.tree.map(jnp.asarray, (network.get_weights(), x, y))

    def loss(weights: Any, x: Any, y: Any) -> Any:
        zeros = jnp.zeros((case.batch, case.hidden), x.dtype)
        start = (zeros,) * len(network.cell.states)
        state, _ = jax.lax.scan(lambda state, x: (step(weights, state, x), None), start, x)
        return jnp.mean((state[0] @ weights["V"] + weights["by"].T - y) ** 2)

    one = jax.value_and_grad(loss)
    given = weights, x, y
    repeated = jax.tree.map(lambda part: jnp.stack([part] * TOGETHER), given)
    return {
        "1 model": _jax_pass(jax.jit(one), given, 1),
        f"{TOGETHER} models": _jax_pass(jax.jit(jax.vmap(one)), repeated, TOGETHER),
    }


def _jax_steps() -> dict[str, Callable[..., Any]]:
    """One step of each cell, with memspan's weights and gate order."""
    import jax.numpy as jnp
    from jax.nn import sigmoid

    def rnn(weights: Any, state: Any, x: Any) -> Any:
        return (jnp.tanh(x @ weights["W"] + weights["bs"].T + state[0] @ weights["R"]),)

    def gru(weights: Any, state: Any, x: Any) -> Any:
        hidden = state[0].shape[-1]
        bias, bias_u = jnp.split(weights["bs"].T, [3 * hidden], axis=-1)
        s_n, s_r, s_z = jnp.split(x @ weights["W"] + bias, 3, axis=-1)
        a_r, a_z, a_u = jnp.split(state[0] @ weights["R"], 3, axis=-1)
        r, z = sigmoid(s_r + a_r), sigmoid(s_z + a_z)
        n = jnp.tanh(s_n + r * (a_u + bias_u))
        return ((1 - z) * n + z * state[0],)

    def lstm(weights: Any, state: Any, x: Any) -> Any:
        s = x @ weights["W"] + weights["bs"].T + state[0] @ weights["R"]
        i, f, g, o = jnp.split(s, 4, axis=-1)
        c = sigmoid(f) * state[1] + sigmoid(i) * jnp.tanh(g)
        return sigmoid(o) * jnp.tanh(c), c

    return {"rnn": rnn, "gru": gru, "lstm": lstm}


def _jax_pass(value_and_grad: Any, given: Any, models: int) -> Pass:
    import jax

    def result() -> Result:
        value, gradients = value_and_grad(*given)
        several = () if models == 1 else 0  # the first model; a single model has no such axis
        parts = (np.asarray(gradients[name])[several].ravel() for name in ("W", "R", "bs", "V", "by"))
        return Result(float(np.asarray(value)[several]), np.concatenate([*parts]))

    return Pass(lambda: jax.block_until_ready(value_and_grad(*given)), result, models)


def _known(case: Case, cells: dict[str, Any], engine: str) -> Any:
    if case.cell not in cells:
        raise NoSuchCell(f"{engine} has no cell {case.cell}")
    return cells[case.cell]


class Peer(NamedTuple):
    """An engine in the benchmark: what makes its passes, and whether one process can use many threads."""

    passes: Callable[[Case], Passes]
    threaded: bool = False


ENGINES = {
    "readable": Peer(readable),
    "compiled": Peer(compiled),
    "torch": Peer(torch, threaded=True),
    "jax": Peer(jax, threaded=True),
}
