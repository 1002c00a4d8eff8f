"""A model of another library as one of memspan's networks: what does not depend on the library."""

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from memspan.errors import InvalidArgument, NotReady, shown, whole_number
from memspan.foreign.gradients import ForeignGradients, ForeignTrace, KnownWeights, State, Stepped
from memspan.foreign.layout import ForeignLayout
from memspan.foreign.rows import RowsEngine
from memspan.foreign.steps import ForeignSteps
from memspan.losses import Loss
from memspan.network import Network
from memspan.network.model import Model
from memspan.network.read_out import ReadOut
from memspan.network.steps import Steps
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

    def make_engine(self, loss: Loss) -> RowsEngine:
        """Return the model's own engine, for any number of networks with its constants."""
        return RowsEngine(self, loss)

    def steps(self, x: Inputs) -> Steps:
        """Return the steps of a pass over x `[T, B, F]`: those of a cell of memspan's if it computes the same."""
        network = self.built_in()
        return ForeignSteps(self, x) if network is None else network.steps(x)

    def read_out(self) -> ReadOut | None:
        """Return the linear read-out; None if it is not known which of the weights these are."""
        return None

    def built_in(self) -> Network | None:
        """Return the network of a cell of memspan's that computes the same; None if there is none."""
        twin = self.astype(np.float64)
        network = twin.loaded()
        if network is None:
            return None
        x = np.random.default_rng(2).uniform(-1, 1, (*TRIED, self.input_size))
        network.forward(x)
        trace, a = network.trace, twin.hidden(x)  # the model may begin with another state than zeros
        if trace is None or trace.a.shape != a.shape:
            return None
        same = np.allclose(trace.a, a, rtol=SAME, atol=SAME, equal_nan=True)
        return network.with_output_steps(self.output_steps) if same else None

    def loaded(self) -> Network | None:
        """Return a network with the weights of the model's cell and read-out, if memspan has this cell."""
        return None

    def recurrent_blocks(self) -> Mapping[str, Array] | None:
        """Return the square blocks of R, by gate if memspan has the cell, else by the names of the parameters.

        They are known for the cells and layers of known libraries.
        """
        network = self.built_in()
        if network is not None:
            return network.recurrent_blocks()
        weights = self.get_weights()
        matrices = {name: weights[name] for name in self.known_weights().recurrent if name in weights}
        found: dict[str, Array] = {}
        for name, matrix in matrices.items():
            blocks = np.split(matrix, *_squares(matrix))
            numbers = [f" {k}" for k in range(1, len(blocks) + 1)] if len(blocks) > 1 else [""]
            found |= {name + number: block for number, block in zip(numbers, blocks, strict=True)}
        return found or None

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


def _squares(matrix: Array) -> tuple[int, int]:
    """Return into how many squares a matrix can be split, and along which axis."""
    sizes = matrix.shape
    return max(sizes) // min(sizes), int(np.argmax(sizes))


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


SAME = 1e-9
"""The most by which the states of a model and of a network that computes the same differ, by rounding."""
TRIED = (4, 3)
"""The steps and samples with which a new model is tried."""
