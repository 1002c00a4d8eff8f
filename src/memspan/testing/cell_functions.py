"""The contracts of a cell's functions, called outside a network."""

import ast
import importlib
import inspect
import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from memspan.cells import Cell, activations
from memspan.shapes import Array
from memspan.testing.report import (
    demand,
    demand_equal,
    demand_near,
    demand_same,
)

STEP = 1e-20
"""The size of the complex step."""
UNITS = (20, 30)
"""The numbers of samples and units on which the functions are tested."""


def inputs_of(cell: Cell, seed: int) -> tuple[np.random.Generator, list[Array]]:
    """Return a generator, and pre-activations, previous states and unit weights, each `[., *UNITS]`."""
    rng = np.random.default_rng(seed)
    names = (cell.gates, cell.states, cell.unit_weights)
    return rng, [rng.standard_normal((len(group), *UNITS)) for group in names]


def constants_of(cell: Cell) -> tuple[float, ...]:
    """The constants, which `forward` and `backward` take after the unit weights."""
    return tuple(cell.constants.values())


def varied(groups: Iterable[Array], which: int, k: int) -> tuple[tuple[Array, ...], ...]:
    """Return each group of inputs as a complex tuple, with an imaginary step in input `k` of group `which`."""
    changed = [group.astype(complex) for group in groups]
    changed[which][k] += 1j * STEP
    return tuple(map(tuple, changed))


def check_names(cell: Cell) -> None:
    """The first state is a, biases belong to gates, and name and source are not empty."""
    demand_equal(cell.states[0], "a", "the first state")
    demand(set(cell.bias) <= set(cell.gates), f"a bias of no gate: {sorted(set(cell.bias) - set(cell.gates))}")
    demand(cell.name and cell.source, "an empty name or source")


def check_finite(cell: Cell) -> None:
    """The results of the forward and of the backward are finite."""
    rng, (s, previous, weights) = inputs_of(cell, 0)
    d_state, unit = rng.standard_normal((len(cell.states), *UNITS)), (*weights, *constants_of(cell))
    state, residuals = cell.forward(tuple(s), tuple(previous), unit)
    for name, values in (("state", state), ("residuals", residuals)):
        demand(np.isfinite(values).all(), f"the forward gives values of the {name} that are not finite")
    for derivatives in cell.backward(tuple(d_state), residuals, tuple(previous), state, unit):
        finite = all(np.isfinite(one).all() for one in derivatives)
        demand(finite, "the backward gives derivatives that are not finite")


def check_derivative(cell: Cell) -> None:
    """The backward is the derivative of the forward for each unit, as measured by the complex step."""
    rng, groups = inputs_of(cell, 0)
    s, previous, weights = groups
    d_state, constants = rng.standard_normal((len(cell.states), *UNITS)), constants_of(cell)
    unit = (*weights, *constants)
    state, residuals = cell.forward(tuple(s), tuple(previous), unit)
    demand_equal((len(state), len(residuals)), (len(cell.states), len(cell.residuals)), "the number of values")
    derivatives = cell.backward(tuple(d_state), residuals, tuple(previous), state, unit)
    names = (cell.gates, cell.states, cell.unit_weights)
    for which, (group, stated) in enumerate(zip(names, derivatives, strict=True)):
        demand_equal(len(stated), len(group), "the number of derivatives")
        for k, (name, derivative) in enumerate(zip(group, stated, strict=True)):
            s_, previous_, weights_ = varied(groups, which, k)
            moved, _ = cell.forward(s_, previous_, (*weights_, *constants))
            parts = (d * np.imag(after) / STEP for d, after in zip(d_state, moved, strict=True))
            expected = np.asarray(sum(parts))
            scale = np.abs(expected).max() or 1.0
            what = f"the derivative with respect to {('gate', 'previous', 'unit weight')[which]} {name}"
            demand_near(derivative + 0 * expected, expected, 1e-11 * np.abs(expected) + 1e-14 * scale, what)


def functions_of(cell: Cell) -> Iterator[Callable[..., Any]]:
    """Yield the two functions of the cell and those of its reset."""
    for part in (cell, cell.reset):
        if part is not None:
            yield part.forward
            yield part.backward


def check_arithmetic(cell: Cell) -> None:
    """The functions are importable and use only + - * / and memspan.cells.activations, so that they compile.

    They contain no number except 0.0 and indices, because other numbers turn float32 into float64.
    """
    for function in functions_of(cell):
        where = function.__name__
        found = getattr(importlib.import_module(function.__module__), where, None)
        demand(found is function, f"{where} is not the function of that name in its module")
        (tree,) = ast.parse(inspect.getsource(function)).body
        demand(isinstance(tree, ast.FunctionDef), f"{where} is not a function defined with def")
        body = ast.Module(tree.body[1:] if ast.get_docstring(tree) else tree.body, [])  # type: ignore[attr-defined, arg-type]
        indices = {id(node.slice) for node in ast.walk(tree) if isinstance(node, ast.Subscript)}
        for node in ast.walk(body):
            if isinstance(node, ast.Constant) and id(node) not in indices:
                number = isinstance(node.value, float) and node.value == 0.0
                demand(number, f"the constant {node.value!r} in {where}")
            if isinstance(node, ast.Call):
                name = getattr(node.func, "id", ast.unparse(node.func))
                ours = getattr(activations, name, None)
                demand(ours is not None and ours is function.__globals__.get(name), f"a call of {name} in {where}")
            other = isinstance(node, ast.Attribute | ast.Compare | ast.IfExp | ast.Pow | ast.Lambda)
            demand(not other, f"{ast.unparse(node) if isinstance(node, ast.expr) else '**'} in {where}")


def check_inputs_kept(cell: Cell) -> None:
    """The functions do not change their arguments."""
    rng, groups = inputs_of(cell, 0)
    groups = [rng.standard_normal((len(cell.states), *UNITS)), *groups]
    kept = [group.copy() for group in groups]
    d_state, s, previous, weights = (tuple(group) for group in groups)
    unit = (*weights, *constants_of(cell))

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


def check_precision(cell: Cell) -> None:
    """For float32 arguments the functions return float32."""
    rng, groups = inputs_of(cell, 0)
    groups = [rng.standard_normal((len(cell.states), *UNITS)), *groups]
    d_state, s, previous, weights = (tuple(group.astype(np.float32)) for group in groups)
    unit = (*weights, *constants_of(cell))
    state, residuals = cell.forward(s, previous, unit)
    derivatives = cell.backward(d_state, residuals, previous, state, unit)
    for function, values in (("forward", (*state, *residuals)), ("backward", itertools.chain(*derivatives))):
        dtypes = {value.dtype.name for value in values if isinstance(value, np.ndarray | np.generic)}
        demand(dtypes <= {"float32"}, f"{function} returns {', '.join(sorted(dtypes))} for float32")


def check_reset(cell: Cell) -> None:
    """The reset's backward is the derivative of its forward, and the cell's forward saves the reset's q."""
    if cell.reset is None:
        return
    rng, (s, previous, weights) = inputs_of(cell, 0)
    d_q, constants = rng.standard_normal(UNITS), constants_of(cell)
    first = s[: len(cell.gates) - len(cell.reset.gates)]
    _, residuals = cell.forward(tuple(s), tuple(previous), (*weights, *constants))
    q = cell.reset.forward(tuple(first), tuple(previous), (*weights, *constants))
    demand_same(residuals[cell.residuals.index("q")], q, "the q that forward saves and that of the reset")
    derivatives = cell.reset.backward(d_q, residuals, tuple(previous), (*weights, *constants))
    for which, (group, stated) in enumerate(zip((first, previous), derivatives, strict=True)):
        demand_equal(len(stated), len(group), "the number of derivatives of the reset")
        for k, derivative in enumerate(stated):
            s_, previous_, weights_ = varied((first, previous, weights), which, k)
            expected = d_q * cell.reset.forward(s_, previous_, (*weights_, *constants)).imag / STEP
            what = f"derivative {k} of the reset's {('gates', 'states')[which]}"
            demand_near(derivative + 0 * expected, expected, 1e-12 * np.abs(expected) + 1e-15, what)


def check_sigmoid_gates(cell: Cell) -> None:
    """The saved values of the declared sigmoid gates lie between 0 and 1."""
    _, (s, previous, weights) = inputs_of(cell, 0)
    _, residuals = cell.forward(tuple(20 * s), tuple(previous), (*weights, *constants_of(cell)))
    for name in cell.sigmoid_gates:
        gate = residuals[cell.residuals.index(name)]
        demand(np.all((gate >= 0) & (gate <= 1)), f"{name} from {np.min(gate):.3g} to {np.max(gate):.3g}")


def check_neighbours(cell: Cell) -> None:
    """The results of a unit do not depend on other units or samples."""
    _, groups = inputs_of(cell, 1)
    constants = constants_of(cell)
    s, previous, weights = map(tuple, groups)
    together = cell.forward(s, previous, (*weights, *constants))
    s, previous, weights = (tuple(group[:, 2:3, 3:4]) for group in groups)
    alone = cell.forward(s, previous, (*weights, *constants))
    for whole, one in zip(together[0] + together[1], alone[0] + alone[1], strict=True):
        demand_near(one[0, 0], whole[2, 3], 1e-14 * np.abs(whole[2, 3]), "a unit alone")
