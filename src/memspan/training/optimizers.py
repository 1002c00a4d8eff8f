"""Optimisers: clips, rules, and the chain that applies them in the right order.

A *clip* shortens a gradient. A *rule* computes the change of the weights from a gradient and the rule's own state.
`Chain(clips..., rule)` is an optimiser. Because the chain contains the clips, clipping cannot happen before the
backward pass or after the step. Gradients are flat vectors `[..., P]`, and everything acts on the last axis.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from jaxtyping import Float, Int

from memspan.errors import InvalidArgument, float_array, real_number, shown
from memspan.runtime.floats import quiet
from memspan.runtime.renamed import checked_keywords
from memspan.shapes import Array

Flats = Float[np.ndarray, "*models parameters"]
"""One number per weight, for one network or several: weights, gradients, or parts of an optimiser's state."""

Norms = Float[np.ndarray, "*models 1"]
"""One number for each network."""

SMALLEST = 1e-140
"""The smallest norm at which the squares of the elements lose no digits to underflow."""


class Clip(Protocol):
    """A function that shortens gradients. It has no state."""

    def __call__(self, gradient: Flats) -> Flats:
        """Return the clipped gradient."""


class Rule(Protocol):
    """The part of an optimiser that computes the change of the weights."""

    def init(self, parameters: Flats) -> Any:
        """Return the state before the first step: a named tuple of arrays with the leading axes of `[..., P]`."""

    def step(self, gradient: Flats, state: Any) -> tuple[Flats, Any]:
        """Return the change of the weights and the new state."""


def _settle(part: Clip | Rule, name: str, **bounds: float) -> None:
    """Check a field and store it as a Python float, because a NumPy float64 would widen a float32 gradient."""
    object.__setattr__(part, name, real_number(name, getattr(part, name), **bounds))


def _flats(name: str, value: Any) -> Flats:
    """Return `value` as an array of floats with at least one element on its last axis."""
    values = float_array(name, value)
    if not values.ndim or not values.shape[-1]:
        raise InvalidArgument(name, "of shape [..., P], with at least one number", f"shape {values.shape}")
    return values


@quiet
def global_norm(gradient: Flats) -> Norms:
    """Return ‖g‖₂ over the last axis, which becomes length 1, in float64 (float32 would overflow at 1e19)."""
    wide = _flats("gradient", gradient).astype(np.float64, copy=False)
    norm = np.sqrt(np.vecdot(wide, wide))[..., np.newaxis]
    exact = (norm > SMALLEST) & (norm < np.inf)
    return norm if exact.all() else np.where(exact, norm, _scaled_norm(wide))


def _scaled_norm(wide: Flats) -> Norms:
    """Return the same norm by scaling first, for elements whose squares overflow or underflow."""
    largest = np.abs(wide).max(axis=-1, keepdims=True)
    scaled = np.divide(wide, largest, where=largest > 0, out=np.zeros_like(wide))
    return np.where(np.isfinite(largest), largest * np.sqrt(np.vecdot(scaled, scaled))[..., np.newaxis], largest)


@checked_keywords()
@dataclass(frozen=True)
class ClipByNorm:
    """Rescale to a norm of at most `limit`: g · min(1, limit / (‖g‖ + 1e-6)).

    Pascanu, Mikolov & Bengio 2013 (arXiv:1211.5063), algorithm 1; the 1e-6 is PyTorch's `clip_grad_norm_`.
    """

    limit: float

    def __post_init__(self) -> None:
        _settle(self, "limit", above=0)

    @quiet
    def __call__(self, gradient: Flats) -> Flats:
        """Return the rescaled gradient."""
        factor = np.minimum(1.0, self.limit / (global_norm(gradient) + 1e-6))  # infinite for a huge limit
        return gradient * factor.astype(gradient.dtype)


@checked_keywords()
@dataclass(frozen=True)
class ClipByValue:
    """Cut every element to [-limit, limit] (Mikolov 2012, described in arXiv:1211.5063, section 3.2)."""

    limit: float

    def __post_init__(self) -> None:
        _settle(self, "limit", above=0)

    @quiet
    def __call__(self, gradient: Flats) -> Flats:
        """Return the cut gradient."""
        return np.clip(_flats("gradient", gradient), -self.limit, self.limit)


class NoState(NamedTuple):
    """The state of SGD, which is empty."""


class Velocity(NamedTuple):
    """The state of momentum: the decayed sum of gradients."""

    velocity: Flats


class MeanSquare(NamedTuple):
    """The state of RMSprop: the moving average of squared gradients."""

    square: Flats


class Moments(NamedTuple):
    """The state of Adam: the number of steps, and moving averages of g and g²."""

    steps: Int[np.ndarray, "*models"]
    mean: Flats
    square: Flats


@checked_keywords()
@dataclass(frozen=True)
class SGD:
    """Gradient descent: θ ← θ - η g."""

    learning_rate: float

    def __post_init__(self) -> None:
        _settle(self, "learning_rate", above=0)

    def init(self, parameters: Flats) -> NoState:
        """Return the empty state."""
        return NoState()

    def step(self, gradient: Flats, state: NoState) -> tuple[Flats, NoState]:
        """Return the change -η g."""
        return -self.learning_rate * gradient, state


@checked_keywords()
@dataclass(frozen=True)
class Momentum:
    """Gradient descent with heavy-ball momentum (Polyak 1964): v ← μ v + g, θ ← θ - η v."""

    learning_rate: float
    momentum: float = 0.9

    def __post_init__(self) -> None:
        _settle(self, "learning_rate", above=0)
        _settle(self, "momentum", least=0, below=1)

    def init(self, parameters: Flats) -> Velocity:
        """Return the state v = 0."""
        return Velocity(np.zeros_like(parameters))

    def step(self, gradient: Flats, state: Velocity) -> tuple[Flats, Velocity]:
        """Return the change -η v."""
        velocity = self.momentum * state.velocity + gradient
        return -self.learning_rate * velocity, Velocity(velocity)


@checked_keywords()
@dataclass(frozen=True)
class RMSprop:
    """Divide the gradient by its running root mean square (Tieleman & Hinton 2012, lecture 6.5).

    s ← α s + (1-α) g², θ ← θ - η g / (√s + ε), with ε outside the root and the defaults as in PyTorch.
    """

    learning_rate: float
    decay: float = 0.99
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        _settle(self, "learning_rate", above=0)
        _settle(self, "decay", least=0, below=1)
        _settle(self, "epsilon", above=0)

    def init(self, parameters: Flats) -> MeanSquare:
        """Return the state s = 0."""
        return MeanSquare(np.zeros_like(parameters))

    def step(self, gradient: Flats, state: MeanSquare) -> tuple[Flats, MeanSquare]:
        """Return the change -η g / (√s + ε)."""
        square = self.decay * state.square + (1 - self.decay) * gradient * gradient
        return -self.learning_rate * gradient / (np.sqrt(square) + self.epsilon), MeanSquare(square)


@checked_keywords()
@dataclass(frozen=True)
class Adam:
    """Adaptive moments (Kingma & Ba 2015, arXiv:1412.6980, algorithm 1).

    m ← β₁ m + (1-β₁) g, s ← β₂ s + (1-β₂) g², both divided by 1 - βⁿ at step n because they start at 0;
    θ ← θ - η m / (√s + ε).
    """

    learning_rate: float = 1e-3
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        _settle(self, "learning_rate", above=0)
        _settle(self, "beta1", least=0, below=1)
        _settle(self, "beta2", least=0, below=1)
        _settle(self, "epsilon", above=0)

    def init(self, parameters: Flats) -> Moments:
        """Return the state n = 0, m = 0, s = 0."""
        steps = np.zeros(parameters.shape[:-1], np.int64)
        return Moments(steps, np.zeros_like(parameters), np.zeros_like(parameters))

    def step(self, gradient: Flats, state: Moments) -> tuple[Flats, Moments]:
        """Return the change -η m / (√s + ε), with m and s corrected for their bias."""
        steps = state.steps + 1
        mean = self.beta1 * state.mean + (1 - self.beta1) * gradient
        square = self.beta2 * state.square + (1 - self.beta2) * gradient * gradient
        scale, root = self._without_bias(steps, gradient.dtype)
        return scale * mean / (np.sqrt(square) / root + self.epsilon), Moments(steps, mean, square)

    def _without_bias(self, steps: Int[np.ndarray, "*models"] | np.int64, dtype: np.dtype) -> tuple[Any, Any]:
        """Return -η / (1 - β₁ⁿ) and √(1 - β₂ⁿ): two numbers, or arrays `[..., 1]` if n differs between models."""
        numbers = np.ravel(steps).tolist()
        of = {n: (-self.learning_rate / (1 - self.beta1**n), (1 - self.beta2**n) ** 0.5) for n in set(numbers)}
        if len(of) == 1:
            return of[numbers[0]]
        scale, root = np.array([of[n] for n in numbers], dtype).T.reshape(2, *np.shape(steps), 1)
        return scale, root


class Step(NamedTuple):
    """One step of a chain: the change of the weights, the new state, and ‖g‖ before and after clipping."""

    change: Flats
    state: Any
    norm: Norms
    clipped_norm: Norms


@dataclass(frozen=True, init=False)
class Chain:
    """An optimiser: any number of clips, then one rule.

    Examples
    --------
    >>> optimizer = Chain(ClipByNorm(1.0), Adam(1e-2))
    >>> state = optimizer.init(np.zeros(2))
    >>> step = optimizer.step(np.array([3.0, 4.0]), state)
    >>> float(step.norm[0]), round(float(step.clipped_norm[0]), 5)
    (5.0, 1.0)

    Raises
    ------
    InvalidArgument
        If the last part is not a rule, or another part is not a clip.
    """

    clips: tuple[Clip, ...]
    rule: Rule

    def __init__(self, *parts: Clip | Rule) -> None:
        clips, rules = parts[:-1], parts[-1:]
        right = rules and hasattr(rules[0], "step") and all(callable(clip) for clip in clips)
        if not right or any(isinstance(part, type | Chain) for part in parts):
            raise InvalidArgument("the parts of a Chain", "any number of clips, then one rule", shown(parts))
        object.__setattr__(self, "clips", clips)
        object.__setattr__(self, "rule", rules[0])

    def __repr__(self) -> str:
        return f"Chain({', '.join(map(repr, (*self.clips, self.rule)))})"

    def init(self, parameters: Array) -> Any:
        """Return the rule's state before the first step."""
        parameters = _flats("parameters", parameters)
        return self.rule.init(parameters)

    @quiet
    def step(self, gradient: Array, state: Any) -> Step:
        """Clip the gradient and take one step of the rule."""
        gradient = _flats("gradient", gradient)
        norm = clipped_norm = global_norm(gradient)
        for clip in self.clips:
            gradient = clip(gradient)
            clipped_norm = global_norm(gradient)
        change, state = self.rule.step(gradient, state)
        return Step(change, state, norm, clipped_norm)


CLIPS: dict[str, type[ClipByNorm] | type[ClipByValue]] = {"norm": ClipByNorm, "value": ClipByValue}
"""Every clip by name."""

RULES: dict[str, type[SGD] | type[Momentum] | type[RMSprop] | type[Adam]] = {
    "sgd": SGD,
    "momentum": Momentum,
    "rmsprop": RMSprop,
    "adam": Adam,
}
"""Every rule by its name on the command line."""
