"""What the passes of a foreign model leave behind: its trace and its gradients."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from memspan.shapes import Array, Flat, Inputs, Outputs

if TYPE_CHECKING:
    from memspan.foreign.network import ForeignNetwork

State = Any
"""Any nesting of tuples, lists and dictionaries with arrays `[B, ...]`; None before the first step."""


@dataclass(frozen=True, eq=False, repr=False)
class ForeignTrace:
    """The values of a forward pass.

    Attributes
    ----------
    network : ForeignNetwork
    parameters : array [P]
        The weights of the pass; a copy.
    x : array [T, B, F]
        The inputs.
    y_hat : array [K, B, O]
        The predictions after each of the last K steps.
    initial : any nesting of arrays [B, ...], or None
        The initial state, if it was given.
    """

    network: "ForeignNetwork"
    parameters: Flat
    x: Inputs
    y_hat: Outputs
    initial: State = None

    def __repr__(self) -> str:
        T, B, F = self.x.shape
        return f"<ForeignTrace of {self.network.name}: T = {T}, B = {B}, F = {F}>"

    @cached_property
    def a(self) -> Array:
        """The output `a[t]` after each step, `[T, B, H]`; computed step by step when it is first read."""
        return self.network.hidden(self.x, parameters=self.parameters, state=self.initial)


@dataclass(frozen=True, eq=False, repr=False)
class ForeignGradients(Mapping[str, Array]):
    """The gradients of a backward pass.

    A mapping with `d_<name> [T, ...]` for each trainable parameter: the contribution of each time step, summed
    over the batch. These and `d_a` are computed step by step when one of them is first read.

    Attributes
    ----------
    trace : ForeignTrace
        The forward pass that was differentiated.
    d_y_hat : array [K, B, O]
        dL/dŷ, the start of the backward pass.
    flat : array [P]
        The gradient of all weights.
    d_state : as the initial state, or None
        dL/d(initial state), if that was given.
    d_last : as the last state, or None
        dL/d(last state) through later steps, if it was given.
    truncate : int or None
        The number of steps through which the gradient of each output went back; None for all.
    """

    trace: ForeignTrace
    d_y_hat: Outputs
    flat: Flat
    d_state: State = None
    d_last: State = None
    truncate: int | None = None

    def __repr__(self) -> str:
        return f"<ForeignGradients of {self.trace.network.name}: {len(self)} parameters>"

    def __getitem__(self, name: str) -> Array:
        if name not in tuple(self):
            raise KeyError(name)
        return self._stepped.d_parameters[name.removeprefix("d_")]

    def __iter__(self) -> Iterator[str]:
        return (f"d_{name}" for name in self.trace.network.layout.shapes)

    def __len__(self) -> int:
        return len(self.trace.network.layout.shapes)

    def total(self) -> Flat:
        """Return the gradient of all weights, summed over time, in the order of `ForeignNetwork.parameters`."""
        return self.flat.copy()

    @property
    def d_a(self) -> Array:
        """dL/da[t], `[T, B, H]`, through the loss and all later steps: the gradient that vanishes.

        a is the part of the state that the read-out reads. If the output is computed from the state but is no part
        of it, a is the whole state. If the output is computed beside the state, a is the output y and the state.
        """
        return self._stepped.d_a

    @property
    def d_R(self) -> Array:
        """Each step's contribution to the gradient of the recurrent weights side by side, `[T, n]`.

        They are known for the cells and layers of known libraries; NaN `[T, 1]` if the model has no such cell.
        """
        return self._steps(self.trace.network.known_weights().recurrent)

    @property
    def d_W(self) -> Array:
        """Each step's contribution to the gradient of the input weights, like `d_R`."""
        return self._steps(self.trace.network.known_weights().input)

    def _steps(self, names: list[str]) -> Array:
        """Return the contributions of each step to the gradients of some parameters side by side, `[T, n]`."""
        trained = [f"d_{name}" for name in names if f"d_{name}" in tuple(self)]
        steps = [self[name].reshape(len(self.d_a), -1) for name in trained]
        return np.concatenate(steps, axis=1) if steps else np.full((len(self.d_a), 1), np.nan, self.d_a.dtype)

    @cached_property
    def _stepped(self) -> "Stepped":
        trace = self.trace
        how = {"parameters": trace.parameters, "state": trace.initial, "truncate": self.truncate}
        return trace.network.stepped(trace.x, self.d_y_hat, self.d_last, **how)


class Stepped(NamedTuple):
    """What a pass step by step finds.

    Attributes
    ----------
    d_a : array [T, B, H]
    d_parameters : dict of array [T, ...]
        The contribution of each step to the gradient of each parameter.
    """

    d_a: Array
    d_parameters: dict[str, Array]


class KnownWeights(NamedTuple):
    """The names of the weights that a model's known cells and layers apply to the state and to the input."""

    recurrent: list[str]
    input: list[str]
