"""The engine that trains JAX models: several networks in one call of JAX, or one after the other."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from memspan.foreign.engine import Call, ForeignEngine
from memspan.foreign.forms import Form as AnyForm
from memspan.jax import passes
from memspan.jax.context import computing
from memspan.losses import Loss
from memspan.shapes import Array

if TYPE_CHECKING:
    from memspan.jax.network import JaxNetwork


@dataclass(frozen=True)
class Form(AnyForm):
    """How the engine computes several networks of one kind.

    Attributes
    ----------
    name : str
        `loop`: one network after the other. `map`: the same inside one compiled function, `jax.lax.map`, which
        calls JAX less often. `vmap`: all at once.
    group : int
        The number of networks in each call. A call always has as many, some of them copies if fewer are left. So
        the numbers of a network depend on the form and the group, but not on the other networks.
    """

    NAMES: ClassVar[tuple[str, ...]] = ("loop", "map", "vmap")

    def make_engine(
        self, networks: Sequence["JaxNetwork"], loss: Loss, truncate: int | None = None
    ) -> "JaxEngine":
        """Return the engine for these networks, whose weights are the rows of `parameters`."""
        return JaxEngine(networks, loss, self, truncate)


class JaxEngine(ForeignEngine):
    """An engine for networks whose model is JAX's. See `ForeignEngine` for its parameters.

    JAX compiles the passes of a model once for each shape of its inputs. It computes with one thread, and flushes
    denormal numbers to zero as the compiled engine does.
    """

    def prepared(self) -> AbstractContextManager[Any]:
        """Return the context of the precision and the device of the networks."""
        return computing(self.networks[0].dtype, self.networks[0].device)

    def gradients(self, call: Call) -> Array:
        """Return the gradients `[g, P]` of one call."""
        return PASSES[self.form.name](call)


def _loop(call: Call) -> Array:
    """Differentiate a single network."""
    (network,) = call.networks
    y, back = passes.learned(*_decided(call), call.flat[0], network.constants, call.x[0])
    return np.array(passes.taught(back, call.losses.of(np.asarray(y)[np.newaxis])[0]))[np.newaxis]


def _map(call: Call) -> Array:
    """Run all networks one after the other in one compiled function, forward and then back."""
    given = call.flat, _stacked(call), call.x
    y = passes.mapped(*_decided(call), *given)
    return np.array(passes.mapped_back(*_decided(call), *given, call.losses.of(np.asarray(y))))


def _vmap(call: Call) -> Array:
    """Run all networks at once."""
    y, back = passes.vmapped(*_decided(call), call.flat, _stacked(call), call.x)
    return np.array(passes.taught(back, call.losses.of(np.asarray(y))))


PASSES: dict[str, Callable[[Call], Array]] = {"loop": _loop, "map": _map, "vmap": _vmap}
"""The gradients `[g, P]` of one call, by the name of the form."""


def _decided(call: Call) -> tuple[Any, int, int | None]:
    """Return what the compiled function of a call depends on."""
    network = call.networks[0]
    return network.program, network.answers, call.truncate


def _stacked(call: Call) -> list[Any]:
    """Return the arrays of all networks that are not trained."""
    each = [network.constants for network in call.networks]
    return [np.stack(parts) for parts in zip(*each, strict=True)]
