"""What every cell must keep, alone and inside a network."""

import ast
import importlib
import inspect
import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from memspan.cells import Cell, activations
from memspan.diagnostics import GradientFlow
from memspan.engines.compiled import CompiledEngine
from memspan.engines.parameters import split
from memspan.errors import InvalidArgument
from memspan.gradcheck import gradient_check
from memspan.losses import MSELoss
from memspan.network import Network
from memspan.shapes import Array
from memspan.testing.report import (
    Contract,
    ContractReport,
    check_contracts,
    demand,
    demand_equal,
    demand_near,
    demand_same,
)

STEP = 1e-20
"""Of the complex step."""
DTYPES: tuple[Any, ...] = (np.float32, np.float64)
EXAMPLES = 15
"""Networks of random sizes that a contract is checked on."""
UNITS = (20, 30)
"""Samples and units on which the functions are tried alone."""


def check_cell(cell: Cell, *, contracts: Iterable[str] | None = None, compiled: bool = True) -> ContractReport:
    """Check the contracts of a cell, one by one.

    Parameters
    ----------
    cell : Cell
        Not changed.
    contracts : iterable of str, optional
        Names from `CELL_CONTRACTS`; all of them, if not given.
    compiled : bool
        Whether the compiled engine is compared with the readable one, which takes some ten seconds for each dtype.

    Returns
    -------
    ContractReport
        What was checked.

    Raises
    ------
    ContractBroken
        An `AssertionError`, for the first contract that is broken: its name, its rule and what was found.
    InvalidArgument
        Where `cell` is not a Cell, or a contract is not known.
    """
    if not isinstance(cell, Cell):
        raise InvalidArgument("cell", "a Cell", repr(cell))
    names = CELL_CONTRACTS if contracts is None else contracts
    chosen = [name for name in names if compiled or name != "engines"]
    with np.errstate(under="ignore"):
        return check_contracts(f"The cell {cell.name}", cell, CELL_CONTRACTS, chosen)


# --- alone ----------------------------------------------------------------------------------------------


def inputs_of(cell: Cell, seed: int) -> tuple[np.random.Generator, list[Array]]:
    """Pre-activations, previous states and the unit's own weights, each `[., *UNITS]`."""
    rng = np.random.default_rng(seed)
    names = (cell.gates, cell.states, cell.unit_weights)
    return rng, [rng.standard_normal((len(group), *UNITS)) for group in names]


def constants_of(cell: Cell) -> tuple[float, ...]:
    """What `forward` and `backward` take after the unit's own weights."""
    return tuple(cell.constants.values())


def varied(groups: Iterable[Array], which: int, k: int) -> tuple[tuple[Array, ...], ...]:
    """Each group of inputs complex and as a tuple, with an imaginary step in input k of one of them."""
    changed = [group.astype(complex) for group in groups]
    changed[which][k] += 1j * STEP
    return tuple(map(tuple, changed))


def _check_names(cell: Cell) -> None:
    demand_equal(cell.states[0], "a", "the first state")
    demand(set(cell.bias) <= set(cell.gates), f"a bias of {sorted(set(cell.bias) - set(cell.gates))}")
    demand(cell.name and cell.source, "an empty name or source")


def _check_derivative(cell: Cell) -> None:
    rng, groups = inputs_of(cell, 0)
    s, previous, own = groups
    d_state, constants = rng.standard_normal((len(cell.states), *UNITS)), constants_of(cell)
    unit = (*own, *constants)
    state, residuals = cell.forward(tuple(s), tuple(previous), unit)
    demand_equal((len(state), len(residuals)), (len(cell.states), len(cell.residuals)), "the number of values")
    derivatives = cell.backward(tuple(d_state), residuals, tuple(previous), state, unit)
    names = (cell.gates, cell.states, cell.unit_weights)
    for which, (group, stated) in enumerate(zip(names, derivatives, strict=True)):
        demand_equal(len(stated), len(group), "the number of derivatives")
        for k, (name, derivative) in enumerate(zip(group, stated, strict=True)):
            s_, previous_, own_ = varied(groups, which, k)
            moved, _ = cell.forward(s_, previous_, (*own_, *constants))
            parts = (d * np.imag(after) / STEP for d, after in zip(d_state, moved, strict=True))
            expected = np.asarray(sum(parts))
            scale = np.abs(expected).max() or 1.0
            what = f"the derivative with respect to {('gate', 'previous', 'own')[which]} {name}"
            demand_near(derivative + 0 * expected, expected, 1e-11 * np.abs(expected) + 1e-14 * scale, what)


def functions_of(cell: Cell) -> Iterator[Callable[..., Any]]:
    """The two functions of the cell, and those of its reset."""
    for part in (cell, cell.reset):
        if part is not None:
            yield part.forward
            yield part.backward


def _check_arithmetic(cell: Cell) -> None:
    for function in functions_of(cell):
        where = function.__name__
        found = getattr(importlib.import_module(function.__module__), where, None)
        demand(found is function, f"{where} is not what its module has by that name")
        (tree,) = ast.parse(inspect.getsource(function)).body
        demand(isinstance(tree, ast.FunctionDef), f"{where} is no function written with def")
        body = ast.Module(tree.body[1:] if ast.get_docstring(tree) else tree.body, [])  # type: ignore[attr-defined, arg-type]
        indices = {id(node.slice) for node in ast.walk(tree) if isinstance(node, ast.Subscript)}
        for node in ast.walk(body):
            if isinstance(node, ast.Constant) and id(node) not in indices:
                number = isinstance(node.value, float) and node.value == 0.0
                demand(number, f"the constant {node.value!r} in {where}")
            if isinstance(node, ast.Call):
                name = getattr(node.func, "id", ast.unparse(node.func))
                own = getattr(activations, name, None)
                demand(own is not None and own is function.__globals__.get(name), f"a call of {name} in {where}")
            other = isinstance(node, ast.Attribute | ast.Compare | ast.IfExp | ast.Pow | ast.Lambda)
            demand(not other, f"{ast.unparse(node) if isinstance(node, ast.expr) else '**'} in {where}")


def _check_inputs_kept(cell: Cell) -> None:
    rng, groups = inputs_of(cell, 0)
    groups = [rng.standard_normal((len(cell.states), *UNITS)), *groups]
    kept = [group.copy() for group in groups]
    d_state, s, previous, own = (tuple(group) for group in groups)
    unit = (*own, *constants_of(cell))

    def demand_kept(function: str) -> None:
        names = ("d_state", "s", "previous", "unit")
        for name, group, before in zip(names, groups, kept, strict=True):
            demand(np.array_equal(group, before), f"{function} changes {name}")

    state, residuals = cell.forward(s, previous, unit)
    demand_kept("forward")
    made = [np.array(value) for value in (*state, *residuals)]
    cell.backward(d_state, residuals, previous, state, unit)
    demand_kept("backward")
    for before, value in zip(made, (*state, *residuals), strict=True):
        demand(np.array_equal(before, value), "backward changes the state or the residuals")
    if cell.reset:
        cell.reset.forward(s[: len(cell.gates) - len(cell.reset.gates)], previous, unit)
        cell.reset.backward(d_state[0], residuals, previous, unit)
        demand_kept("the reset")


def _check_precision(cell: Cell) -> None:
    rng, groups = inputs_of(cell, 0)
    groups = [rng.standard_normal((len(cell.states), *UNITS)), *groups]
    d_state, s, previous, own = (tuple(group.astype(np.float32)) for group in groups)
    unit = (*own, *constants_of(cell))
    state, residuals = cell.forward(s, previous, unit)
    derivatives = cell.backward(d_state, residuals, previous, state, unit)
    for function, values in (("forward", (*state, *residuals)), ("backward", itertools.chain(*derivatives))):
        dtypes = {value.dtype.name for value in values if isinstance(value, np.ndarray | np.generic)}
        demand(dtypes <= {"float32"}, f"{function} returns {', '.join(sorted(dtypes))} for float32")


def _check_reset(cell: Cell) -> None:
    if cell.reset is None:
        return
    rng, (s, previous, own) = inputs_of(cell, 0)
    d_q, constants = rng.standard_normal(UNITS), constants_of(cell)
    first = s[: len(cell.gates) - len(cell.reset.gates)]
    _, residuals = cell.forward(tuple(s), tuple(previous), (*own, *constants))
    q = cell.reset.forward(tuple(first), tuple(previous), (*own, *constants))
    demand_same(residuals[cell.residuals.index("q")], q, "the q that forward saves and that of the reset")
    derivatives = cell.reset.backward(d_q, residuals, tuple(previous), (*own, *constants))
    for which, (group, stated) in enumerate(zip((first, previous), derivatives, strict=True)):
        demand_equal(len(stated), len(group), "the number of derivatives of the reset")
        for k, derivative in enumerate(stated):
            s_, previous_, own_ = varied((first, previous, own), which, k)
            expected = d_q * cell.reset.forward(s_, previous_, (*own_, *constants)).imag / STEP
            what = f"derivative {k} of the reset's {('gates', 'states')[which]}"
            demand_near(derivative + 0 * expected, expected, 1e-12 * np.abs(expected) + 1e-15, what)


def _check_neighbours(cell: Cell) -> None:
    _, groups = inputs_of(cell, 1)
    constants = constants_of(cell)
    s, previous, own = map(tuple, groups)
    together = cell.forward(s, previous, (*own, *constants))
    s, previous, own = (tuple(group[:, 2:3, 3:4]) for group in groups)
    alone = cell.forward(s, previous, (*own, *constants))
    for whole, one in zip(together[0] + together[1], alone[0] + alone[1], strict=True):
        demand_near(one[0, 0], whole[2, 3], 1e-14 * np.abs(whole[2, 3]), "a unit alone")


# --- inside a network -----------------------------------------------------------------------------------


def draw(cell: Cell, dtype: Any, sizes: tuple[int, ...], seed: int) -> tuple[Network, Array, Array]:
    """A network of sizes T, B, F, H, O, a batch and a gradient for it."""
    T, B, F, H, O = sizes
    rng = np.random.default_rng(seed)
    network = Network(cell, F, H, O, init="glorot", dtype=dtype, rng=rng)
    network.bs += rng.uniform(-0.5, 0.5, network.bs.shape).astype(dtype)
    network.by += rng.uniform(-0.5, 0.5, network.by.shape).astype(dtype)
    return network, rng.uniform(-1, 1, (T, B, F)).astype(dtype), rng.uniform(-1, 1, (B, O)).astype(dtype)


def examples(dtypes: Iterable[Any] = DTYPES) -> Iterator[tuple[Any, tuple[int, ...], int]]:
    """A dtype, sizes and a seed: the smallest sizes, the largest, and random ones between."""
    most = (12, 5, 3, 6, 3)
    for dtype in dtypes:
        rng = np.random.default_rng(0)
        yield dtype, (1,) * 5, 0
        yield dtype, most, 1
        for seed in range(2, EXAMPLES):
            yield dtype, tuple(int(rng.integers(1, high + 1)) for high in most), seed


def run(network: Network, x: Array, d: Array) -> tuple[Array, dict[str, Array]]:
    """Forward, then the gradient of each weight by time step, and dL/da[t]."""
    y_hat = network.forward(x)
    gradients = network.backward(d)
    assert network.grads
    return y_hat, {**gradients, "d_s": network.grads.d_s, "d_states": network.grads.d_states}


def demand_close(found: Array, expected: Array, scale: Array, steps: int, what: str) -> None:
    """Equal to the rounding of `steps` steps on numbers as large as `scale`."""
    demand_equal(found.dtype, expected.dtype, f"the dtype of {what}")
    demand_near(found, expected, 64 * steps * np.finfo(found.dtype).eps * np.abs(scale).max(), what)


def at_least_one(values: Array) -> Array:
    """The scale of an answer, whose bias is about 1."""
    return np.maximum(1, np.abs(values))


def _check_feeds(cell: Cell) -> None:
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


def _check_own_weights(cell: Cell) -> None:
    network = Network(cell, 1, 7, 1, rng=5)
    shape = (len(cell.unit_weights), 7)
    demand_equal(network.U.shape, shape, "the shape of U")
    demand_equal("U" in network.get_weights(), bool(cell.unit_weights), "whether there is a U")
    bare = Network(replace(cell, unit_init=None), 1, 7, 1, rng=5)
    demand_same(bare.U, np.zeros(shape), "U without unit_init and zeros")
    demand_same(bare.V, network.V, "V with unit_init and without")


def _check_gradient(cell: Cell) -> None:
    for dtype, (T, output_steps) in itertools.product(DTYPES, ((1, None), (5, None), (30, None), (5, 3), (30, 3))):
        network, x, _ = draw(cell, dtype, (T, 3, 2, 4, 2), seed=2)
        network.output_steps = output_steps
        report = gradient_check(network, x)
        demand(report, f"{report.verdict}\n{report}")


def _check_prefixes(cell: Cell) -> None:
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


def _check_repeat(cell: Cell) -> None:
    for example in examples():
        (one, x, d), (other, *_) = draw(cell, *example), draw(cell, *example)
        y_hat, gradients = run(one, x, d)
        for network in (one, other):
            again, gradients_again = run(network, x, d)
            demand_same(again, y_hat, "the answer")
            for name, gradient in gradients.items():
                demand_same(gradients_again[name], gradient, name)


def _check_batch(cell: Cell) -> None:
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


def _check_total(cell: Cell) -> None:
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


def _check_dtype(cell: Cell) -> None:
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


def _check_complex(cell: Cell) -> None:
    for dtype, sizes, seed in examples([np.float64]):
        network, x, d = draw(cell, dtype, sizes, seed)
        y_hat, gradients = run(network, x, d)
        twin_y_hat, twin_gradients = run(network.astype(np.complex128), x, d)
        demand(not twin_y_hat.imag.any(), "an imaginary part of the answer")
        demand_close(twin_y_hat.real, y_hat, at_least_one(y_hat), sizes[0], "the answer")
        for name, gradient in gradients.items():
            demand_close(twin_gradients[name].real, gradient, gradient, sizes[0] * sizes[1], name)


def _check_engines(cell: Cell) -> None:
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
    """Loss, gradients, norms and answers of the two engines within 64·eps·T, relative to the largest number."""
    loss, info = MSELoss(), np.finfo(network.dtype)
    tolerance = 64 * float(info.eps) * len(x)
    y_hat = network.forward(x)
    value = loss.forward(y_hat, y)
    gradients = network.backpropagate(loss.backward())
    expected, norms = network.layout.by_name(gradients.total()), GradientFlow.of(gradients).d_a
    engine = CompiledEngine(network.layout, network.dtype, MSELoss(), output_steps=network.output_steps)
    weights = network.parameters[np.newaxis]
    (own_loss,), (gradient,), (own_norms,) = engine.differentiate(weights, [(x, y)], norms=True)
    found = network.layout.by_name(gradient)
    size = f"T={len(x)}, B={x.shape[1]}, K={network.output_steps}, {network.dtype}"
    demand_near(np.array(own_loss), np.array(value), tolerance * abs(value), f"the loss at {size}")
    pairs = [(f"d_{name}", found[name], expected[name]) for name in network.layout.shapes]
    for what, mine, theirs in (*pairs, ("y_hat", engine.predict(weights, [x])[0], y_hat)):
        demand_equal((mine.shape, mine.dtype), (theirs.shape, theirs.dtype), f"shape and dtype of {what}")
        demand_near(mine, theirs, tolerance * np.abs(theirs).max(), f"{what} at {size}")
    large = norms >= 1e6 * info.tiny
    demand_near(own_norms[large], norms[large], tolerance * norms[large], f"a norm of dL/da at {size}")
    demand((own_norms[~large] < 2e6 * info.tiny).all(), f"a norm of dL/da at {size} that is not small")


CELL_CONTRACTS: dict[str, Contract[Cell]] = {
    "names": Contract("The first state is a, biases are of gates, and there is a source.", _check_names),
    "derivative": Contract(
        "The backward is the derivative of the forward, unit by unit, by the complex step.", _check_derivative
    ),
    "arithmetic": Contract(
        "The functions are importable, and made of memspan.cells.activations and + - * / alone: so they compile. "
        "No number is written but 0.0 and indices: others make float64 of float32.",
        _check_arithmetic,
    ),
    "inputs kept": Contract("The functions change none of their arguments.", _check_inputs_kept),
    "precision": Contract("From float32 the functions make float32.", _check_precision),
    "reset": Contract(
        "The reset's backward is the derivative of its forward, and forward saves its q.", _check_reset
    ),
    "neighbours": Contract("A unit knows nothing of its neighbours.", _check_neighbours),
    "feeds": Contract("W, R and b_s feed each gate as the cell says.", _check_feeds),
    "own weights": Contract(
        "U has a row for each of the unit's own weights, starts as unit_init says, and is drawn last.",
        _check_own_weights,
    ),
    "gradient": Contract("The gradient of a network passes `gradient_check`.", _check_gradient),
    "prefixes": Contract("To read out the last K steps is to read out each prefix.", _check_prefixes),
    "repeat": Contract("The same numbers give the same bits.", _check_repeat),
    "batch": Contract("A batch is its samples one by one, to rounding.", _check_batch),
    "total": Contract("The gradient is the sum of those of the time steps, to rounding.", _check_total),
    "dtype": Contract("All that a network computes has its dtype.", _check_dtype),
    "complex": Contract("A complex network computes the same.", _check_complex),
    "engines": Contract(
        "The compiled engine finds what the readable one does, within 64·eps·T.", _check_engines, slow=True
    ),
}
"""All contracts of a cell, by name, in the order in which they are checked."""
