"""Making a `JaxNetwork` from the user's factory: the key, the checks of the factory and their messages."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
from numpy.typing import DTypeLike

from memspan.errors import generator, one_dtype, shown, whole_number
from memspan.foreign.factory import called, check_call, name_of
from memspan.foreign.faulty import FaultyModel
from memspan.jax.adapters import known_form
from memspan.jax.context import computing, device_of
from memspan.jax.network import JaxNetwork
from memspan.jax.parts import is_no_pytree, parts_of
from memspan.network import DTYPES


def weight_count(
    factory: Callable[..., Any], features: int, outputs: int, *, hidden: int, options: Mapping[str, Any]
) -> int:
    """Return P, the number of weights of a factory's models, without drawing them.

    JAX compiles what draws weights anew for each shape, which takes about a second for a model.
    """

    def parameters(key: Any) -> list[Any]:
        return parts_of(factory(features, outputs, hidden=hidden, **options, key=key)).parameters

    with computing(np.dtype("float32")):
        try:
            return sum(part.size for part in jax.eval_shape(parameters, jax.random.key(0)))
        except Exception:  # the factory looks at the numbers, or is faulty: it then says so itself
            return make_network(factory, features, outputs, hidden=hidden, options=options, rng=0).layout.size


def make_network(
    factory: Callable[..., Any],
    features: int,
    outputs: int,
    *,
    hidden: int = 32,
    options: Mapping[str, Any] | None = None,
    output_steps: int | None = None,
    dtype: DTypeLike = "float32",
    rng: np.random.Generator | np.random.SeedSequence | int | None = None,
    device: str = "cpu",
) -> JaxNetwork:
    """Build a model with the initial weights of a seed.

    The factory draws them with a key of the seed, in JAX's 32-bit mode. So the same seed gives the same weights.

    Parameters
    ----------
    factory : callable
        `factory(features, outputs, hidden=hidden, key=key, **options)` returns the model, a pytree. The key is one
        of `jax.random.key`.
    features, outputs : int
        F and O.
    hidden : int
        The number of hidden units, for the factory.
    options : mapping, optional
        Further keywords for the factory.
    output_steps : int, optional
        As in `JaxNetwork`.
    dtype : float32, float64 or complex128
        The dtype to which the parameters are converted.
    rng : Generator, SeedSequence or int, optional
        The source of the key; fresh entropy if None.
    device : str
        A platform of JAX such as `cpu` or `cuda`. On `cpu` memspan computes with one thread.

    Raises
    ------
    FaultyModel
        An `InvalidArgument`: the factory takes other arguments, raises an error or returns no model, or the model
        fails as in `JaxNetwork`.
    """
    name, options = name_of(factory), dict(options or {})
    dtype, place = one_dtype("dtype", dtype, DTYPES), device_of(device)
    sizes = whole_number("features", features), whole_number("outputs", outputs)
    words = generator("rng", rng, "weights").integers(2**32, size=2, dtype=np.uint32)
    with computing(np.dtype("float32"), place):
        key = jax.random.wrap_key_data(words, impl="threefry2x32")  # whatever the user's default is
        arguments = {"hidden": whole_number("hidden", hidden), **options, "key": key}
        check_call(factory, sizes, arguments)
        module = called(factory, sizes, arguments)
    if not callable(module) or is_no_pytree(module):
        rule = "must return a pytree that can be called, such as Steps or Sequence of memspan.jax"
        raise FaultyModel(f"The factory {name}", rule, f"it returned {shown(module)}")
    if known_form(module):
        kind = type(module).__name__
        adapted = f"Steps({kind}(...), width=hidden, outputs=outputs, key=key)"
        rule = f"must return a model that gives y [T, B, O]: {adapted}"
        raise FaultyModel(f"The factory {name}", rule, f"it returned the {kind} alone")
    return JaxNetwork(module, *sizes, output_steps=output_steps, name=name, device=place).astype(dtype)
