"""A foreign model under check: how it is built, what it is run on, and what is needed from its framework."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any, NamedTuple, Protocol

import numpy as np
from jaxtyping import Float

from memspan.errors import FaultyPart
from memspan.runtime.imports import library_of
from memspan.shapes import Array
from memspan.testing.report import Found

STEPS, BATCH = 11, 3
"""T and B of the sequences; different, so that exchanged axes are seen."""
MOVE = 0.05
"""How far the weights are moved from their initial values, relative to each; initial zeros get this size."""
ROUNDING = 1e-10
"""How far two computations of the same numbers may differ, relative to the largest of them."""
LEAK = 64 * float(np.finfo(np.float64).eps)
"""How large a derivative that is 0 may be, relative to the largest: a Fourier transform leaves rounding errors."""

Weights = dict[str, Array]
"""Parameters, or their gradients, by name."""
Reach = Float[np.ndarray, "time batch time batch"]
"""How strongly y[t, b] depends on x[t', b']."""


class Pulled(NamedTuple):
    """The gradient of a loss by back-propagation.

    Attributes
    ----------
    x : array [T, B, F]
        With respect to the sequences.
    weights : dict of str to array
        With respect to each parameter.
    state : list of array
        With respect to each array of the initial state; empty if the model was called without one.
    """

    x: Array
    weights: Weights
    state: list[Array]


class Subject(Protocol):
    """A model of some framework in one dtype. Arrays are NumPy's; a state stays the model's own."""

    @property
    def made_in(self) -> set[str]:
        """The dtypes of the parameters as the factory made them, before they were moved to one."""

    @property
    def weights(self) -> Weights:
        """The parameters that training changes, by name, copied."""

    def set_weights(self, weights: Mapping[str, Array]) -> None:
        """Overwrite the named parameters."""

    def run(self, x: Array, state: Any = None) -> tuple[Array, Any]:
        """Call the model once, as the user would."""

    def evaluate(self, x: Array, state: Any = None) -> tuple[Array, Any]:
        """The same for many calls; it may be compiled."""

    def leaves(self, state: Any) -> list[Array]:
        """The arrays of a state."""

    def with_leaves(self, state: Any, leaves: Iterable[Array]) -> Any:
        """A state of the same form with other arrays."""

    def pull(
        self, x: Array, d_ys: Iterable[Array], state: Any = None
    ) -> Iterator[tuple[Array, Weights, list[Array]]]:
        """The gradient of Σ d_y · y with respect to x, to each parameter and to the state, for each d_y."""

    @property
    def has_step(self) -> bool:
        """Whether the model has a step beside its call."""

    def step(self, x: Array, state: Any) -> tuple[Array, Any]:
        """Call the model's own step on `x [B, F]`."""

    def strays(self, x: Array) -> list[str]:
        """The arrays that the model uses, but which do not move with it to another dtype or device."""

    def evaluating(self) -> bool:
        """Put the model into its mode for use after training; whether there is one."""

    def parts(self) -> Iterator[str]:
        """The names and descriptions of the model's layers."""


@dataclass
class Case:
    """A factory with the sizes and the seed that it gets.

    Attributes
    ----------
    factory : callable
        `(features, outputs, hidden=...) -> model`; that of a JAX model also takes `key=`.
    features, outputs : int
        F and O.
    options : dict
        Further arguments of the factory, such as `hidden`.
    seed : int
        For the weights, the sequences and the directions.
    """

    factory: Callable[..., Any]
    features: int
    outputs: int
    options: dict[str, Any] = field(default_factory=dict)
    seed: int = 0

    def build(self, dtype: Any = np.float32, seed: int | None = None) -> Any:
        """Build a new model with its initial weights, a `Subject`."""
        kind = subject_of(self.factory)
        make = partial(self.factory, self.features, self.outputs, **self.options)
        return kind.build(make, self.seed if seed is None else seed, dtype)

    @cached_property
    def native(self) -> Subject:
        """The model in float32, in which memspan trains by default."""
        model: Subject = self.build()
        return model

    @cached_property
    def double(self) -> Subject:
        """The model in float64, with weights moved a little from their initial values, which may be 0 or 1."""
        model: Subject = self.build(np.float64)
        initial, rng = model.weights, self.rng(1)
        moves = {name: rng.standard_normal(weight.shape) * MOVE for name, weight in initial.items()}
        model.set_weights(
            {name: weight + moves[name] * np.where(weight == 0, 1, weight) for name, weight in initial.items()}
        )
        if not np.isfinite(model.run(self.x)[0]).all():
            model.set_weights(initial)
        return model

    def again(self, dtype: Any = np.float32) -> Any:
        """Build another model with the weights of `native`, or of `double` in another dtype than float32."""
        model = self.build(dtype)
        model.set_weights((self.native if dtype is np.float32 else self.double).weights)
        return model

    def rng(self, purpose: int) -> np.random.Generator:
        """A generator for one purpose, the same in every call."""
        return np.random.default_rng((self.seed, purpose))

    def inputs(self, purpose: int, steps: int = STEPS, batch: int = BATCH) -> Array:
        """Draw sequences `[T, B, F]`."""
        return self.rng(purpose).uniform(-1, 1, (steps, batch, self.features))

    @cached_property
    def x(self) -> Array:
        """The sequences on which most contracts are checked."""
        return self.inputs(2)

    @property
    def single(self) -> Array:
        """The same in float32."""
        return self.x.astype(np.float32)

    @cached_property
    def first(self) -> Array:
        """The answer to `single` of a model that was not called before."""
        return np.array(self.called_once.run(self.single)[0])

    @cached_property
    def called_once(self) -> Subject:
        """The model that gave `first`."""
        model: Subject = self.again()
        return model

    @cached_property
    def y(self) -> Array:
        """The model's answer to `x`."""
        return np.array(self.double.evaluate(self.x)[0])

    @cached_property
    def d_y(self) -> Array:
        """A gradient of the loss for every step, `[T, B, O]`."""
        return self.rng(3).standard_normal((STEPS, BATCH, self.outputs))

    def pull(self, d_ys: Iterable[Array], state: Any = None) -> Iterator[Pulled]:
        """The gradient of Σ d_y · y for `x`, for each d_y."""
        return (Pulled(*found) for found in self.double.pull(self.x, d_ys, state))

    @cached_property
    def reach(self) -> Reach:
        """The largest derivative of a mean of y[t, b] with respect to an element of x[t', b'], for all pairs."""

        def each() -> Iterator[Array]:
            for place in np.ndindex(STEPS, BATCH):
                d_y = np.zeros_like(self.d_y)
                d_y[place] = self.d_y[place]
                yield d_y

        found = np.array([np.abs(pulled.x).max(axis=2) for pulled in self.pull(each())])
        return found.reshape(STEPS, BATCH, STEPS, BATCH)

    @property
    def least(self) -> float:
        """The largest derivative in `reach` that counts as 0."""
        return LEAK * float(self.reach.max())

    @property
    def axes_exchanged(self) -> bool:
        """Whether y[t] depends on x[t] alone, and on other samples: the model takes the batch for time."""
        other_steps, other_samples = ~np.eye(STEPS, dtype=bool), ~np.eye(BATCH, dtype=bool)
        between = self.reach.max(axis=(0, 2))[other_samples]
        return bool((self.reach.max(axis=(1, 3))[other_steps] <= self.least).all() and between.max() > self.least)

    def parts(self, *kinds: str) -> str:
        """The layers of the model whose description contains one of the words, as text."""
        found = (part.partition("(")[0] for part in self.native.parts() if any(kind in part for kind in kinds))
        return ", ".join(found)


def subject_of(factory: Callable[..., Any]) -> Any:
    """The class of `Subject` for the models of a factory: JAX if it takes `key=`, otherwise PyTorch."""
    jax = library_of(factory) == "jax"
    try:
        if jax:
            from memspan.jax.subject import JaxSubject

            return JaxSubject
        from memspan.torch.subject import TorchSubject
    except ImportError as error:
        name, extra = ("JAX", "jax") if jax else ("PyTorch", "torch")
        raise FaultyPart(f"{name} cannot be imported (pip install 'memspan[{extra}]'): {error}") from error
    return TorchSubject


def difference(found: Array, expected: Array) -> float:
    """The largest difference relative to the largest number; NaN counts as infinite."""
    scale = float(np.abs(expected).max(initial=0)) or 1.0
    return float(np.nan_to_num(np.abs(found - expected), nan=np.inf).max(initial=0)) / scale


def demand_alike(found: Array, expected: Array, what: str, cause: str = "") -> None:
    """Raise `Found` unless two arrays agree up to rounding; `what` precedes "differs"."""
    if found.shape != expected.shape:
        raise Found(f"{what} has the shape {found.shape} instead of {expected.shape}", cause)
    if not difference(found, expected) <= ROUNDING:
        apart = np.abs(found - expected)
        place = tuple(map(int, np.unravel_index(np.nan_to_num(apart, nan=np.inf).argmax(), apart.shape)))
        where = f"[{', '.join(map(str, place))}]" if place else ""
        raise Found(f"{what} differs by up to {apart[place]:.3g}, at {where}", cause)
