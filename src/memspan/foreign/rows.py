"""An engine for any number of networks that differ from a foreign model in their weights only."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Inexact

from memspan.engines.base import Differentiated, Engine
from memspan.losses import Loss
from memspan.shapes import Array, Outputs

if TYPE_CHECKING:
    from memspan.foreign.network import ForeignNetwork

COMPARED = 2
"""The networks of which the gradients of another form are compared with those of the model's own engine."""
ROUNDING = 1e-10
"""The most by which these differ, as a share of their norm, in float64."""


class RowsEngine:
    """An engine for networks whose weights are the rows of `parameters`. See `Engine`.

    It computes all networks of a call at once, if the library can do that for the model. Otherwise it is the
    engine that the model names. No form is timed, so the results are the same to the last bit every time.

    Parameters
    ----------
    model : ForeignNetwork
        All networks have its constants, if it has any.
    loss : Loss
    """

    def __init__(self, model: "ForeignNetwork", loss: Loss) -> None:
        self.model, self.loss = model, loss
        self.layout, self.output_steps = model.layout, model.output_steps
        self._by_count: dict[int, Engine] = {}

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
            self._by_count[count] = self._chosen(parameters, batches)
        return self._by_count[count].differentiate(parameters, batches, norms=norms)

    def predict(
        self, parameters: Inexact[np.ndarray, "models parameters"], inputs: Sequence[Array]
    ) -> list[Outputs]:
        """See `Engine`. The networks are computed one after the other."""
        pairs = zip(parameters, inputs, strict=True)
        return [self.model.with_parameters(row).predict(x) for row, x in pairs]

    def _chosen(self, parameters: Array, batches: Sequence[tuple[Array, Array]]) -> Engine:
        """Return the engine for as many networks."""
        count, own = len(parameters), self.model.engine
        expected: Any = None
        for form in self._forms(count):
            if expected is None:
                few = self._made(own, COMPARED).differentiate(parameters[:COMPARED], batches[:COMPARED])
                expected = few.gradients
            engine = self._made(form, count)
            try:
                with form.tried():
                    found = engine.differentiate(parameters, batches).gradients[:COMPARED]
            except Exception:  # any error of the library or the user's model in this form
                continue
            if np.linalg.norm(found - expected) <= ROUNDING * np.linalg.norm(expected):
                return engine
        return self._made(own, count)

    def _forms(self, count: int) -> Iterator[Any]:
        """Yield the forms that compute as many networks at once, those with the least work first."""
        own = self.model.engine
        if count >= COMPARED:
            yield from (replace(own, name=name, group=count) for name in reversed(own.NAMES[1:]))

    def _made(self, form: Any, count: int) -> Engine:
        return form.make_engine([self.model] * count, self.loss)
