"""The definition of a cell: a pointwise function, its derivative, and the names of gates and states."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from memspan.cells.initializers import INITIALIZERS
from memspan.errors import InvalidArgument, one_of, real_number
from memspan.runtime.renamed import checked_keywords
from memspan.shapes import Array

Values = tuple[Any, ...]
"""One number or one array `[batch, hidden]` for each gate, or for each state."""

Forward = Callable[[Values, Values, Values], tuple[Values, Values]]
Backward = Callable[[Values, Values, Values, Values, Values], tuple[Values, Values, Values]]


@dataclass(frozen=True)
class Reset:
    """A function q that some cells apply before R: their last gates receive `Rᵀ q[t]` instead of `Rᵀ a[t-1]`.

    One time step then has two linear maps, one after the other. The first feeds all gates but the last ones, which
    give q. The second feeds the last gates.

    Attributes
    ----------
    gates : tuple of str
        The gates that q feeds; these are the cell's last gates.
    forward : callable
        `forward(s_first, previous, unit) -> q`, from the pre-activations of the other gates. The cell's `forward`
        must save the same q in its residuals, under the name `"q"`.
    backward : callable
        `backward(d_q, residuals, previous, unit) -> (d_s_first, d_previous)`: the parts of the gradient through q.
    """

    gates: tuple[str, ...]
    forward: Callable[[Values, Values, Values], Any]
    backward: Callable[[Any, Values, Values, Values], tuple[Values, Values]]


@dataclass(frozen=True)
class Cell:
    """The pointwise half of a recurrent network.

    Every cell shares the linear map `s[t] = Wᵀ x[t] + Rᵀ a[t-1] + b_s`, which gives G·H numbers: one for each
    gate of each unit. A cell is defined by what it does with these numbers, one unit at a time, in two plain
    functions over numbers or arrays:

    - `forward(s, previous, unit) -> (state, residuals)`: from the G pre-activations and the S previous states to
      the new states, and to the values that `backward` needs in addition (usually the gates *after* their
      nonlinearity);
    - `backward(d_state, residuals, previous, state, unit) -> (d_s, d_previous, d_unit)`: from dL/d(new states), by
      the chain rule, to dL/d(pre-activations), to the part of dL/d(previous states) that does not pass through `s`
      (the network adds the other part, `R d_s`, which has the same form for every cell), and to dL/d(unit
      weights).

    `unit` holds the unit weights, if the cell has any, followed by the cell's constants. The first state is the
    output `a`: the network feeds it back through R and reads it out through V.

    Both functions must be importable, and may use only + - * / and the functions of `memspan.cells.activations`.
    Then they run on real arrays, on complex arrays, and compiled. A number literal would make a float32 kernel
    compute in float64, so numbers belong in `constants`.

    Attributes
    ----------
    name : str
        The key in `CELLS`, and the name on the command line.
    gates, states : tuple of str
        The names, in the order in which `forward` takes and returns them.
    forward, backward : callable
        As above.
    source : str
        The publication that the cell comes from.
    residuals : tuple of str
        Names of the values that `forward` saves for `backward`; by default the gates.
    input_gates, recurrent_gates : tuple of str
        The gates that W feeds (the first ones) and those that R feeds (the last ones); by default all gates.
        b_s feeds every gate.
    reads : tuple of str
        The states that R reads (the first ones); by default `a`.
    unit_weights : tuple of str
        Names of the per-unit weights, the rows of `U`.
    constants : mapping of str to float
        Numbers of the cell that are not trained.
    init : str
        The default initializer, a name in `memspan.INITIALIZERS`.
    bias : mapping of str to float
        Initial value of `bs` for each gate; 0 for gates that are not named.
    unit_init : callable, optional
        `unit_init(rng, hidden) -> array [K, H]`, the initial `U`; zeros without it.
    reset : Reset, optional
        Required for a cell with two linear maps in a time step.
    sigmoid_gates : tuple of str
        The gates whose saved value lies between 0, closed, and 1, open. Only the diagnostics read it
        (`memspan.Saturation`).

    Raises
    ------
    ValueError
        If names are unknown or out of order, if a function does not accept arrays, or if it returns values other
        than those named. The functions are called once, when the cell is made.
    """

    name: str
    gates: tuple[str, ...]
    states: tuple[str, ...]
    forward: Forward
    backward: Backward
    source: str
    residuals: tuple[str, ...] = None  # type: ignore[assignment]
    input_gates: tuple[str, ...] = None  # type: ignore[assignment]
    recurrent_gates: tuple[str, ...] = None  # type: ignore[assignment]
    reads: tuple[str, ...] = ("a",)
    unit_weights: tuple[str, ...] = ()
    constants: Mapping[str, float] = field(default_factory=dict)
    init: str = "uniform"
    bias: Mapping[str, float] = field(default_factory=dict)
    unit_init: Callable[[np.random.Generator, int], Array] | None = None
    reset: Reset | None = None
    sigmoid_gates: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"<Cell {self.name}: gates {', '.join(self.gates)}; states {', '.join(self.states)}>"

    def __post_init__(self) -> None:
        for name in ("residuals", "input_gates", "recurrent_gates"):
            if getattr(self, name) is None:
                object.__setattr__(self, name, self.gates)
        last = self.gates[len(self.gates) - len(self.recurrent_gates) :]
        if self.input_gates != self.gates[: len(self.input_gates)] or self.recurrent_gates != last:
            raise ValueError(f"{self.name}: input_gates must be the first gates and recurrent_gates the last")
        if self.reads != self.states[: len(self.reads)]:
            rule = f"reads must be the first of the states {self.states}, got {self.reads}"
            raise ValueError(f"{self.name}: {rule}")
        if self.reset and (self.gates[-len(self.reset.gates) :] != self.reset.gates or "q" not in self.residuals):
            raise ValueError(f"{self.name}: reset.gates must be the last gates, and residuals must contain 'q'")
        if not set(self.bias) <= set(self.gates):
            raise ValueError(f"{self.name}: bias must name only the gates {self.gates}, got {dict(self.bias)}")
        if not set(self.sigmoid_gates) <= set(self.gates) & set(self.residuals):
            rule = "sigmoid_gates must be gates that residuals contain"
            raise ValueError(f"{self.name}: {rule}, got {self.sigmoid_gates}")
        one_of("init", self.init, INITIALIZERS)
        self._try()

    def _try(self) -> None:
        """Call the functions once on small arrays, and count the values that they return."""

        def some(names: tuple[str, ...]) -> Values:
            return tuple(np.full((1, 2), 0.5) for _ in names)

        def call(what: str, function: Callable[..., Any], arguments: Values, *named: tuple[str, ...]) -> Any:
            try:
                found = function(*arguments)
            except Exception as error:
                raise ValueError(f"{self.name}: {what} failed with {type(error).__name__}: {error}") from error
            right = isinstance(found, tuple) and all(isinstance(part, tuple) for part in found)
            numbers = [len(part) for part in found] if right else type(found).__name__
            if numbers != [len(names) for names in named]:
                rule = f"a tuple of tuples, with one value for each of {named}"
                raise ValueError(f"{self.name}: {what} must return {rule}, got {numbers}")
            return found

        gates, states, unit = (
            some(self.gates),
            some(self.states),
            (*some(self.unit_weights), *self.constants.values()),
        )
        with np.errstate(all="ignore"):
            found = call("forward", self.forward, (gates, states, unit), self.states, self.residuals)
            state, residuals = found
            call(
                "backward",
                self.backward,
                (states, residuals, states, state, unit),
                self.gates,
                self.states,
                self.unit_weights,
            )
            if self.reset:
                early, (d_q,) = self.gates[: -len(self.reset.gates)], some(("q",))
                call(
                    "the reset's backward", self.reset.backward, (d_q, residuals, states, unit), early, self.states
                )

    @property
    def wiring(self) -> str:
        """The gates, with the exceptions to "W and R feed every gate" in parentheses."""
        fed = []
        if self.input_gates != self.gates:
            fed.append(f"W: {', '.join(self.input_gates)}")
        if self.recurrent_gates != self.gates:
            fed.append(f"R: {', '.join(self.recurrent_gates)}" if self.recurrent_gates else "no R")
        if self.reset is not None:
            fed.append(f"R reads q for {', '.join(self.reset.gates)}")
        if len(self.reads) > 1:
            fed.append(f"R reads {', '.join(self.reads)}")
        return ", ".join(self.gates) + (f" ({'; '.join(fed)})" if fed else "")

    @property
    def equations(self) -> str:
        """The docstring of the module of `forward`, up to the derivation of the backward pass."""
        module = sys.modules.get(self.forward.__module__)
        text, _, _ = (getattr(module, "__doc__", None) or "").partition("\nBackward.")
        return text.strip()

    def checked_recurrent_gain(self, value: Any) -> float:
        """Return `value` as a float above 0. For a cell without R it must be 1, as it would have no effect."""
        gain = real_number("recurrent_gain", value, above=0)
        if gain != 1 and not self.recurrent_gates:
            raise InvalidArgument("recurrent_gain", f"1 for the cell {self.name}, which has no R", repr(value))
        return gain

    def unit(self, U: Array) -> Values:
        """The argument `unit` of `forward` and `backward`: the rows of `U [..., K, H]`, then the constants."""
        weights = (U[..., k, :] for k in range(len(self.unit_weights)))
        return (*weights, *self.constants.values())

    def fed(self, hidden: int) -> tuple[int, int]:
        """The first column of `s [..., G·H]` that R feeds from the states, and the first that it feeds from q."""
        last = len(self.gates) - (len(self.reset.gates) if self.reset else 0)
        return (len(self.gates) - len(self.recurrent_gates)) * hidden, last * hidden


Cell.__init__ = checked_keywords(  # type: ignore[method-assign]
    saved="residuals",
    driven="input_gates",
    recurrent="recurrent_gates",
    own="unit_weights",
    start="init",
    own_start="unit_init",
)(Cell.__init__)
