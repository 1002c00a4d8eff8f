"""The engines as training uses them: all check their inputs and accept batches of different shapes."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Self

import numpy as np
from jaxtyping import Inexact

from memspan.diagnostics.flow import norms_of
from memspan.engines.base import Differentiated, Engine, EngineMaker
from memspan.engines.compiled import CompiledEngine
from memspan.errors import InvalidArgument, one_of, shown
from memspan.losses import Loss, value_of
from memspan.network import Model, Network
from memspan.runtime.renamed import warn_renamed
from memspan.shapes import Array, Outputs
from memspan.training.arguments import check_plain

ENGINES = ("compiled", "readable")
RENAMED = {"fused": "compiled"}
"""Current names of engines by their old names."""


def engine_name(given: Any) -> Any:
    """Return an engine by its present name; translate an old name, with a warning."""
    if str(given) in RENAMED:
        warn_renamed(f'engine="{given}"', f'engine="{RENAMED[given]}"', stacklevel=3)
        return RENAMED[given]
    return given


def engine_of(
    models: Sequence[Model], engine: Any, loss: Loss, memory: int
) -> Callable[[Sequence[Model]], Engine]:
    """Return the function that makes the engine of those models that are still in training.

    Parameters
    ----------
    models : sequence of Model
        Models that differ only in their weights.
    engine : str, EngineMaker or None
        The engine; by default that which the models name.
    loss : Loss
    memory : int
        As in `CompiledEngine`.
    """
    first, engine = models[0], models[0].engine if engine is None else engine
    if isinstance(engine, EngineMaker) and not isinstance(first, Network):
        return partial(engine.make_engine, loss=loss)
    if not isinstance(first, Network) and engine != "readable":
        rule = f"'readable' or an engine for a {type(first).__name__}, such as {first.engine!r}"
        raise InvalidArgument("engine", rule, shown(engine))
    if one_of("engine", engine, ENGINES) == "readable":
        return partial(ReadableEngine, loss=loss)
    networks = [model for model in models if isinstance(model, Network)]
    check_plain(networks)
    return AnyShapes(networks[0], loss, memory).of


class ReadableEngine:
    """The readable engine: it calls the methods of one network after the other.

    These are `forward`, `backpropagate` and `predict`, which a subclass of `Network` may override. Afterwards each
    network has its `trace` and `grads`.

    Parameters
    ----------
    networks : sequence of M Model
        The networks, whose weights must be the rows of `parameters` in the methods.
    loss : Loss
    """

    def __init__(self, networks: Sequence[Model], loss: Loss) -> None:
        self.networks, self.loss = networks, loss

    def differentiate(
        self,
        parameters: Inexact[np.ndarray, "models parameters"],
        batches: Sequence[tuple[Array, Array]],
        *,
        norms: Sequence[int] = (),
    ) -> Differentiated:
        """See `Engine`."""
        losses, gradients, measured = np.empty(len(parameters)), np.empty_like(parameters), {}
        for k, (network, (x, y)) in enumerate(zip(self.networks, batches, strict=True)):
            losses[k] = value_of(self.loss, network.forward(x), y)
            grads = network.backpropagate(self.loss.backward())
            gradients[k] = grads.total()
            if k in norms:
                measured[k] = norms_of(grads.d_a)
        return Differentiated(losses, gradients, [measured[k] for k in norms])

    def predict(
        self, parameters: Inexact[np.ndarray, "models parameters"], inputs: Sequence[Array]
    ) -> list[Outputs]:
        """See `Engine`."""
        return [network.predict(x) for network, x in zip(self.networks, inputs, strict=True)]


class AnyShapes:
    """The compiled engine for batches of any shapes. Batches of the same shape are computed in one call.

    Each x is checked in the same way as in `Network.forward`.

    Parameters
    ----------
    network : Network
        Any one of the networks, which differ only in their weights.
    loss : Loss
    memory : int
        As in `CompiledEngine`.
    """

    def __init__(self, network: Network, loss: Loss, memory: int) -> None:
        self.network = network
        self.engine = CompiledEngine(
            network.layout, network.dtype, loss, output_steps=network.output_steps, memory=memory
        )

    def of(self, networks: Sequence[Model]) -> Self:
        """Return the engine itself, which serves any of the networks."""
        return self

    def differentiate(
        self,
        parameters: Inexact[np.ndarray, "models parameters"],
        batches: Sequence[tuple[Array, Array]],
        *,
        norms: Sequence[int] = (),
    ) -> Differentiated:
        """See `Engine`."""
        batches = [(self._inputs(x), y) for x, y in batches]
        if len({(x.shape, y.shape) for x, y in batches}) == 1:
            return self.engine.differentiate(parameters, batches, norms=norms)
        alone = [
            self.engine.differentiate(parameters[k : k + 1], [batch], norms=[0] if k in norms else [])
            for k, batch in enumerate(batches)
        ]
        losses = np.concatenate([found.losses for found in alone])
        gradients = np.concatenate([found.gradients for found in alone])
        return Differentiated(losses, gradients, [alone[k].norms[0] for k in norms])

    def predict(
        self, parameters: Inexact[np.ndarray, "models parameters"], inputs: Sequence[Array]
    ) -> Sequence[Outputs] | Inexact[np.ndarray, "models *output_steps batch outputs"]:
        """See `Engine`."""
        inputs = [self._inputs(x) for x in inputs]
        if len({x.shape for x in inputs}) == 1:
            return self.engine.predict(parameters, inputs)
        return [self.engine.predict(parameters[k : k + 1], [x])[0] for k, x in enumerate(inputs)]

    def _inputs(self, x: Array) -> Array:
        """Return `x` if it clearly fits the network; otherwise let the network check and convert it."""
        network = self.network
        plain = x.dtype == network.dtype and x.ndim == 3 and x.size and x.shape[-1] == network.input_size
        return x if plain and len(x) >= (network.output_steps or 1) else network.inputs(x)
