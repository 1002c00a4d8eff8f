"""A step of a model as a jaxpr, in which one can see what is computed from the new state.

JAX differentiates functions with respect to their arguments, not to values in between. The gradient with respect
to the state after a step is that with respect to zeros which are added to the state where it is computed, so that
everything that is computed from it, such as the output of the same step, depends on them.
"""

from collections.abc import Callable
from typing import Any

import jax
from jax.extend.core import ClosedJaxpr, Literal

from memspan.jax.parts import is_real

Tensor = Any
"""An array of JAX, which mypy does not know."""


class Step:
    """A function of arrays, traced for arguments of given shapes; equations of functions inside are on one level.

    Parameters
    ----------
    function : callable
        It returns a list of arrays, of which the first one is the output and the others are the state.
    arguments : pytree of arrays
        Those of the function.
    """

    def __init__(self, function: Callable[..., list[Tensor]], *arguments: Any) -> None:
        closed = jax.make_jaxpr(function)(*arguments)
        leaves = jax.tree_util.tree_leaves(arguments)
        flat = jax.make_jaxpr(lambda *leaves: _evaluated(closed, leaves, {}))(*leaves)
        self._closed: ClosedJaxpr = flat
        self.output, *self.state = flat.jaxpr.outvars

    @property
    def beside(self) -> bool:
        """Whether the output is computed beside the state: not from it, and it is no part of it."""
        reached = {var for var in self.state if not isinstance(var, Literal)}
        for equation in self._closed.jaxpr.eqns:
            if any(var in reached for var in equation.invars if not isinstance(var, Literal)):
                reached.update(equation.outvars)
        return isinstance(self.output, Literal) or self.output not in reached

    def moved(self, arguments: Any, moves: list[Tensor] | None) -> list[Tensor]:
        """Return the results with `moves` added: to the output, if it is beside the state, and to the state.

        There is one for each array of the state that is of floating-point numbers; None adds nothing.
        """
        added: dict[Any, Tensor] = {}
        places = [self.output] * self.beside + [var for var in self.state if is_real(var.aval)]
        for var, move in zip(places, moves, strict=True) if moves is not None else ():
            if not isinstance(var, Literal):
                added[var] = added[var] + move if var in added else move
        return _evaluated(self._closed, jax.tree_util.tree_leaves(arguments), added)


def _evaluated(closed: ClosedJaxpr, arguments: Any, added: dict[Any, Tensor]) -> list[Tensor]:
    """Evaluate a jaxpr, with some arrays added to its variables; functions and scans of one step are inlined."""
    jaxpr, values = closed.jaxpr, dict[Any, Tensor]()

    def write(variables: Any, found: Any) -> None:
        for var, value in zip(variables, found, strict=True):
            values[var] = value + added[var] if var in added else value

    write(jaxpr.constvars, closed.consts)
    write(jaxpr.invars, arguments)
    for equation in jaxpr.eqns:
        given = [var.val if isinstance(var, Literal) else values[var] for var in equation.invars]
        write(equation.outvars, _result(equation, given))
    return [var.val if isinstance(var, Literal) else values[var] for var in jaxpr.outvars]


def _result(equation: Any, given: list[Tensor]) -> list[Tensor]:
    """Evaluate one equation."""
    primitive, parameters = equation.primitive, equation.params
    if primitive.name in ("jit", "pjit"):
        return _evaluated(parameters["jaxpr"], given, {})
    if primitive.name == "scan" and parameters["length"] == 1:
        fixed = parameters["num_consts"] + parameters["num_carry"]
        found = _evaluated(parameters["jaxpr"], given[:fixed] + [x[0] for x in given[fixed:]], {})
        carried = parameters["num_carry"]
        return found[:carried] + [y[None] for y in found[carried:]]
    bound = primitive.get_bind_params(parameters)
    functions, parameters = bound if isinstance(bound, tuple) else ((), bound)  # a tuple before JAX 0.10
    found = primitive.bind(*functions, *given, **parameters)
    return list(found) if primitive.multiple_results else [found]
