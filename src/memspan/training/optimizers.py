"""Optimisers: clips, one rule, and the chain that puts them in the only right order.

A *clip* maps a gradient to a shorter one. A *rule* maps a gradient and its own memory to the change of the
weights. `Chain(clips..., rule)` is an optimiser: since the clips stand inside it, clipping can happen
neither before the backward pass nor after the step. Gradients are flat vectors `[..., P]`; everything
acts on the last axis.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from jaxtyping import Float, Int

from memspan.errors import InvalidArgument, real_number
from memspan.runtime.renamed import checked_keywords

Flats = Float[np.ndarray, "*models parameters"]
"""The weights of one network or of several, or their gradients, or what an optimiser remembers of each weight."""

Norms = Float[np.ndarray, "*models 1"]
"""One number for each network."""


class Clip(Protocol):
    """Shortens gradients; keeps no memory."""

    def __call__(self, gradient: Flats) -> Flats:
        """The gradient, clipped."""


class Rule(Protocol):
    """Turns gradients into changes of the weights."""

    def init(self, parameters: Flats) -> Any:
        """The memory before the first step: a named tuple of arrays, whose first axes are those of `[..., P]`."""

    def step(self, gradient: Flats, state: Any) -> tuple[Flats, Any]:
        """What to add to the weights, and the memory after it."""


def _settle(part: Clip | Rule, name: str, **bounds: float) -> None:
    """Check one number of a frozen part; keep it as a Python float: NumPy's would widen a float32 gradient."""
    object.__setattr__(part, name, real_number(name, getattr(part, name), **bounds))


def global_norm(gradient: Flats) -> Norms:
    """‖g‖₂ over the last axis, kept as an axis of length 1, in float64: float32 would overflow at 1e19."""
    wide = np.asarray(gradient, dtype=np.float64)
    return np.sqrt(np.vecdot(wide, wide))[..., np.newaxis]


@checked_keywords()
@dataclass(frozen=True)
class ClipByNorm:
    """Rescale to a norm of at most `limit`: g · min(1, limit / (‖g‖ + 1e-6)).

    Pascanu, Mikolov & Bengio 2013 (arXiv:1211.5063), algorithm 1; the 1e-6 is PyTorch's `clip_grad_norm_`.
    """

    limit: float

    def __post_init__(self) -> None:
        _settle(self, "limit", above=0)

    def __call__(self, gradient: Flats) -> Flats:
        """The rescaled gradient."""
        factor = np.minimum(1.0, self.limit / (global_norm(gradient) + 1e-6))
        return gradient * factor.astype(gradient.dtype)


@checked_keywords()
@dataclass(frozen=True)
class ClipByValue:
    """Cut every element to [-limit, limit] (Mikolov 2012, as told in arXiv:1211.5063, section 3.2)."""

    limit: float

    def __post_init__(self) -> None:
        _settle(self, "limit", above=0)

    def __call__(self, gradient: Flats) -> Flats:
        """The cut gradient."""
        return np.clip(gradient, -self.limit, self.limit)


class NoState(NamedTuple):
    """Nothing to remember."""


class Velocity(NamedTuple):
    """What momentum remembers: the decayed sum of gradients."""

    velocity: Flats


class MeanSquare(NamedTuple):
    """What RMSprop remembers: the moving average of squared gradients."""

    square: Flats


class Moments(NamedTuple):
    """What Adam remembers: the number of steps, and moving averages of g and g²."""

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
        """No memory."""
        return NoState()

    def step(self, gradient: Flats, state: NoState) -> tuple[Flats, NoState]:
        """-η g."""
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
        """v = 0."""
        return Velocity(np.zeros_like(parameters))

    def step(self, gradient: Flats, state: Velocity) -> tuple[Flats, Velocity]:
        """-η v."""
        velocity = self.momentum * state.velocity + gradient
        return -self.learning_rate * velocity, Velocity(velocity)


@checked_keywords()
@dataclass(frozen=True)
class RMSprop:
    """Divide by a running root mean square (Tieleman & Hinton 2012, lecture 6.5).

    s ← α s + (1-α) g², θ ← θ - η g / (√s + ε), with PyTorch's place for ε and its defaults.
    """

    learning_rate: float
    decay: float = 0.99
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        _settle(self, "learning_rate", above=0)
        _settle(self, "decay", least=0, below=1)
        _settle(self, "epsilon", above=0)

    def init(self, parameters: Flats) -> MeanSquare:
        """s = 0."""
        return MeanSquare(np.zeros_like(parameters))

    def step(self, gradient: Flats, state: MeanSquare) -> tuple[Flats, MeanSquare]:
        """-η g / (√s + ε)."""
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
        """n = 0, m = 0, s = 0."""
        steps = np.zeros(parameters.shape[:-1], np.int64)
        return Moments(steps, np.zeros_like(parameters), np.zeros_like(parameters))

    def step(self, gradient: Flats, state: Moments) -> tuple[Flats, Moments]:
        """-η m / (√s + ε), both without their bias."""
        steps = state.steps + 1
        mean = self.beta1 * state.mean + (1 - self.beta1) * gradient
        square = self.beta2 * state.square + (1 - self.beta2) * gradient * gradient
        scale, root = self._without_bias(steps, gradient.dtype)
        return scale * mean / (np.sqrt(square) / root + self.epsilon), Moments(steps, mean, square)

    def _without_bias(self, steps: Int[np.ndarray, "*models"] | np.int64, dtype: np.dtype) -> tuple[Any, Any]:
        """-η / (1 - β₁ⁿ) and √(1 - β₂ⁿ): two numbers, or where n differs between models `[..., 1]` each."""
        numbers = np.ravel(steps).tolist()
        of = {n: (-self.learning_rate / (1 - self.beta1**n), (1 - self.beta2**n) ** 0.5) for n in set(numbers)}
        if len(of) == 1:
            return of[numbers[0]]
        scale, root = np.array([of[n] for n in numbers], dtype).T.reshape(2, *np.shape(steps), 1)
        return scale, root


class Step(NamedTuple):
    """One step of a chain: what to add to the weights, the new memory, and ‖g‖ before and after the clips."""

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
        When the last part is not a rule, or one before it is not a clip.
    """

    clips: tuple[Clip, ...]
    rule: Rule

    def __init__(self, *parts: Clip | Rule) -> None:
        clips, rules = parts[:-1], parts[-1:]
        right = rules and hasattr(rules[0], "step") and all(callable(clip) for clip in clips)
        if not right or any(isinstance(part, type | Chain) for part in parts):
            raise InvalidArgument("the parts of a Chain", "any number of clips, then one rule", repr(parts))
        object.__setattr__(self, "clips", clips)
        object.__setattr__(self, "rule", rules[0])

    def __repr__(self) -> str:
        return f"Chain({', '.join(map(repr, (*self.clips, self.rule)))})"

    def init(self, parameters: Flats) -> Any:
        """The rule's memory before the first step."""
        return self.rule.init(parameters)

    def step(self, gradient: Flats, state: Any) -> Step:
        """Clip, then step."""
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
"""Every rule by the name that the command line takes."""
