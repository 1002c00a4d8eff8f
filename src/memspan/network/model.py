"""What every trainable network has, whether memspan or another library computes it."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self, runtime_checkable

import numpy as np
from jaxtyping import Inexact
from numpy.typing import DTypeLike

from memspan.engines.base import PreparedEngine
from memspan.errors import InvalidArgument, plain_array, whole_number
from memspan.losses import Loss
from memspan.network.read_out import ReadOut
from memspan.network.steps import Steps
from memspan.runtime.floats import quiet
from memspan.shapes import Array, Flat, Inputs, Outputs

if TYPE_CHECKING:
    from memspan.network.network import Network


class _WrongFeatures(InvalidArgument):
    """An input has another number of features than the network takes."""

    def __str__(self) -> str:
        name, takes, got, _ = self.args
        return f"{name} has {got} feature{'s' * (got != '1')}; the network takes {takes}."


class Places(Protocol):
    """The places of the weights in `Model.parameters`. Networks with equal places differ only in their weights."""

    @property
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """The shape of each weight, by name."""

    @property
    def size(self) -> int:
        """P, the number of weights."""

    def by_name(self, flat: Flat, /) -> Mapping[str, Array]:
        """The weights by name, as views into `flat`."""


class Model(ABC):
    """A network as training, scoring and the diagnostics see it: all weights in one vector.

    Attributes
    ----------
    input_size, hidden_size, output_size : int
        F, H and O.
    output_steps : int or None
        K: the network predicts after each of the last K steps. If None, after the last step only.
    dtype : dtype
        Of the weights and of all results.
    parameters : array [P]
        All weights in one vector.
    trace, grads : object or None
        The values of the last forward and backward pass.
    state : object or None
        The state after the last step that `forward` or `predict` read. It can be the `state` of the next call.
    engine : object
        The engine that trains such networks by default: a name, or an object that makes the engine.
    interchangeable : bool
        Whether networks with equal layouts differ in `parameters` only. Otherwise each may have constants of its
        own.
    """

    input_size: int
    hidden_size: int
    output_size: int
    output_steps: int | None
    dtype: np.dtype[Any]
    parameters: Flat
    trace: Any
    grads: Any
    state: Any
    engine: ClassVar[Any]
    interchangeable: ClassVar[bool] = False

    @property
    @abstractmethod
    def name(self) -> str:
        """What the network is in messages and titles: its cell, or where it comes from."""

    @property
    @abstractmethod
    def layout(self) -> Places:
        """The place of each weight in `parameters`."""

    @abstractmethod
    def forward(self, x: Array, state: Any = None) -> Outputs:
        """Predict from `x`, and keep the trace for `backward`."""

    @abstractmethod
    def predict(self, x: Array, state: Any = None) -> Outputs:
        """Predict from `x` like `forward`, without keeping a trace."""

    @abstractmethod
    def backpropagate(self, d_loss: Array, d_state: Any = None, *, truncate: int | None = None) -> Any:
        """Back-propagate through time from dL/dŷ, which may contain infinity and NaN."""

    @abstractmethod
    def astype(self, dtype: DTypeLike) -> Self:
        """Return a network with the same weights in another dtype, without trace and gradients."""

    def fixed_arrays(self) -> dict[str, Array]:
        """Return the numbers of the model that training does not change, by name; memspan's networks have none."""
        return {}

    @abstractmethod
    def make_engine(self, loss: Loss) -> PreparedEngine:
        """Return an engine for networks that differ from this one in `parameters` only, in its dtype.

        The number of networks may differ from call to call.
        """

    @abstractmethod
    def steps(self, x: Inputs) -> Steps:
        """Return the steps of a pass over x `[T, B, F]`, each of which takes gradients of the state back."""

    @abstractmethod
    def read_out(self) -> ReadOut | None:
        """Return the linear read-out; None if it is not known which of the weights these are."""

    @abstractmethod
    def built_in(self) -> "Network | None":
        """Return the network of a cell of memspan's that computes the same; None if there is none."""

    @abstractmethod
    def recurrent_blocks(self) -> Mapping[str, Inexact[np.ndarray, "hidden hidden"]] | None:
        """Return the square blocks of the recurrent weights R by gate; they may be transposed.

        Empty for a cell without R; None if it is not known which of the weights these are.
        """

    def with_parameters(self, parameters: Flat) -> Self:
        """Return a network with other weights, without trace and gradients."""
        twin = self.astype(self.dtype)
        twin.parameters = np.array(parameters, self.dtype)
        return twin

    def get_weights(self) -> dict[str, Array]:
        """Return copies of the weights, by name."""
        return {name: weight.copy() for name, weight in self.layout.by_name(self.parameters).items()}

    def set_weights(self, weights: Mapping[str, Array]) -> None:
        """Set all weights to copies of `weights`; names and shapes must be exactly those of `get_weights`.

        The network checks all arrays before it writes any, and discards the trace of an earlier forward pass.
        """
        shapes = self.layout.shapes
        named = list(weights) if isinstance(weights, Mapping) else repr(weights)  # type: ignore[redundant-expr]
        if set(named) != set(shapes):
            raise InvalidArgument("weights", "a mapping with exactly " + ", ".join(shapes), named)
        new = {name: self._checked_floats(name, weights[name]) for name in shapes}
        for name, shape in shapes.items():
            if new[name].shape != shape:
                raise InvalidArgument(name, f"of shape {shape}", f"shape {new[name].shape}")
        for name, weight in self.layout.by_name(self.parameters).items():
            weight[...] = new[name]
        self.trace = None

    def with_output_steps(self, output_steps: int | None) -> Self:
        """Return a network with the same weights and other `output_steps`, without trace and gradients.

        So a trained network can be scored at a length at which its task wants another number of answers.
        """
        twin = self.astype(self.dtype)
        twin.output_steps = checked_output_steps(output_steps)
        return twin

    def inputs(self, x: Array) -> Inputs:
        """Check `x` and return a copy `[T, B, F]` in the network's dtype."""
        x = self._checked_floats("x", x)
        if x.ndim not in (2, 3):
            raise InvalidArgument("x", "of shape [T, F] or [T, B, F]", f"shape {x.shape}")
        if x.shape[-1] != self.input_size:
            raise _WrongFeatures("x", str(self.input_size), str(x.shape[-1]))
        if 0 in x.shape:
            raise InvalidArgument("x", "of at least one time step and one sample", f"shape {x.shape}")
        if len(x) < (self.output_steps or 1):
            raise InvalidArgument("x", f"at least {self.output_steps} time steps long (output_steps)", f"{len(x)}")
        return x if x.ndim == 3 else x[:, np.newaxis]

    def _answer(self, trace: Any) -> tuple[int, ...]:
        """The shape of ŷ; it has the axis of the last K steps only if `output_steps` is set."""
        return tuple(trace.y_hat.shape[self.output_steps is None :])

    def _output_gradient(self, d_loss: Array, trace: Any) -> Inexact[np.ndarray, "output_steps batch outputs"]:
        """Check dL/dŷ and return it as `[K, B, O]`."""
        d_loss, shape = self._checked_floats("d_loss", d_loss, finite=False), self._answer(trace)
        if d_loss.ndim == 1 and shape[0] == 1:
            d_loss = d_loss[np.newaxis]
        if d_loss.shape != shape:
            raise InvalidArgument("d_loss", f"of the prediction's shape {shape}", f"shape {d_loss.shape}")
        return d_loss.reshape(trace.y_hat.shape)

    @quiet
    def _checked_floats(self, name: str, value: Array, *, finite: bool = True) -> Array:
        """Check that `value` is an array of (finite) floats, and return a copy in the network's dtype."""
        values = plain_array(name, value)
        allowed = "fc" if self.dtype.kind == "c" else "f"
        if values.dtype.kind not in allowed:
            rule = "an array of real floating-point numbers"
            raise InvalidArgument(name, rule, f"dtype {values.dtype}")
        converted = values.astype(self.dtype)
        if finite and not np.isfinite(converted).all():
            where = tuple(int(i) for i in np.argwhere(~np.isfinite(converted))[0])
            raise InvalidArgument(name, f"finite in {self.dtype}", f"{values[where]} at index {list(where)}")
        return converted

    def _forget(self) -> None:
        self.trace, self.grads = None, None


@runtime_checkable
class Backward(Protocol):
    """What every backward pass gives, whatever the model."""

    @property
    def d_a(self) -> Array:
        """dL/da[t] `[T, B, H]`, through the loss and all later steps."""

    @property
    def d_R(self) -> Array:
        """Each step's contribution to dL/dR, `[T, ...]`; NaN where it is not known which weights these are."""

    @property
    def d_W(self) -> Array:
        """Each step's contribution to dL/dW, likewise."""

    def total(self) -> Flat:
        """The gradient of all weights, summed over time."""


def checked_output_steps(output_steps: int | None) -> int | None:
    """Return `output_steps`; raise unless it is None or a whole number of at least 1."""
    return None if output_steps is None else whole_number("output_steps", output_steps)
