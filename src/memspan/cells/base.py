"""What a cell is: a pointwise function, its derivative, and its names."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Values = tuple[Any, ...]
"""One number or one array `[batch, hidden]` for each gate, or for each state."""

Forward = Callable[[Values, Values], tuple[Values, Values]]
Backward = Callable[[Values, Values, Values, Values], tuple[Values, Values]]


@dataclass(frozen=True)
class Cell:
    """The pointwise half of a recurrent network.

    Every cell shares the linear map `s[t] = Wᵀ x[t] + Rᵀ a[t-1] + b_s`, which gives G·H numbers: one for each
    gate of each unit. What makes a cell *this* cell is what it does with them, one unit at a time, and that
    is two plain functions over numbers or arrays:

    - `forward(s, previous) -> (state, gates)`: from the G pre-activations and the S previous states to the
      new states and the values of the gates *after* their nonlinearity;
    - `backward(d_state, gates, previous, state) -> (d_s, d_previous)`: from dL/d(new states), by the chain
      rule, to dL/d(pre-activations) and to the part of dL/d(previous states) that does not pass through `s`.
      (The part that does is `R d_s`, again the same for every cell: the network adds it.)

    The first state is the output `a`: the network feeds it back through R, and reads it out through V.

    Attributes
    ----------
    name : str
        As in `CELLS` and on the command line.
    gates, states : tuple of str
        Names, in the order in which `forward` takes and returns them.
    forward, backward : callable
        As above; importable functions, complex-clean.
    start : str
        The start (`memspan.starts`) that is used unless another is asked for.
    bias : mapping of str to float
        Initial value of `bs` by gate; 0 for gates that are not named.
    source : str
        Where the cell comes from.
    """

    name: str
    gates: tuple[str, ...]
    states: tuple[str, ...]
    forward: Forward
    backward: Backward
    source: str
    start: str = "uniform"
    bias: Mapping[str, float] = field(default_factory=dict)
