"""Wrong JAX models, each with one planted mistake, as those of PyTorch in `memspan.torch.mistakes`.

`tests/testing/test_models_jax.py` requires that `memspan.testing.check_model` names every one.
`benchmarks/model_checks.py` gives the same models to `jax.test_util.check_grads`.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from memspan.gradcheck.mistakes import ModelMistake


class RightModel:
    """The tanh network without a mistake: h[t] = tanh(W x[t] + R h[t-1] + b), y[t] = V h[t] + c."""

    W: Any
    R: Any
    V: Any
    b: Any
    c: Any

    def __init__(self, features: int, outputs: int, hidden: int = 8, *, key: Any) -> None:
        shapes = {"W": (features, hidden), "R": (hidden, hidden), "V": (hidden, outputs)}
        for (name, shape), one in zip(shapes.items(), jax.random.split(key, 3), strict=True):
            setattr(self, name, 0.4 * jax.random.normal(one, shape))
        self.b, self.c = jnp.zeros(hidden), jnp.zeros(outputs)

    def __init_subclass__(cls) -> None:
        _register(cls)

    def __call__(self, x: Any, state: Any = None) -> tuple[Any, Any]:
        """Return y `[T, B, O]` and the last state `[B, H]`."""

        def step(h: Any, given: Any) -> tuple[Any, Any]:
            x_t, t = given
            h = self.next(x_t, t, h)
            return h, h

        h, states = jax.lax.scan(step, self.initial(x) if state is None else state, (x, jnp.arange(len(x))))
        return states @ self.V + self.c, h

    def initial(self, x: Any) -> Any:
        """The state before the first step."""
        return jnp.zeros((x.shape[1], len(self.b)), x.dtype)

    def next(self, x: Any, t: Any, h: Any) -> Any:
        """The state after step t."""
        return jnp.tanh(self.drive(x) + h @ self.R)

    def drive(self, x: Any) -> Any:
        """What the input adds to the sums of the units."""
        return x @ self.W + self.b


def _register(kind: type) -> None:
    """Make the attributes of a class the leaves of a pytree."""

    def flatten(model: Any) -> tuple[list[tuple[Any, Any]], tuple[str, ...]]:
        named = vars(model)
        return [(jax.tree_util.GetAttrKey(name), leaf) for name, leaf in named.items()], tuple(named)

    def unflatten(names: tuple[str, ...], leaves: Any) -> Any:
        model: Any = object.__new__(kind)
        vars(model).update(zip(names, leaves, strict=True))
        return model

    jax.tree_util.register_pytree_with_keys(kind, flatten, unflatten)


_register(RightModel)


class Stopped(RightModel):
    """The gradient of the state is stopped before every step."""

    def next(self, x: Any, t: Any, h: Any) -> Any:
        return super().next(x, t, jax.lax.stop_gradient(h))


class Truncated(RightModel):
    """The gradient of the state is stopped before every fourth step."""

    def next(self, x: Any, t: Any, h: Any) -> Any:
        return super().next(x, t, jnp.where(t % 4 == 0, jax.lax.stop_gradient(h), h))


@jax.custom_vjp  # type: ignore[untyped-decorator, unused-ignore]
def _scaled(a: Any) -> Any:
    return a


_scaled.defvjp(lambda a: (a, None), lambda _, d_a: (1.0001 * d_a,))


class Scaled(RightModel):
    """The backward pass of a custom_vjp is 1.0001 times the right one."""

    def next(self, x: Any, t: Any, h: Any) -> Any:
        return _scaled(super().next(x, t, h))


@jax.custom_vjp  # type: ignore[untyped-decorator, unused-ignore]
def _rounded(a: Any) -> Any:
    return a


_rounded.defvjp(lambda a: (a, None), lambda _, d_a: (d_a.astype(jnp.float32).astype(d_a.dtype),))


class RoundedBackward(RightModel):
    """The backward pass of a custom_vjp rounds to float32."""

    def next(self, x: Any, t: Any, h: Any) -> Any:
        return _rounded(super().next(x, t, h))


@jax.custom_vjp  # type: ignore[untyped-decorator, unused-ignore]
def _clipped(a: Any) -> Any:
    return a


_clipped.defvjp(lambda a: (a, None), lambda _, d_a: (jnp.clip(d_a, -1, 1),))


class Clipped(RightModel):
    """The gradient of the state is clipped to ±1 by a custom_vjp."""

    def next(self, x: Any, t: Any, h: Any) -> Any:
        return _clipped(super().next(x, t, h))


class BatchFirst(RightModel):
    """The model takes x for [B, T, F]."""

    def __call__(self, x: Any, state: Any = None) -> tuple[Any, Any]:
        y, _ = super().__call__(jnp.swapaxes(x, 0, 1))
        return jnp.swapaxes(y, 0, 1), self.initial(x)


class Bidirectional(RightModel):
    """A second pass reads the sequence backwards."""

    def __call__(self, x: Any, state: Any = None) -> tuple[Any, Any]:
        ahead, h = super().__call__(x, state)
        back, _ = super().__call__(x[::-1], state)
        return ahead + back[::-1], h


class Centred(RightModel):
    """The mean of x over time is subtracted."""

    def __call__(self, x: Any, state: Any = None) -> tuple[Any, Any]:
        return super().__call__(x - x.mean(axis=0), state)


class BatchNormed(RightModel):
    """The mean of the batch is subtracted from the input of every step."""

    def drive(self, x: Any) -> Any:
        return super().drive(x - x.mean(axis=0))


class StepLate(RightModel):
    """y[t] is read from the state before step t."""

    def __call__(self, x: Any, state: Any = None) -> tuple[Any, Any]:
        def step(h: Any, given: Any) -> tuple[Any, Any]:
            x_t, t = given
            return self.next(x_t, t, h), h

        h, states = jax.lax.scan(step, self.initial(x) if state is None else state, (x, jnp.arange(len(x))))
        return states @ self.V + self.c, h


class StateIgnored(RightModel):
    """The given state is ignored."""

    def __call__(self, x: Any, state: Any = None) -> tuple[Any, Any]:
        return super().__call__(x)


class StateStopped(RightModel):
    """The gradient of the given state is stopped."""

    def __call__(self, x: Any, state: Any = None) -> tuple[Any, Any]:
        return super().__call__(x, None if state is None else jax.lax.stop_gradient(state))


class StateNotCarried(RightModel):
    """Every step starts from the same state."""

    def next(self, x: Any, t: Any, h: Any) -> Any:
        return super().next(x, t, jnp.full_like(h, 0.1))


class Dropped(RightModel):
    """Dropout on the state, with a key from NumPy's generator."""

    def next(self, x: Any, t: Any, h: Any) -> Any:
        key = jax.random.key(np.random.default_rng().integers(2**31))
        return super().next(x, t, h * jax.random.bernoulli(key, 0.9, h.shape))


class _Layer:
    """An object that is no pytree, so that JAX does not find the array in it."""

    def __init__(self, width: int) -> None:
        self.scale = jnp.full(width, 0.5)


class Unregistered(RightModel):
    """A weight is in an object that is no pytree, so that it is no leaf of the model."""

    def __init__(self, features: int, outputs: int, hidden: int = 8, *, key: Any) -> None:
        super().__init__(features, outputs, hidden, key=key)
        self.layer = _Layer(hidden)

    def next(self, x: Any, t: Any, h: Any) -> Any:
        return super().next(x, t, h * self.layer.scale.astype(h.dtype))


class Unused(RightModel):
    """A parameter is never used."""

    def __init__(self, features: int, outputs: int, hidden: int = 8, *, key: Any) -> None:
        super().__init__(features, outputs, hidden, key=key)
        self.extra = jnp.ones(hidden)


class StoppedParameter(RightModel):
    """The gradient of R is stopped."""

    def next(self, x: Any, t: Any, h: Any) -> Any:
        return jnp.tanh(self.drive(x) + h @ jax.lax.stop_gradient(self.R))


class Float32Cast(RightModel):
    """The state passes through float32."""

    def next(self, x: Any, t: Any, h: Any) -> Any:
        return super().next(x, t, h.astype(jnp.float32).astype(h.dtype))


class FixedSeed(RightModel):
    """The factory ignores its key."""

    def __init__(self, features: int, outputs: int, hidden: int = 8, *, key: Any) -> None:
        super().__init__(features, outputs, hidden, key=jax.random.key(0))


class OtherGenerator(RightModel):
    """R is drawn by NumPy, without a seed."""

    def __init__(self, features: int, outputs: int, hidden: int = 8, *, key: Any) -> None:
        super().__init__(features, outputs, hidden, key=key)
        self.R = jnp.asarray(np.random.default_rng().uniform(-0.3, 0.3, (hidden, hidden)), jnp.float32)


MODEL_MISTAKES: dict[str, ModelMistake] = {
    "stop_gradient in the loop": ModelMistake(Stopped, "gradient", "Usual cause: detach"),
    "truncated": ModelMistake(Truncated, "gradient", "every few steps"),
    "backward x 1.0001": ModelMistake(Scaled, "gradient", "1.0001 times the right one in step 10"),
    "float32 backward": ModelMistake(RoundedBackward, "gradient", "a backward pass in float32"),
    "clipped inside": ModelMistake(Clipped, "linear", "clipped"),
    "batch_first": ModelMistake(BatchFirst, "samples", "batch_first"),
    "bidirectional": ModelMistake(Bidirectional, "causal", "bidirectional"),
    "centred over time": ModelMistake(Centred, "causal", "a mean"),
    "batch norm": ModelMistake(BatchNormed, "samples", "normalisation over the batch"),
    "one step late": ModelMistake(StepLate, "present", "one step late"),
    "state ignored": ModelMistake(StateIgnored, "resume", "ignores the state"),
    "given state stopped": ModelMistake(StateStopped, "state gradient", "on the state that the model is given"),
    "state not carried": ModelMistake(StateNotCarried, "memory", "not carried"),
    "dropout": ModelMistake(Dropped, "repeat", "dropout"),
    "weight that is no leaf": ModelMistake(Unregistered, "registered", r"an array of shape \(8,\)"),
    "unused parameter": ModelMistake(Unused, "used", "extra does not change y"),
    "stopped parameter": ModelMistake(StoppedParameter, "used", "R changes y"),
    "float32 cast": ModelMistake(Float32Cast, "precision", "float32 buffer or cast"),
    "fixed seed": ModelMistake(FixedSeed, "seed", "fixed seed"),
    "other generator": ModelMistake(OtherGenerator, "seed", "other values of R"),
}
"""Every mistake by name."""
