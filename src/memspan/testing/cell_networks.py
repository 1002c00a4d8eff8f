"""The contracts of a cell in a network."""

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from memspan.cells import Cell
from memspan.diagnostics.flow import norms_of
from memspan.engines.compiled import CompiledEngine
from memspan.engines.parameters import split
from memspan.gradcheck import GradientReport, gradient_check
from memspan.losses import MSELoss
from memspan.network import Network
from memspan.shapes import Array
from memspan.testing.report import (
    demand,
    demand_equal,
    demand_near,
    demand_same,
)

DTYPES: tuple[Any, ...] = (np.float32, np.float64)
EXAMPLES = 15
"""The number of networks of random sizes on which a contract is checked."""


def draw(cell: Cell, dtype: Any, sizes: tuple[int, ...], seed: int) -> tuple[Network, Array, Array]:
    """Draw a network of sizes T, B, F, H, O, a batch of inputs and a dL/dŷ."""
    T, B, F, H, O = sizes
    rng = np.random.default_rng(seed)
    network = Network(cell, F, H, O, init="glorot", dtype=dtype, rng=rng)
    network.bs += rng.uniform(-0.5, 0.5, network.bs.shape).astype(dtype)
    network.by += rng.uniform(-0.5, 0.5, network.by.shape).astype(dtype)
    return network, rng.uniform(-1, 1, (T, B, F)).astype(dtype), rng.uniform(-1, 1, (B, O)).astype(dtype)


def examples(dtypes: Iterable[Any] = DTYPES) -> Iterator[tuple[Any, tuple[int, ...], int]]:
    """Yield a dtype, sizes and a seed: for the smallest sizes, the largest, and random sizes between."""
    most = (12, 5, 3, 6, 3)
    for dtype in dtypes:
        rng = np.random.default_rng(0)
        yield dtype, (1,) * 5, 0
        yield dtype, most, 1
        for seed in range(2, EXAMPLES):
            yield dtype, tuple(int(rng.integers(1, high + 1)) for high in most), seed


def run(network: Network, x: Array, d: Array) -> tuple[Array, dict[str, Array]]:
    """Run forward and backward; return ŷ, the gradient of each weight by time step, dL/ds and dL/d(state)."""
    y_hat = network.forward(x)
    gradients = network.backward(d)
    assert network.grads
    return y_hat, {**gradients, "d_s": network.grads.d_s, "d_states": network.grads.d_states}


def demand_close(found: Array, expected: Array, scale: Array, steps: int, what: str) -> None:
    """Raise `Found` unless two arrays agree up to the rounding of `steps` steps on numbers of size `scale`."""
    demand_equal(found.dtype, expected.dtype, f"the dtype of {what}")
    demand_near(found, expected, 64 * steps * np.finfo(found.dtype).eps * np.abs(scale).max(), what)


def at_least_one(values: Array) -> Array:
    """The scale of predictions, at least 1, the size of the bias."""
    return np.maximum(1, np.abs(values))


def check_feeds(cell: Cell) -> None:
    """W, R and b_s feed the gates that the cell declares."""
    network, x, _ = draw(cell, np.float64, (6, 3, 2, 4, 1), seed=3)
    network.parameters += np.random.default_rng(4).uniform(-0.3, 0.3, network.layout.size)
    network_bs = split(network.bs.T, 4)
    network.forward(x)
    trace = network.trace
    assert trace is not None
    W = dict(zip(cell.input_gates, split(network.W, 4), strict=True))
    R = dict(zip(cell.recurrent_gates, split(network.R, 4), strict=True))
    unit = (*network.U, *cell.constants.values())
    states: Any = [np.zeros((3, 4)) for _ in cell.states]
    for t in range(6):
        read = np.hstack([states[cell.states.index(name)] for name in cell.reads])
        s: dict[str, Array] = {}
        for gate, bias in zip(cell.gates, network_bs, strict=True):
            s[gate] = bias + 0.0 * states[0]
            if gate in W:
                s[gate] = s[gate] + x[t] @ W[gate]
            if cell.reset is not None and gate in cell.reset.gates:
                read = cell.reset.forward(tuple(s.values()), tuple(states), unit)
            if gate in R:
                s[gate] = s[gate] + read @ R[gate]
        states, residuals = cell.forward(tuple(s.values()), tuple(states), unit)
        found = np.stack(states)
        demand_near(trace.states[:, t + 1], found, 1e-11 * np.abs(found) + 1e-13, f"the state of step {t}")
        for name, value in zip(cell.residuals, residuals, strict=True):
            allowed = 1e-11 * np.abs(value) + 1e-13
            demand_near(trace.gate(name)[t], value, allowed, f"{name} of step {t}")


def check_unit_weights(cell: Cell) -> None:
    """U has one row per unit weight, starts as unit_init draws it, and is drawn last."""
    network = Network(cell, 1, 7, 1, rng=5)
    shape = (len(cell.unit_weights), 7)
    demand_equal(network.U.shape, shape, "the shape of U")
    demand_equal("U" in network.get_weights(), bool(cell.unit_weights), "the presence of U")
    bare = Network(replace(cell, unit_init=None), 1, 7, 1, rng=5)
    demand_same(bare.U, np.zeros(shape), "U without unit_init and zeros")
    demand_same(bare.V, network.V, "V with unit_init and without")


def check_gradient(cell: Cell) -> None:
    """The gradient of a network passes `gradient_check`."""
    for dtype, (T, output_steps) in itertools.product(DTYPES, ((1, None), (5, None), (30, None), (5, 3), (30, 3))):
        network, x, _ = draw(cell, dtype, (T, 3, 2, 4, 2), seed=2)
        network.output_steps = output_steps
        report = gradient_check(network, x)
        demand(report, f"{report.verdict}{_worst(report)} `memspan gradcheck` prints all comparisons")


def _worst(report: GradientReport) -> str:
    """The largest error, in a sentence; empty if no numbers were compared."""
    error, place = report.worst.error, report.worst.place
    return "" if np.isnan(error) else f" The largest relative error is {error:.1g}, at {place}."


def check_prefixes(cell: Cell) -> None:
    """Reading out the last K steps gives the same as reading out each prefix of the sequence at its end."""
    T, K, B = 7, 3, 2
    for dtype in DTYPES:
        network, x, _ = draw(cell, dtype, (T, B, 2, 4, 2), seed=6)
        d = np.random.default_rng(7).standard_normal((K, B, 2)).astype(dtype)
        prefixes = [run(network, x[: T - K + 1 + k], d[k]) for k in range(K)]
        network.output_steps = K
        y_hat, gradients = run(network, x, d)
        demand_close(y_hat, np.array([y for y, _ in prefixes]), at_least_one(y_hat), T, "the answer")
        for name in (f"d_{name}" for name in network.layout.shapes):
            expected = np.zeros_like(gradients[name])
            for _, prefix in prefixes:
                if name in ("d_V", "d_by"):
                    expected += prefix[name]
                else:
                    expected[: len(prefix[name])] += prefix[name]
            demand_close(gradients[name], expected, at_least_one(expected), T, name)


def check_repeat(cell: Cell) -> None:
    """Equal inputs and weights give equal bits."""
    for example in examples():
        (one, x, d), (other, *_) = draw(cell, *example), draw(cell, *example)
        y_hat, gradients = run(one, x, d)
        for network in (one, other):
            again, gradients_again = run(network, x, d)
            demand_same(again, y_hat, "the answer")
            for name, gradient in gradients.items():
                demand_same(gradients_again[name], gradient, name)


def check_batch(cell: Cell) -> None:
    """A batch gives the same as its samples one by one, up to rounding."""
    for dtype, sizes, seed in examples():
        network, x, d = draw(cell, dtype, sizes, seed)
        T, B = sizes[:2]
        y_hat, gradients = run(network, x, d)
        singles = [run(network, x[:, b : b + 1], d[b : b + 1]) for b in range(B)]
        demand_close(y_hat, np.concatenate([y for y, _ in singles]), at_least_one(y_hat), T, "the answer")
        for name, gradient in gradients.items():
            summands = [single[name] for _, single in singles]
            if name in ("d_s", "d_states"):
                demand_close(gradient, np.concatenate(summands, axis=-2), gradient, T, name)
            else:
                demand_close(gradient, np.sum(summands, axis=0), np.sum(np.abs(summands), axis=0), T, name)


def check_total(cell: Cell) -> None:
    """The total gradient is the sum of the gradients of the time steps, up to rounding."""
    for dtype, sizes, seed in examples():
        network, x, d = draw(cell, dtype, sizes, seed)
        T, B = sizes[:2]
        _, gradients = run(network, x, d)
        assert network.grads
        total = network.layout.views(network.grads.total())
        for name in network.layout.shapes:
            by_step = gradients[f"d_{name}"]
            summands = by_step if by_step.ndim == 3 else by_step[np.newaxis]
            scale = np.abs(total.bs).max() + np.abs(summands).sum(axis=0)
            demand_close(getattr(total, name), summands.sum(axis=0), scale, T * B, f"d_{name}")


def check_dtype(cell: Cell) -> None:
    """All results of a network have its dtype."""
    for dtype, sizes, seed in examples():
        network, x, d = draw(cell, dtype, sizes, seed)
        y_hat, gradients = run(network, x.astype(np.float64), d.astype(np.float64))
        trace = network.trace
        assert trace is not None
        assert network.grads
        total = network.grads.total()
        network.update(0.1)
        arrays = [y_hat, *gradients.values(), trace.x, trace.states, trace.residuals, total, network.parameters]
        demand_equal({array.dtype for array in arrays}, {np.dtype(dtype)}, "the dtypes")


def check_complex(cell: Cell) -> None:
    """A complex network computes the same as a real one."""
    for dtype, sizes, seed in examples([np.float64]):
        network, x, d = draw(cell, dtype, sizes, seed)
        y_hat, gradients = run(network, x, d)
        twin_y_hat, twin_gradients = run(network.astype(np.complex128), x, d)
        demand(not twin_y_hat.imag.any(), "an imaginary part of the answer")
        demand_close(twin_y_hat.real, y_hat, at_least_one(y_hat), sizes[0], "the answer")
        for name, gradient in gradients.items():
            demand_close(twin_gradients[name].real, gradient, gradient, sizes[0] * sizes[1], name)


def check_engines(cell: Cell) -> None:
    """The compiled engine agrees with the readable one within 64·eps·T."""
    shapes = ((1, 5, 10, 3), (7, 1, 33, 3), (3, 2, 10, 1))
    for dtype in DTYPES:
        for T, (B, F, H, O), output_steps in itertools.product((1, 17, 60), shapes, (None, 3)):
            if output_steps is not None and output_steps > T:
                continue
            rng = np.random.default_rng(0)
            network = Network(cell, F, H, O, dtype=dtype, output_steps=output_steps, rng=rng)
            network.parameters += rng.normal(0, 0.02, network.parameters.shape).astype(dtype)
            answers = (B, O) if output_steps is None else (output_steps, B, O)
            x, y = rng.uniform(-1, 1, (T, B, F)).astype(dtype), rng.uniform(1, 2, answers).astype(dtype)
            _demand_agreement(network, x, y)


def _demand_agreement(network: Network, x: Array, y: Array) -> None:
    """Require that loss, gradients, norms and predictions of both engines agree, up to rounding."""
    loss, info = MSELoss(), np.finfo(network.dtype)
    tolerance = 64 * float(info.eps) * len(x)
    y_hat = network.forward(x)
    value = loss.forward(y_hat, y)
    gradients = network.backpropagate(loss.backward())
    expected, norms = network.layout.by_name(gradients.total()), norms_of(gradients.d_a)
    engine = CompiledEngine(network.layout, network.dtype, MSELoss(), output_steps=network.output_steps)
    weights = network.parameters[np.newaxis]
    (found_loss,), (gradient,), (found_norms,) = engine.differentiate(weights, [(x, y)], norms=[0])
    found = network.layout.by_name(gradient)
    size = f"T={len(x)}, B={x.shape[1]}, K={network.output_steps}, {network.dtype}"
    demand_near(np.array(found_loss), np.array(value), tolerance * abs(value), f"the loss at {size}")
    pairs = [(f"d_{name}", found[name], expected[name]) for name in network.layout.shapes]
    for what, mine, theirs in (*pairs, ("y_hat", engine.predict(weights, [x])[0], y_hat)):
        demand_equal((mine.shape, mine.dtype), (theirs.shape, theirs.dtype), f"shape and dtype of {what}")
        demand_near(mine, theirs, tolerance * np.abs(theirs).max(), f"{what} at {size}")
    large = norms >= 1e6 * info.tiny
    near = (tolerance * norms.max(axis=1, keepdims=True)).repeat(norms.shape[1], axis=1)
    demand_near(found_norms[large], norms[large], near[large], f"a norm of dL/da at {size}")
    demand((found_norms[~large] < 2e6 * info.tiny).all(), f"a norm of dL/da at {size} that is not small")
