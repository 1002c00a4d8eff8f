"""The fast engine, as its callers see it: losses and gradients of any number of networks of one shape."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Self

import numpy as np
from numba.core.errors import NumbaError, UnsupportedBytecodeError

from memspan.axes import Array
from memspan.cells import Cell
from memspan.errors import InvalidArgument
from memspan.kernels.compiling import announced, kernel_of
from memspan.kernels.kernel import BACKWARD, FORWARD, Buffers, Data, Matrices, Numbers, Sizes
from memspan.losses import Loss, squared_error
from memspan.weights import Layout

MEMORY = 2 * 2**30
"""Bytes that the work buffers may take unless said otherwise."""
TOGETHER = 2**24  # bytes of inputs that one call of the kernel gets
PADDING = 16  # gates are as wide as a multiple of this: no loop over units has a remainder
ALIASING = 1024  # rows of a multiple of so many bytes fall into few lines of a cache
PRODUCT_ROWS = 128  # of one product for the gradient of R: as many steps as it takes


class Differentiated(NamedTuple):
    """What a pass found: `losses [M]` in float64, `gradients [M, P]`, and norms of dL/da `[M, T]` if asked for."""

    losses: Array
    gradients: Array
    norms: Any


class FusedEngine:
    """Forward, loss and back-propagation through time of M networks, one after the other in the same buffers.

    The networks differ in their weights and data. What is found for one of them does not depend, to the last bit,
    on which others are there.

    Parameters
    ----------
    layout : Layout
        Cell and sizes.
    dtype : float32 or float64
    loss : Loss
        One with a compiled form (`into`) is computed inside the kernel; of any other, `forward` and `backward` are
        called between two halves of it.
    read_out : int, optional
        K, as for `Network`.
    memory : int
        Bytes that the work buffers may take. Where the trace of a whole sequence is larger, it is kept in
        segments, which are run a second time on the way back (Chen et al. 2016, arXiv:1604.06174): that takes
        about a third more time, and memory for no more than about twice the square root of the steps. It changes
        no bit of what is found.
    """

    def __init__(
        self, layout: Layout, dtype: np.dtype, loss: Loss, *, read_out: int | None = None, memory: int = MEMORY
    ) -> None:
        self.layout, self.dtype, self.loss = layout, np.dtype(dtype), loss
        self.read_out, self.memory = read_out, memory
        into = vars(type(loss)).get("into")  # not an inherited one: a subclass may compute another loss
        self._loss_inside = into is not None
        self._kernel = kernel_of(layout.cell, into.__func__ if into else squared_error)
        self._kept: dict[bool, _Workspace] = {}
        self._compile()

    def differentiate(
        self, parameters: Array, batches: Sequence[tuple[Array, Array]], *, norms: bool = False
    ) -> Differentiated:
        """The loss and its gradient for each row of `parameters [M, P]`, each on its own batch.

        Parameters
        ----------
        parameters : array [M, P]
        batches : M pairs of x [T, B, F] and y [B, O] or [K, B, O]
            Of one shape; cast to the engine's dtype.
        norms : bool
            Whether to measure Σ_b ‖dL/da[t]‖ at every step too.

        Raises
        ------
        InvalidArgument
            When not even segments fit in `memory`; nothing has been allocated then.
        """
        M, T = len(parameters), len(batches[0][0])
        found = Differentiated(np.empty(M), np.empty_like(parameters), np.empty((M, T if norms else 0)))
        work = self._workspace(batches[0][0].shape, backward=True)
        for part in work.parts(M):
            x, y = zip(*batches[part], strict=True)
            work.fill(x, [self._checked(labels, work) for labels in y] if self._loss_inside else ())
            models = (parameters[part], found.gradients[part], found.losses[part], found.norms[part])
            if self._loss_inside:
                work.run(self._kernel, *models, FORWARD | BACKWARD)
            else:
                for k, labels in enumerate(y):
                    one = [model[k : k + 1] for model in models]
                    self._differentiate_one(work, k, labels, *one)
        return found

    def predict(self, parameters: Array, inputs: Sequence[Array]) -> Array:
        """ŷ `[M, B, O]` or `[M, K, B, O]` of each row of `parameters`, each for its own x `[T, B, F]`."""
        M = len(parameters)
        work = self._workspace(inputs[0].shape, backward=False)
        y_hat = np.empty((M, *work.data.y_hat.shape[1:]), self.dtype)
        losses, norms = np.empty(M), np.empty((M, 0))
        for part in work.parts(M):
            work.fill(inputs[part])
            work.run(self._kernel, parameters[part], parameters[part], losses[part], norms[part], FORWARD)
            y_hat[part] = work.data.y_hat[: part.stop - part.start]
        return y_hat if self.read_out else y_hat[:, 0]

    def _compile(self) -> None:
        """Call the kernel once, on as little as there can be."""
        K, F = self.read_out or 1, self.layout.features
        plan = Plan.of(self.layout, self.dtype, (K, 1, F), K, MEMORY, backward=True)
        work = _Workspace(self.layout, self.dtype, (K, 1, F), replace(plan, models=1))
        weights = np.zeros((1, self.layout.size), self.dtype)
        name = self.layout.cell.name
        try:
            with announced(f"the cell {name} for {self.dtype}"):
                work.run(self._kernel, weights, weights.copy(), np.zeros(1), np.zeros((1, 0)), FORWARD | BACKWARD)
        except (NumbaError, UnsupportedBytecodeError) as error:
            rule = "'readable' for a cell that Numba cannot compile (its reasons are above)"
            raise InvalidArgument("engine", rule, f"'fused' and the cell {name}") from error

    def _differentiate_one(
        self, work: "_Workspace", k: int, y: Array, parameters: Array, gradient: Array, loss: Array, norms: Array
    ) -> None:
        """What the kernel does by itself, with a loss that is called from here."""
        work.run(self._kernel, parameters, gradient, loss, norms, FORWARD, k)
        loss[0] = self.loss.forward(self._answer(work.data.y_hat[k]).copy(), y.astype(self.dtype))
        d_y_hat = self._answer(work.data.d_y_hat[k])
        d_loss = np.asarray(self.loss.backward())
        if d_loss.shape != d_y_hat.shape:
            raise InvalidArgument("d_loss", f"of the prediction's shape {d_y_hat.shape}", f"shape {d_loss.shape}")
        d_y_hat[:] = d_loss
        work.run(self._kernel, parameters, gradient, loss, norms, BACKWARD, k)

    def _answer(self, y_hat: Array) -> Array:
        """Without the axis of the last K steps, `[K, B, O]`, unless it was asked for."""
        return y_hat if self.read_out else y_hat[0]

    def _checked(self, y: Array, work: "_Workspace") -> Array:
        """Labels for `into`, never broadcast."""
        shape = self._answer(work.data.y[0]).shape
        if y.shape != shape:
            raise InvalidArgument("y_hat", f"of the labels' shape {y.shape}", f"shape {shape}")
        return y

    def _workspace(self, shape: tuple[int, ...], *, backward: bool) -> "_Workspace":
        """That of the last call, if the shape is the same."""
        kept = self._kept.get(backward)
        if kept is None or kept.shape != shape:
            plan = Plan.of(self.layout, self.dtype, shape, self.read_out or 1, self.memory, backward=backward)
            self._kept.pop(backward, None)  # before the next one is allocated
            kept = self._kept[backward] = _Workspace(self.layout, self.dtype, shape, plan)
        return kept


@dataclass(frozen=True)
class Plan:
    """How a pass is cut into segments, and the memory that it takes.

    Attributes
    ----------
    sizes : Sizes
    segments : int
        More than 1 where the whole trace would not fit.
    models : int
        How many networks one call of the kernel gets.
    bytes : int
        Of all work buffers.
    """

    sizes: Sizes
    segments: int
    models: int
    bytes: int

    @classmethod
    def of(
        cls, layout: Layout, dtype: np.dtype, shape: tuple[int, ...], read_out: int, memory: int, *, backward: bool
    ) -> Self:
        """The whole trace at once if that fits; else segments of the length that takes least memory.

        Raises
        ------
        InvalidArgument
            When neither fits.
        """
        cell, (T, B, F), itemsize = layout.cell, shape, dtype.itemsize
        width = -(-layout.hidden // PADDING) * PADDING
        inputs = B * T * (F + 1) * itemsize
        models = max(1, TOGETHER // inputs)
        states, step = len(cell.states), len(cell.states) + len(cell.saved)
        block = -(-PRODUCT_ROWS // B)
        shortest = max(
            2, math.ceil(math.sqrt(T * states / step))
        )  # where checkpoints and steps together are fewest
        shortest = -(-shortest // block) * block  # the same products as without segments, to the last bit
        needed = 0
        for segment in sorted({T, min(shortest, T)}, reverse=True) if backward else (1,):
            lengths = (T, B, F, layout.hidden, layout.outputs, read_out, width, segment, min(segment, block))
            sizes = Sizes(*lengths, *_columns(cell, width))
            segments = -(-T // segment)
            checkpoints = segments * states if backward and segments > 1 else 0
            needed = (segment * step + checkpoints) * B * width * itemsize + models * inputs
            if needed <= memory:
                return cls(sizes, segments, models, needed)
        rule = f"at least {_gibibytes(needed)} for T={T}, B={B}, H={layout.hidden} ({cell.name}, {dtype})"
        raise InvalidArgument("memory", rule, _gibibytes(memory))


class _Workspace:
    """The arrays that a kernel works in, for one shape of batches."""

    def __init__(self, layout: Layout, dtype: np.dtype, shape: tuple[int, ...], plan: Plan) -> None:
        self.shape, self.plan = shape, plan
        cell, (T, B, F, _, O, K, width, segment, block, *_) = layout.cell, plan.sizes
        gates, states, saved = (len(names) * width for names in (cell.gates, cell.states, cell.saved))
        recurrent, reads = len(cell.recurrent) * width, len(cell.reads) * width

        def rows(count: int, columns: int) -> Array:
            aliasing = columns > 0 and columns * dtype.itemsize % ALIASING == 0
            return np.zeros((count, columns + PADDING * aliasing), dtype)

        def matrices() -> Matrices:
            own = max(1, len(cell.own)) * width
            fed = rows(F + 1, gates), rows(reads, recurrent)
            return Matrices(*fed, *(np.zeros(shape, dtype) for shape in ((width, O), (1, O), (1, own))))

        checkpoints = plan.segments * B if 1 < segment < T else 0
        self.buffers = Buffers(
            states=rows((segment + 1) * B, states),
            saved=rows(segment * B, saved),
            checkpoints=rows(checkpoints, states),
            s=rows(B, gates),
            q=rows(B, width),
            d_s=rows(block * B, gates),
            d_state=rows(B, states),
            R_T=rows(recurrent, reads),
            V_T=np.zeros((O, width), dtype),
        )
        self.weights, self.d_weights = matrices(), matrices()
        answers = (np.zeros((plan.models, K, B, O), dtype) for _ in range(3))
        self.data = Data(np.ones((plan.models, T, B, F + 1), dtype), *answers)  # the last input is the bias's
        self.numbers = Numbers(np.ones(1, dtype), np.zeros(1, dtype), np.array([*cell.constants.values()], dtype))

    def parts(self, models: int) -> Iterator[slice]:
        """The models of each call."""
        together = self.plan.models
        return (slice(begin, min(begin + together, models)) for begin in range(0, models, together))

    def fill(self, inputs: Sequence[Array], labels: Sequence[Array] = ()) -> None:
        """Copy in the batches of the models of one call."""
        for k, x in enumerate(inputs):
            self.data.x[k, ..., :-1] = x
        for k, y in enumerate(labels):
            self.data.y[k] = y

    def run(
        self, kernel: Any, parameters: Array, gradients: Array, losses: Array, norms: Array, what: int, k: int = 0
    ) -> None:
        """Call the kernel for these models, the first of them being number `k` of `data`."""
        data = self.data if k == 0 else Data(*(part[k:] for part in self.data))
        work = (self.plan.sizes, self.buffers, self.weights, self.d_weights, self.numbers)
        kernel(parameters, gradients, losses, norms, data, *work, what)


def _columns(cell: Cell, width: int) -> tuple[Any, ...]:
    """Where gates, states and so on begin, as the last parts of `Sizes`."""

    def offsets(names: Sequence[str]) -> tuple[int, ...]:
        return tuple(width * k for k in range(len(names)))

    early = cell.gates[: len(cell.gates) - len(cell.reset.gates)] if cell.reset else cell.gates
    q = cell.saved.index("q") * width if cell.reset else 0
    fed = (cell.driven, cell.recurrent, cell.reads)
    names = (*fed, cell.gates, early, cell.states, cell.saved, cell.own)
    return *cell.fed(width), q, *map(offsets, names), tuple(range(len(cell.constants)))


def _gibibytes(size: int) -> str:
    return f"{size / 2**30:.3g} GiB"
