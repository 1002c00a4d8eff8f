"""An engine for any number of networks that differ from a foreign model in their weights only."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Inexact

from memspan.engines.base import Differentiated, Engine
from memspan.losses import Loss
from memspan.shapes import Array, Outputs

if TYPE_CHECKING:
    from memspan.foreign.network import ForeignNetwork


class RowsEngine:
    """The engine that a model names, for networks whose weights are the rows of `parameters`. See `Engine`.

    Parameters
    ----------
    model : ForeignNetwork
        All networks have its constants, if it has any.
    loss : Loss
    """

    def __init__(self, model: "ForeignNetwork", loss: Loss) -> None:
        self.model, self.loss = model, loss
        self.layout, self.output_steps = model.layout, model.output_steps
        self._by_count: dict[int, Engine] = {}  # a library may compile an engine for the number of its networks

    def differentiate(
        self,
        parameters: Inexact[np.ndarray, "models parameters"],
        batches: Sequence[tuple[Array, Array]],
        *,
        norms: Sequence[int] = (),
    ) -> Differentiated:
        """See `Engine`."""
        count = len(parameters)
        if count not in self._by_count:
            self._by_count[count] = self.model.engine.make_engine([self.model] * count, self.loss)
        return self._by_count[count].differentiate(parameters, batches, norms=norms)

    def predict(
        self, parameters: Inexact[np.ndarray, "models parameters"], inputs: Sequence[Array]
    ) -> list[Outputs]:
        """See `Engine`. The networks are computed one after the other."""
        pairs = zip(parameters, inputs, strict=True)
        return [self.model.with_parameters(row).predict(x) for row, x in pairs]
