"""The label signal and the label gradient: what an untrained network keeps of the label, and how it can learn it.

Let y be the label, with mean 0, a[t] the state, and ŷ = Vᵀ a[T] + b_y the prediction. For the squared error of a
network whose ŷ is small, the loss is E y² - 2 E[y ŷ] + E ŷ². Only the middle term depends on the label. So these
two quantities decide whether a network can start to learn:

- the *label signal* s[t] = E[y a[t]], and its power P = |s|² / E y², the variance of the state along the label;
- the *label gradient* g = ∇E[y ŷ] with respect to all weights, and Θ = |g|².

For another loss, -½ dL/dŷ at the trivial answer takes the place of y. Both are measured with `Twins`, so their
error is relative to the signal, not to the state.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from memspan.diagnostics.twins import Twins
from memspan.engines.base import PreparedEngine
from memspan.errors import InvalidArgument, one_of, shown
from memspan.losses import MeanProduct
from memspan.network import Model, Network
from memspan.runtime.blas import one_blas_thread
from memspan.runtime.floats import quiet
from memspan.runtime.memory import demand_memory
from memspan.shapes import Array, Flat

ENGINES = ("compiled", "readable")


@dataclass(frozen=True, repr=False)
class LabelGradient:
    """The label gradient of a network, from the independent parts of some twins.

    Attributes
    ----------
    parts : array [parts, P]
        The estimate of g from each part.
    """

    parts: Float[np.ndarray, "parts parameters"]

    @property
    def gradient(self) -> Flat:
        """g = ∇E[y ŷ], `[P]`, the mean of all parts."""
        return np.asarray(self.parts.mean(axis=0))

    @property
    @quiet
    def theta(self) -> float:
        """Θ = |g|² without bias, the mean product of two different parts. Where g is 0 it may fall below 0."""
        count = len(self.parts)
        return float(((self.gradient**2).sum() - (self.parts**2).sum() / count**2) * count / (count - 1))

    @property
    @quiet
    def noise(self) -> float:
        """The expected squared error of `gradient`, from the spread of the parts."""
        count = len(self.parts)
        return float(((self.parts - self.gradient) ** 2).sum() / (count * (count - 1)))

    @property
    def z(self) -> float:
        """√(Θ / noise): by how much g stands out of its error. Below 2.5 it may be noise; 0 if g overflows."""
        theta = self.theta
        if not 0 < theta < np.inf:
            return 0.0
        return float(np.sqrt(theta / self.noise)) if self.noise > 0 else float("inf")

    def __repr__(self) -> str:
        return f"<LabelGradient: Θ = {self.theta:.3g}, z = {self.z:.3g}>"


@dataclass(frozen=True, repr=False)
class LabelSignal:
    """The label signal of a network after every time step.

    Attributes
    ----------
    s : array [T, H, O]
        -½ E[dL/dŷ a[t]], which is E[y a[t]] for the squared error of one number. If the network answers after
        each of the last K steps, it is the sum over the answers, each counted back from its own step, and
        `[T-K+1, H, O]`. After the last step it is the label gradient with respect to V.
    power : array [T] or [T-K+1]
        P[t], the part of the states' variance along the label: |s[t]|² / E y² for one number. For several outputs
        it is the mean over them, weighted by their variance. For K answers it is that mean over all answers if
        they have the same direction in the states, and less if not.
    """

    s: Float[np.ndarray, "time hidden outputs"]
    power: Float[np.ndarray, "time"]

    def __repr__(self) -> str:
        return f"<LabelSignal over {len(self.power)} steps: P = {self.power[-1]:.3g} after the last one>"


def label_engine(network: Model) -> PreparedEngine:
    """Return the engine that measures label gradients of networks of this shape, at any length."""
    return network.astype(np.float64).make_engine(MeanProduct())


@quiet
def label_gradient(network: Model, twins: Twins, *, engine: str | PreparedEngine | None = None) -> LabelGradient:
    """Measure the label gradient of a network, in float64.

    Parameters
    ----------
    network : Network or another Model
    twins : Twins
        Of the network's task, at the length in question.
    engine : str or Engine, optional
        By default that of the network: for a `Network` `compiled`. `readable` is the other one. The result of
        `label_engine` saves the preparation of the engine when there are several networks of one shape or several
        lengths; models of another library that have constants of their own need one for each.

    Raises
    ------
    InvalidArgument
        If the network does not fit the twins or the engine, or has complex weights.
    """
    network = _checked(network, twins)
    answers = (twins.weights.shape[-1], len(twins.weights) if twins.weights.ndim == 3 else None)
    if answers != (network.output_size, network.output_steps):
        rule = f"one whose output_size and output_steps are those of the twins, {answers[0]} and {answers[1]}"
        raise InvalidArgument("network", rule, f"{network.output_size} and {network.output_steps}")
    each = [twins.part(number) for number in range(twins.parts)]
    if _readable(network, engine):
        found = np.stack([_of_part(network, twins, part) for part in each])
    else:
        prepared = label_engine(network) if engine is None or isinstance(engine, str) else engine
        if (prepared.layout, prepared.output_steps) != (network.layout, network.output_steps):
            raise InvalidArgument("engine", "one for networks of this shape", "one for another shape")
        same = np.repeat(network.parameters[np.newaxis], twins.parts, axis=0)
        upstream = twins.weights * np.prod([*twins.weights[..., each[0], :].shape])  # the loss is a mean
        batches = [(twins.x[:, part], upstream[..., part, :]) for part in each]
        with one_blas_thread():
            found = prepared.differentiate(same, batches).gradients
    return LabelGradient(-found / 2)


def _checked(network: Model, twins: Twins) -> Model:
    """Return the network in float64; raise unless it can read the twins."""
    if not isinstance(network, Model):
        raise InvalidArgument("network", "a Network", shown(network))
    if not isinstance(twins, Twins):
        raise InvalidArgument("twins", "Twins", shown(twins))
    if network.dtype.kind == "c":
        raise InvalidArgument("network", "one with real weights", repr(network))
    if network.input_size != twins.x.shape[-1]:
        raise InvalidArgument("network", f"one whose input_size is {twins.x.shape[-1]}", network.input_size)
    return network.astype(np.float64)


def _readable(network: Model, engine: Any) -> bool:
    """Whether the engine is the readable one. Raise `InvalidArgument` if the network has no such engine."""
    if engine is None or isinstance(engine, PreparedEngine):
        return False
    chosen = one_of("engine", engine, ENGINES)
    if chosen == "compiled" and not isinstance(network, Network):
        raise InvalidArgument("engine", f"'readable', or left out, for {network!r}", shown(engine))
    return chosen == "readable"


def _of_part(network: Model, twins: Twins, part: slice) -> Flat:
    """The gradient from one part of the twins, without a factor, in the readable engine."""
    y_hat = network.forward(twins.x[:, part])
    found: Flat = network.backpropagate(twins.weights[..., part, :].reshape(y_hat.shape)).total()
    return found


@quiet
def label_signal(network: Model, twins: Twins, *, engine: str | None = None) -> LabelSignal:
    """Measure the label signal of a network after every time step, in float64.

    If the label is decided by the first steps, as in the task `recall`, the signal after step t is that of a
    sequence of t steps, so one forward pass gives it for all lengths.

    Parameters
    ----------
    network : Network or another Model
    twins : Twins
    engine : str, optional
        As in `label_gradient`.

    Raises
    ------
    InvalidArgument
        If the network does not fit the twins, has complex weights, or has more states than fit in the memory.
    """
    network = _checked(network, twins)
    steps, sequences, _ = twins.x.shape
    of_cell = len(network.cell.states) if isinstance(network, Network) else 1
    states = 8 * steps * sequences * network.hidden_size * of_cell
    demand_memory("twins", f"{sequences} sequences of {steps} steps", 3 * states)
    a = _states(network, twins.x, readable=_readable(network, engine))
    weights = twins.weights.reshape(-1, *twins.weights.shape[-2:])
    count = len(weights)
    s = -sum(np.einsum("tbh,bo->tho", a[k : steps - count + 1 + k], weights[k]) for k in range(count)) / (
        2 * twins.parts
    )
    return LabelSignal(s, (s**2).sum(axis=(1, 2)) / (count * twins.variance))


def _states(network: Model, x: Array, *, readable: bool) -> Array:
    """Return a[t] after every step, `[T, B, H]`."""
    if isinstance(network, Network) and not readable:  # the states that it reads out after each of T steps
        read_out = network.with_output_steps(len(x)).read_out()
        return read_out.states(network.parameters[np.newaxis], x)[0, ..., :-1]
    network.forward(x)
    return np.asarray(network.trace.a)
