"""The two engines as training uses them: both check their inputs, and take batches of different shapes."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Inexact

from memspan.diagnostics import GradientFlow
from memspan.engines.base import Differentiated
from memspan.engines.compiled import CompiledEngine
from memspan.errors import one_of
from memspan.losses import Loss, value_of
from memspan.network import Network
from memspan.runtime.renamed import warn_renamed
from memspan.shapes import Array, Outputs

ENGINES = ("compiled", "readable")
RENAMED = {"fused": "compiled"}
"""Old names of engines."""


def engine_name(given: str) -> str:
    """One of `ENGINES`, checked; an old name warns whoever made the ensemble or learner."""
    if str(given) in RENAMED:
        warn_renamed(f'engine="{given}"', f'engine="{RENAMED[given]}"', stacklevel=3)
        return RENAMED[given]
    return one_of("engine", given, ENGINES)


class ReadableEngine:
    """The readable engine: the networks' own methods, one network after the other.

    It calls `forward`, `backpropagate` and `predict` of each network, those that a subclass has of its own
    included. Afterwards each has its `trace` and `grads`.

    Parameters
    ----------
    networks : sequence of M Network
        Their weights must be the rows of `parameters` below.
    loss : Loss
    """

    def __init__(self, networks: Sequence[Network], loss: Loss) -> None:
        self.networks, self.loss = networks, loss

    def differentiate(
        self,
        parameters: Inexact[np.ndarray, "models parameters"],
        batches: Sequence[tuple[Array, Array]],
        *,
        norms: bool = False,
    ) -> Differentiated:
        """As in `Engine`."""
        losses, gradients, flows = np.empty(len(parameters)), np.empty_like(parameters), []
        for k, (network, (x, y)) in enumerate(zip(self.networks, batches, strict=True)):
            losses[k] = value_of(self.loss, network.forward(x), y)
            grads = network.backpropagate(self.loss.backward())
            gradients[k] = grads.total()
            if norms:
                flows.append(GradientFlow.of(grads).d_a)
        return Differentiated(losses, gradients, flows)

    def predict(
        self, parameters: Inexact[np.ndarray, "models parameters"], inputs: Sequence[Array]
    ) -> list[Outputs]:
        """As in `Engine`."""
        return [network.predict(x) for network, x in zip(self.networks, inputs, strict=True)]


class AnyShapes:
    """The compiled engine for batches of any shapes: it computes them at once where they have one shape.

    Each x is checked as the networks check it.

    Parameters
    ----------
    network : Network
        Any of the networks: they differ in nothing but their weights.
    loss : Loss
    memory : int
        As for `CompiledEngine`.
    """

    def __init__(self, network: Network, loss: Loss, memory: int) -> None:
        self.network = network
        self.engine = CompiledEngine(
            network.layout, network.dtype, loss, output_steps=network.output_steps, memory=memory
        )

    def differentiate(
        self,
        parameters: Inexact[np.ndarray, "models parameters"],
        batches: Sequence[tuple[Array, Array]],
        *,
        norms: bool = False,
    ) -> Differentiated:
        """As in `Engine`."""
        batches = [(self._inputs(x), y) for x, y in batches]
        if len({(x.shape, y.shape) for x, y in batches}) == 1:
            return self.engine.differentiate(parameters, batches, norms=norms)
        alone = [
            self.engine.differentiate(parameters[k : k + 1], [batch], norms=norms)
            for k, batch in enumerate(batches)
        ]
        losses = np.concatenate([found.losses for found in alone])
        gradients = np.concatenate([found.gradients for found in alone])
        return Differentiated(losses, gradients, [found.norms[0] for found in alone])

    def predict(
        self, parameters: Inexact[np.ndarray, "models parameters"], inputs: Sequence[Array]
    ) -> Sequence[Outputs] | Inexact[np.ndarray, "models *output_steps batch outputs"]:
        """As in `Engine`."""
        inputs = [self._inputs(x) for x in inputs]
        if len({x.shape for x in inputs}) == 1:
            return self.engine.predict(parameters, inputs)
        return [self.engine.predict(parameters[k : k + 1], [x])[0] for k, x in enumerate(inputs)]

    def _inputs(self, x: Array) -> Array:
        """`x` as the network wants it; it is checked closely only where it is not plainly right."""
        network = self.network
        plain = x.dtype == network.dtype and x.ndim == 3 and x.size and x.shape[-1] == network.input_size
        return x if plain and len(x) >= (network.output_steps or 1) else network.inputs(x)
