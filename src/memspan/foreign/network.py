"""A model of another library as one of memspan's networks: what does not depend on the library."""

from abc import abstractmethod
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from memspan.errors import InvalidArgument, NotReady, shown, whole_number
from memspan.foreign.gradients import ForeignGradients, ForeignTrace, KnownWeights, State, Stepped
from memspan.foreign.layout import ForeignLayout
from memspan.network.model import Model
from memspan.shapes import Array, Flat, Inputs, Outputs


class ForeignNetwork(Model):
    """A model of another library with the interface of `Network`."""

    device: Any
    """Where the library computes."""
    _name: str
    _layout: ForeignLayout
    trace: ForeignTrace | None
    grads: ForeignGradients | None

    def __repr__(self) -> str:
        sizes = f"{self.input_size} in, {self.hidden_size} hidden, {self.output_size} out"
        return f"<{type(self).__name__} of {self.name}, {sizes}, {self.dtype}>"

    @property
    def name(self) -> str:
        """What the model is called in messages: the path of its factory, or its class."""
        return self._name

    @property
    def layout(self) -> ForeignLayout:
        """The place of each parameter in `parameters`."""
        return self._layout

    def backward(self, d_loss: Array, d_state: State = None, *, truncate: int | None = None) -> ForeignGradients:
        """Back-propagate through time from dL/dŷ.

        Parameters
        ----------
        d_loss : array [B, O] or [K, B, O], or [O] for one sequence
            dL/dŷ, in the shape that `forward` returned.
        d_state : as `network.state`, optional
            dL/d(last state) through later steps: the `d_state` of a pass that began with `network.state`.
        truncate : int, optional
            k: the gradient of each output goes back through k steps, as in `Network.backward`. Not together with
            `d_state`.

        Returns
        -------
        ForeignGradients
        """
        return self.backpropagate(self._checked_floats("d_loss", d_loss), d_state, truncate=truncate)

    @abstractmethod
    def backpropagate(
        self, d_loss: Array, d_state: State = None, *, truncate: int | None = None
    ) -> ForeignGradients:
        """Like `backward`, but `d_loss` may contain infinity and NaN."""

    @abstractmethod
    def stepped(
        self,
        x: Inputs,
        d_y_hat: Outputs,
        d_last: State = None,
        *,
        parameters: Flat | None = None,
        state: State = None,
        truncate: int | None = None,
    ) -> Stepped:
        """Run the model step by step, and back-propagate from dL/dŷ.

        Parameters
        ----------
        x : array [T, B, F]
        d_y_hat : array [K, B, O]
        d_last : as the last state, optional
            dL/d(last state) through later steps.
        parameters : array [P], optional
            By default the present ones.
        state : any nesting of arrays [B, ...], optional
            The initial state.
        truncate : int, optional
            As in `backward`.
        """

    @abstractmethod
    def hidden(self, x: Inputs, *, parameters: Flat | None = None, state: State = None) -> Array:
        """Return `a[t]` after each step, `[T, B, H]`, for x `[T, B, F]`."""

    @abstractmethod
    def known_weights(self) -> KnownWeights:
        """Return the names of the recurrent and the input weights, as far as the cells are known."""

    def _passed(self, d_state: State, truncate: int | None) -> tuple[ForeignTrace, int | None]:
        """Return the trace of the forward pass and the checked `truncate` of `backpropagate`."""
        if self.trace is None:
            raise NotReady("backward needs a forward pass: call .forward(x) first.")
        if truncate is not None and d_state is not None:
            raise InvalidArgument("d_state", "left out with truncate", shown(d_state))
        return self.trace, None if truncate is None else whole_number("truncate", truncate)

    def _in_dtype(self, dtype: np.dtype[Any]) -> Flat:
        """Return the weights in another dtype; raise if they become infinite."""
        with np.errstate(all="ignore"):
            parameters = self.parameters.astype(dtype)
        if np.isfinite(self.parameters).all() and not np.isfinite(parameters).all():
            raise InvalidArgument("dtype", "one in which all weights are finite", str(dtype))
        return parameters


class Window(NamedTuple):
    """Steps through which one gradient goes back: from `first` to before `end`, and the answers at its end."""

    first: int
    end: int
    answers: int


def windows(steps: int, answers: int, truncate: int | None) -> Iterator[Window]:
    """Yield the steps through which the gradients go back: all, or `truncate` steps for each answer."""
    if truncate is None or truncate >= steps:
        yield Window(0, steps, answers)
    else:
        yield from (Window(max(0, end - truncate), end, 1) for end in range(steps - answers + 1, steps + 1))


TRIED = (4, 3)
"""The steps and samples with which a new model is tried."""
