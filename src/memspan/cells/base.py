"""What a cell is: a pointwise function, its derivative, and its names."""

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
    """What some cells put between the state and R, for their last gates: `Rᵀ q[t]` in place of `Rᵀ a[t-1]`.

    Then one time step has two linear maps, one after the other: the first feeds all gates but the last ones, q is
    made from these, and the second feeds the rest.

    Attributes
    ----------
    gates : tuple of str
        The last gates, those that q feeds.
    forward : callable
        `forward(s_first, previous, unit) -> q`, from the pre-activations of the other gates. The cell's `forward`
        must leave the same q among what it saves, as `"q"`.
    backward : callable
        `backward(d_q, residuals, previous, unit) -> (d_s_first, d_previous)`: what q adds to them.
    """

    gates: tuple[str, ...]
    forward: Callable[[Values, Values, Values], Any]
    backward: Callable[[Any, Values, Values, Values], tuple[Values, Values]]


@dataclass(frozen=True)
class Cell:
    """The pointwise half of a recurrent network.

    Every cell shares the linear map `s[t] = Wᵀ x[t] + Rᵀ a[t-1] + b_s`, which gives G·H numbers: one for each
    gate of each unit. What makes a cell *this* cell is what it does with them, one unit at a time, and that
    is two plain functions over numbers or arrays:

    - `forward(s, previous, unit) -> (state, residuals)`: from the G pre-activations and the S previous states to
      the new states, and to whatever `backward` will need besides these (as a rule the gates *after* their
      nonlinearity);
    - `backward(d_state, residuals, previous, state, unit) -> (d_s, d_previous, d_unit)`: from dL/d(new states), by
      the chain rule, to dL/d(pre-activations), to the part of dL/d(previous states) that does not pass through `s`
      (the part that does is `R d_s`, again the same for every cell: the network adds it), and to dL/d(the
      unit weights).

    `unit` holds the unit weights, if the cell has any, and then the cell's constants. The first state is the
    output `a`: the network feeds it back through R, and reads it out through V.

    The two functions are importable, and written with the functions of `memspan.cells.activations` and + - * /
    alone: so they run on arrays, on complex ones, and compiled. A number written into them would make a float32
    kernel compute in float64: constants belong into `constants`.

    Attributes
    ----------
    name : str
        As in `CELLS` and on the command line.
    gates, states : tuple of str
        Names, in the order in which `forward` takes and returns them.
    forward, backward : callable
        As above.
    source : str
        Where the cell comes from.
    residuals : tuple of str
        Names of what `forward` saves; the gates unless said otherwise.
    input_gates, recurrent_gates : tuple of str
        The gates that W feeds, the first ones, and those that R feeds, the last ones; all unless said otherwise.
        b_s feeds all of them.
    reads : tuple of str
        The states that R reads, the first ones: `a` unless said otherwise.
    unit_weights : tuple of str
        Names of weights that each unit has for itself, the rows of `U`.
    constants : mapping of str to float
        Numbers that are part of the cell and not trained.
    init : str
        The initializer (`memspan.INITIALIZERS`) that is used unless another is asked for.
    bias : mapping of str to float
        Initial value of `bs` by gate; 0 for gates that are not named.
    unit_init : callable, optional
        `unit_init(rng, hidden) -> array [K, H]`, the initial `U`; zeros without it.
    reset : Reset, optional
        For a cell with two linear maps in a step.

    Raises
    ------
    ValueError
        When names are out of order or unknown, or the functions do not take arrays or return other values than are
        named: they are called once, here.
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

    def __repr__(self) -> str:
        return f"<Cell {self.name}: gates {', '.join(self.gates)}; states {', '.join(self.states)}>"

    def __post_init__(self) -> None:
        for name in ("residuals", "input_gates", "recurrent_gates"):
            if getattr(self, name) is None:
                object.__setattr__(self, name, self.gates)
        last = self.gates[len(self.gates) - len(self.recurrent_gates) :]
        if self.input_gates != self.gates[: len(self.input_gates)] or self.recurrent_gates != last:
            raise ValueError(f"{self.name}: W feeds the first gates and R the last ones, in their order")
        if self.reads != self.states[: len(self.reads)]:
            rule = f"R reads the first states, in their order, but reads is {self.reads} and states {self.states}"
            raise ValueError(f"{self.name}: {rule}")
        if self.reset and (self.gates[-len(self.reset.gates) :] != self.reset.gates or "q" not in self.residuals):
            raise ValueError(f"{self.name}: q feeds the last gates, and is one of the residuals")
        if not set(self.bias) <= set(self.gates):
            raise ValueError(f"{self.name}: bias must name gates, {self.gates}, got {dict(self.bias)}")
        one_of("init", self.init, INITIALIZERS)
        self._try()

    def _try(self) -> None:
        """Call the functions once, on few numbers, and count what they return."""

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
                rule = f"a tuple of tuples, with a value for each of {named}"
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
        """The gates, and what feeds them where that is not W and R."""
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
        """What the module of `forward` says of the cell, up to the derivation of the backward."""
        module = sys.modules.get(self.forward.__module__)
        text, _, _ = (getattr(module, "__doc__", None) or "").partition("\nBackward.")
        return text.strip()

    def checked_recurrent_gain(self, value: Any) -> float:
        """`value` as a float above 0. A cell without R has nothing that it could multiply: there it must be 1."""
        gain = real_number("recurrent_gain", value, above=0)
        if gain != 1 and not self.recurrent_gates:
            raise InvalidArgument("recurrent_gain", f"1 for the cell {self.name}, which has no R", repr(value))
        return gain

    def unit(self, U: Array) -> Values:
        """What `forward` and `backward` take last: the rows of `U [..., K, H]`, and the constants."""
        weights = (U[..., k, :] for k in range(len(self.unit_weights)))
        return (*weights, *self.constants.values())

    def fed(self, hidden: int) -> tuple[int, int]:
        """Where in `s [..., G·H]` the columns begin that R feeds from the states, and those it feeds from q."""
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
