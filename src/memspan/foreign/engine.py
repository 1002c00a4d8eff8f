"""The engine that trains foreign models: several networks in one call of their library."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Inexact

from memspan.diagnostics.flow import norms_of
from memspan.engines.base import Differentiated
from memspan.errors import naming
from memspan.losses import Loss, value_of
from memspan.shapes import Array, Outputs

if TYPE_CHECKING:
    from memspan.foreign.forms import Form
    from memspan.foreign.network import ForeignNetwork


class Losses:
    """The losses of the networks of one call, computed from their predictions by memspan's loss.

    Attributes
    ----------
    values : array [g]
    d_y_hat : array [g, K, B, O]
    """

    def __init__(self, loss: Loss, y: Array, answers: bool) -> None:
        self._loss, self._y, self._answers = loss, y, answers
        self.values: Array = np.empty(0)
        self.d_y_hat: Array = np.empty(0)

    def of(self, y_hat: Array) -> Array:
        """Return dL/dŷ of each network for `y_hat [g, K, B, O]`."""
        shape = y_hat.shape[1:] if self._answers else y_hat.shape[2:]
        values, derivatives = [], []
        for one, labels in zip(y_hat, self._y, strict=True):
            values.append(value_of(self._loss, one.reshape(shape), labels))
            derivatives.append(np.asarray(self._loss.backward()).reshape(y_hat.shape[1:]))
        self.values, self.d_y_hat = np.array(values), np.stack(derivatives).astype(y_hat.dtype, copy=False)
        return self.d_y_hat


class Call(NamedTuple):
    """One call of the engine: the networks, their parameters `[g, P]`, x `[g, T, B, F]` and their losses."""

    networks: Sequence[Any]
    flat: Array
    x: Array
    losses: Losses
    truncate: int | None


class _Pass(NamedTuple):
    """The result for the networks of one call: losses [g], gradients [g, P], dL/dŷ [g, K, B, O]."""

    losses: Array
    gradients: Array
    d_y_hat: Array


class ForeignEngine(ABC):
    """An engine for networks of another library. See `Engine` for its methods.

    memspan's loss, in NumPy, gives the loss and dL/dŷ, as for every engine. The library back-propagates from
    there.

    Parameters
    ----------
    networks : sequence of M ForeignNetwork
        Networks with the same layout, dtype and `output_steps`.
    loss : Loss
    form : Form
    truncate : int, optional
        The number of steps through which the gradient of each output goes back, as in `Network.backward`.
    """

    def __init__(
        self, networks: Sequence["ForeignNetwork"], loss: Loss, form: "Form", truncate: int | None = None
    ) -> None:
        self.networks, self.loss, self.form, self.truncate = networks, loss, form, truncate

    @abstractmethod
    def gradients(self, call: Call) -> Array:
        """Return the gradients `[g, P]` of one call, for which `call.losses` gives dL/dŷ."""

    @abstractmethod
    def prepared(self) -> AbstractContextManager[Any]:
        """Return the context in which the library computes."""

    def differentiate(
        self,
        parameters: Inexact[np.ndarray, "models parameters"],
        batches: Sequence[tuple[Array, Array]],
        *,
        norms: Sequence[int] = (),
    ) -> Differentiated:
        """See `Engine`."""
        batches = [(self.networks[0].inputs(x), y) for x, y in batches]
        losses, gradients = np.empty(len(parameters)), np.empty_like(parameters)
        measured = {}
        with self.prepared():
            for rows in self._groups(batches):
                found = self._differentiate(parameters, batches, rows)
                losses[rows], gradients[rows] = found.losses, found.gradients
                for place, k in enumerate(rows):
                    if k in norms:  # a pass of its own, so that a measurement does not change the training
                        x, d_y_hat = batches[k][0], found.d_y_hat[place]
                        stepped = self.networks[k].stepped(
                            x, d_y_hat, parameters=parameters[k], truncate=self.truncate
                        )
                        measured[k] = norms_of(stepped.d_a)
        return Differentiated(losses, gradients, [measured[k] for k in norms])

    def predict(
        self, parameters: Inexact[np.ndarray, "models parameters"], inputs: Sequence[Array]
    ) -> list[Outputs]:
        """See `Engine`. The networks are computed one after the other."""
        return [network.predict(x) for network, x in zip(self.networks, inputs, strict=True)]

    def _groups(self, batches: Sequence[tuple[Array, Array]]) -> Iterator[list[int]]:
        """Yield the rows of each call: at most `group` networks with batches of the same shape."""
        shapes: dict[Any, list[int]] = {}
        for k, (x, y) in enumerate(batches):
            shapes.setdefault((x.shape, y.shape), []).append(k)
        for rows in shapes.values():
            for begin in range(0, len(rows), self.form.group):
                yield rows[begin : begin + self.form.group]

    def _differentiate(
        self,
        parameters: Inexact[np.ndarray, "models parameters"],
        batches: Sequence[tuple[Array, Array]],
        rows: list[int],
    ) -> _Pass:
        """Compute one call of `group` networks; copies of the last one fill it."""
        filled = rows + rows[-1:] * (self.form.group - len(rows))
        networks = [self.networks[k] for k in filled]
        x, y = (np.stack([batches[k][part] for k in filled]) for part in (0, 1))
        losses = Losses(self.loss, y, answers=networks[0].output_steps is not None)
        call = Call(networks, np.ascontiguousarray(parameters[filled]), x, losses, self.truncate)
        with naming(f"The model {networks[0].name}"):
            gradients = self.gradients(call)
        count = len(rows)
        return _Pass(losses.values[:count], gradients[:count], losses.d_y_hat[:count])
