"""The interface of the compiled engine: losses and gradients of any number of networks of one shape.

Numba takes a third of a second to import. It is imported when the first engine is made: many commands make none.
"""

import sys
import threading
from collections.abc import Sequence
from numbers import Real
from typing import Any

import numpy as np
from jaxtyping import Float, Inexact

from memspan.engines.base import Differentiated
from memspan.engines.compiled.losses import loss_in_kernel
from memspan.engines.compiled.structures import Norms
from memspan.engines.compiled.workspace import PassPlan, Workspace
from memspan.engines.parameters import Layout
from memspan.errors import InvalidArgument, shown
from memspan.losses import Loss, value_of
from memspan.losses.compiled import Answers
from memspan.shapes import Array, Outputs

MEMORY = 2 * 2**30
"""The default limit of the work buffers, in bytes."""
MADE_OF = ("layout", "dtype", "loss", "output_steps", "truncate", "memory")


class CompiledEngine:
    """Forward, loss and back-propagation through time of M networks, one after the other in the same buffers.

    The networks differ in weights and data. The results of one network do not depend on the others, to the last
    bit.

    Parameters
    ----------
    layout : Layout
        The cell and the sizes.
    dtype : float32 or float64
    loss : Loss
        A loss with a compiled form (`into`) runs inside the kernel. For any other loss the engine calls `forward`
        and `backward` between the forward and the backward pass of the kernel.
    output_steps : int, optional
        K, as for `Network`.
    truncate : int, optional
        As for `Network.backward`.
    memory : int
        The limit of the work buffers, in bytes. If the trace of a whole sequence does not fit, the engine keeps it
        in segments and runs each of them again during the backward pass (Chen et al. 2016, arXiv:1604.06174). This
        takes about a third more time, and memory for at most about twice the square root of the number of steps.
        The results are the same to the last bit.
    """

    def __init__(
        self,
        layout: Layout,
        dtype: np.dtype,
        loss: Loss,
        *,
        output_steps: int | None = None,
        truncate: int | None = None,
        memory: int = MEMORY,
    ) -> None:
        from memspan.engines.compiled.compiling import kernel_of

        self.layout, self.dtype, self.loss = layout, np.dtype(dtype), loss
        self.output_steps, self.truncate, self.memory = output_steps, truncate, memory
        function, self._kind, self._loss_inside = loss_in_kernel(loss)
        self._kernel = kernel_of(layout.cell, function)
        self._kept = _Kept()
        self._compile()

    def __getstate__(self) -> dict[str, Any]:
        """What it is made of: kernel and buffers are made again, in another process too."""
        return {name: getattr(self, name) for name in MADE_OF}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    def differentiate(
        self, parameters: Array, batches: Sequence[tuple[Array, Array]], *, norms: Sequence[int] = ()
    ) -> Differentiated:
        """Return the loss and its gradient for each row of `parameters [M, P]`, each on its own batch.

        Parameters
        ----------
        parameters : array [M, P]
        batches : M pairs of x [T, B, F] and y [B, O] or [K, B, O]
            All of the same shape; the engine casts them to its dtype.
        norms : sequence of int
            The networks, as rows of `parameters`, for which ‖dL/da[t]‖ is measured as well.

        Raises
        ------
        InvalidArgument
            If even segments do not fit in `memory`. Nothing has been allocated then.
        """
        M, shape = self._count(parameters), batches[0][0].shape
        work = self._workspace(shape, M, backward=True)
        measured = np.zeros((len(norms), *shape[:2]))  # a truncated gradient does not reach all steps
        found = Differentiated(np.empty(M), np.empty_like(parameters), measured)
        places = np.full(M, -1)
        places[list(norms)] = range(len(norms))
        for part in work.parts(M):
            x, y = zip(*batches[part], strict=True)
            work.fill(x, [self._checked(labels, work) for labels in y] if self._loss_inside else ())
            models = parameters[part], found.gradients[part], found.losses[part]
            if self._loss_inside:
                self._check_labels(y, work)
                work.run(self._kernel, *models, work.whole, norms=Norms(measured, places[part]))
            else:
                for k, labels in enumerate(y):
                    weights, gradient, loss = (model[k : k + 1] for model in models)
                    its_norms = Norms(measured, places[part][k : k + 1])
                    self._differentiate_one(work, k, labels, weights, gradient, loss, its_norms)
        return found

    def predict(
        self, parameters: Array, inputs: Sequence[Array]
    ) -> Inexact[np.ndarray, "models *output_steps batch outputs"]:
        """Return ŷ `[M, B, O]` or `[M, K, B, O]` for each row of `parameters`, each for its own x `[T, B, F]`."""
        M = self._count(parameters)
        work = self._workspace(inputs[0].shape, M, backward=False)
        y_hat = np.empty((M, *work.data.y_hat.shape[1:]), self.dtype)
        losses = np.empty(M)
        for part in work.parts(M):
            work.fill(inputs[part])
            work.run(self._kernel, parameters[part], parameters[part], losses[part], work.forward)
            y_hat[part] = work.data.y_hat[: part.stop - part.start]
        return y_hat if self.output_steps else y_hat[:, 0]

    def _compile(self) -> None:
        """Call the kernel once on the smallest possible batch, so that Numba compiles it."""
        from memspan.engines.compiled.compiling import UNCOMPILABLE, first_call, reason

        K, F = self.output_steps or 1, self.layout.features
        plan = PassPlan.of(self.layout, self.dtype, (K, 1, F), K, sys.maxsize)
        work = Workspace(self.layout, self.dtype, (K, 1, F), 1, plan, self._kind)
        weights = np.zeros((1, self.layout.size), self.dtype)
        name, models = self.layout.cell.name, (weights, weights.copy(), np.zeros(1))
        try:
            first_call(
                self._kernel,
                lambda: work.run(self._kernel, *models, work.whole),
                f"the cell {name} for {self.dtype}",
            )
        except UNCOMPILABLE as error:
            rule = "'readable' for a cell or a loss that Numba cannot compile"
            raise InvalidArgument("engine", rule, f"'compiled' and the cell {name}: {reason(error)}") from error

    def _differentiate_one(
        self,
        work: Workspace,
        k: int,
        y: Array,
        parameters: Inexact[np.ndarray, "1 parameters"],
        gradient: Inexact[np.ndarray, "1 parameters"],
        loss: Float[np.ndarray, "1"],
        norms: Norms,
    ) -> None:
        """Run the forward pass, call the loss from Python, and run the backward pass."""
        work.run(self._kernel, parameters, gradient, loss, work.forward, k)
        value = value_of(self.loss, self._answer(work.data.y_hat[k]).copy(), y.astype(self.dtype))
        if np.ndim(value) or not isinstance(value, Real | np.number):
            raise InvalidArgument("what loss.forward returns", "a number", shown(value))
        loss[0] = value
        d_y_hat = self._answer(work.data.d_y_hat[k])
        d_loss = np.asarray(self.loss.backward())
        if d_loss.shape != d_y_hat.shape:
            raise InvalidArgument("d_loss", f"of the prediction's shape {d_y_hat.shape}", f"shape {d_loss.shape}")
        d_y_hat[:] = d_loss
        work.run(self._kernel, parameters, gradient, loss, work.backward, k, norms)

    def _answer(self, y_hat: Answers) -> Outputs:
        """Drop the leading axis of `[K, B, O]` unless `output_steps` is set."""
        return y_hat if self.output_steps else y_hat[0]

    def _checked(self, y: Array, work: Workspace) -> Array:
        """Check the shape of the labels, because `into` does not broadcast."""
        shape = self._answer(work.data.y[0]).shape
        if y.shape != shape:
            raise InvalidArgument("y_hat", f"of the labels' shape {y.shape}", f"shape {shape}")
        return y

    def _check_labels(self, labels: Sequence[Array], work: Workspace) -> None:
        """Look at all labels of a masked loss; of another one at the first of each shape, which takes no time."""
        check = getattr(self.loss, "check_labels", None)
        if check is None or (work.labels_seen and not getattr(self.loss, "masked", False)):
            return
        for y in labels:
            check(y)
        work.labels_seen = True

    def _count(self, parameters: Array) -> int:
        """Return M, and check the length of the rows: the kernel would read beyond the end of shorter ones."""
        if parameters.shape[1:] != (self.layout.size,):
            raise InvalidArgument("parameters", f"of shape [M, {self.layout.size}]", f"shape {parameters.shape}")
        return len(parameters)

    def _workspace(self, shape: tuple[int, ...], models: int, *, backward: bool) -> Workspace:
        """Return this thread's last workspace if it fits the shape and the number of models; else a new one."""
        kept = self._kept.by_direction.get(backward)
        if kept is None or kept.shape != shape or kept.most < models:
            F, K = self.layout.features, self.output_steps or 1
            if len(shape) != 3 or shape[0] < K or shape[2] != F:
                raise InvalidArgument("x", f"of shape [T, B, {F}] with T of at least {K}", f"shape {shape}")
            of = self.layout, self.dtype, shape, K, self.memory
            plan = PassPlan.of(*of, models=models, backward=backward, truncate=self.truncate)
            self._kept.by_direction.pop(backward, None)  # before the next one is allocated
            work = Workspace(self.layout, self.dtype, shape, models, plan, self._kind)
            kept = self._kept.by_direction[backward] = work
        return kept


class _Kept(threading.local):
    """The workspaces of one thread; two threads must not share a workspace."""

    def __init__(self) -> None:
        self.by_direction: dict[bool, Workspace] = {}
