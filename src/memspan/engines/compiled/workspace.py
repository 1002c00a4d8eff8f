"""The division of a pass into segments, its memory, and the arrays that a kernel uses."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Inexact

from memspan.cells import Cell
from memspan.engines.compiled.packing import padded, runs_of
from memspan.engines.compiled.schedule import (
    Schedule,
    backward_schedule,
    forward_schedule,
    whole_schedule,
)
from memspan.engines.compiled.structures import (
    Columns,
    Data,
    Gradient,
    Model,
    Norms,
    Offsets,
    Sizes,
    Tape,
    first_step,
)
from memspan.engines.parameters import Layout
from memspan.errors import InvalidArgument
from memspan.shapes import Array, Inputs, Outputs

TOGETHER = 2**24  # bytes of inputs for one call of the kernel
PADDING = 16  # the width of a gate is a multiple of this, so that no loop over units has a remainder
ALIASING = 1024  # rows whose length is a multiple of this, in bytes, compete for few cache lines
PRODUCT_ROWS = 128  # least number of rows in one product for the gradient of R
PREDICTED_ROWS = 1024  # rows of a segment if no trace is kept

Shapes = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class PassPlan:
    """The division of a pass into segments, and the memory that it takes.

    Attributes
    ----------
    sizes : Sizes
    offsets : Offsets
    segments : int
        The number of segments; more than 1 if the whole trace does not fit in memory.
    models : int
        The number of networks in one call of the kernel.
    weights, trace, gradient, data : tuple of shapes
        The shapes of the padded matrices, and of the arrays of `Tape`, of `Gradient` (from `d_s` on) and of
        `Data`, in their order.
    bytes : int
        The size of all arrays; the matrices count twice, for the weights and for their gradient.
    """

    sizes: Sizes
    offsets: Offsets
    segments: int
    models: int
    weights: Shapes
    trace: Shapes
    gradient: Shapes
    data: Shapes
    bytes: int

    @property
    def padded(self) -> tuple[int]:
        """The shape of the vector of all padded matrices."""
        return (sum(map(math.prod, self.weights)),)

    @classmethod
    def of(
        cls,
        layout: Layout,
        dtype: np.dtype,
        shape: tuple[int, ...],
        output_steps: int,
        memory: int,
        *,
        models: int = 1,
        backward: bool = True,
        truncate: int | None = None,
    ) -> "PassPlan":
        """Plan with the whole trace if it fits in `memory`, otherwise with segments that take the least memory.

        Raises
        ------
        InvalidArgument
            If neither fits.
        """
        cell, (T, B, F), O = layout.cell, shape, layout.outputs
        states, step = len(cell.states), len(cell.states) + len(cell.residuals)
        block = -(-PRODUCT_ROWS // B)
        shortest = max(2, math.ceil(math.sqrt(T * states / step)))  # least memory of checkpoints plus trace
        shortest = -(-shortest // block) * block  # so that products are the same as without segments, bit for bit
        segments = {T, min(shortest, T)} if backward else {min(T, -(-PREDICTED_ROWS // B))}
        each = B * (T * (F + 1) + 3 * output_steps * O) * dtype.itemsize
        models = min(models, max(1, min(TOGETHER, memory // 4) // each))
        for segment in sorted(segments, reverse=True):
            plan = cls.with_segments(
                layout, dtype, (T, B, output_steps), models, segment, min(segment, block), backward, truncate
            )
            if plan.bytes <= memory:
                return plan
        rule = f"at least {plan.bytes} bytes for T={T}, B={B}, H={layout.hidden} ({cell.name}, {dtype})"
        raise InvalidArgument("memory", f"{rule}, that is {plan.bytes / 2**30:.3g} GiB", memory)

    @classmethod
    def with_segments(
        cls,
        layout: Layout,
        dtype: np.dtype,
        lengths: tuple[int, int, int],
        models: int,
        segment: int,
        block: int,
        backward: bool,
        truncate: int | None = None,
    ) -> "PassPlan":
        """Plan for T, B and K in `lengths`, with segments of `segment` steps."""
        cell, F, H, O, (T, B, K) = layout.cell, layout.features, layout.hidden, layout.outputs, lengths
        width = -(-H // PADDING) * PADDING
        gates, states, residuals = (len(names) * width for names in (cell.gates, cell.states, cell.residuals))
        recurrent, reads = len(cell.recurrent_gates) * width, len(cell.reads) * width

        def rows(count: int, columns: int) -> tuple[int, int]:
            aliasing = columns > 0 and columns * dtype.itemsize % ALIASING == 0
            return count, columns + PADDING * aliasing

        segments = -(-T // segment)
        checkpoints = segments * B if backward and segments > 1 else 0
        U = 1, max(1, len(cell.unit_weights)) * width
        weights = (rows(F + 1, gates), rows(reads, recurrent), (width, O), U, (1, O))
        traced = rows((segment + 1) * B, states), rows(segment * B, residuals), rows(checkpoints, states)
        trace = (*traced, rows(B, gates), rows(B, width))
        reach = T if truncate is None else min(truncate, T)
        windows = min(T - reach - first_step(T, K, reach) + 1, reach)  # the windows that contain one step
        gradient = (rows(block * B, gates), rows(windows * B, states), rows(recurrent, reads), (O, width))
        data = ((models, T, B, F + 1), *((models, K, B, O),) * 3)
        shapes = (*weights, *weights, *trace, *gradient, *data)
        size = dtype.itemsize * sum(map(math.prod, shapes))
        q = cell.residuals.index("q") * width if cell.reset else 0
        columns = gates, *cell.fed(width), q
        sizes = Sizes(T, B, K, reach, windows, H, width, segment, block, reads, recurrent, *columns)
        return cls(sizes, _offsets(cell, width), segments, models, weights, trace, gradient, data, size)


class Workspace:
    """The arrays that a kernel uses, for one shape of batches and at most `most` models.

    `kind` selects the loss if the kernel serves several.
    """

    def __init__(
        self, layout: Layout, dtype: np.dtype, shape: tuple[int, ...], most: int, plan: PassPlan, kind: Any = 0
    ) -> None:
        self.shape, self.most, self.plan, self.kind = shape, most, plan, kind
        self.labels_seen = False

        def zeros(shapes: Sequence[tuple[int, ...]]) -> Iterator[Array]:
            return (np.zeros(shape, dtype) for shape in shapes)

        numbers = np.ones(1, dtype), np.zeros(1, dtype), np.array([*layout.cell.constants.values()], dtype)
        weights, d_weights = zeros([plan.padded, plan.padded])
        runs = runs_of(layout, plan.sizes.width, plan.weights)
        self.model = Model(weights, *padded(weights, plan.weights), runs, *numbers)
        self.trace = Tape(*zeros(plan.trace))
        self.gradient = Gradient(d_weights, *padded(d_weights, plan.weights), *zeros(plan.gradient))
        self.data = Data(*zeros(plan.data))
        self.data.x[..., -1] = 1  # the bias's input
        sizes = plan.sizes
        first = first_step(sizes.time, sizes.output_steps, sizes.truncate) // sizes.segment
        self.forward = forward_schedule(plan.segments)
        self.backward = backward_schedule(plan.segments, first)
        self.whole = whole_schedule(plan.segments, first)

    def parts(self, models: int) -> Iterator[slice]:
        """The slices of models, one for each call of the kernel."""
        together = self.plan.models
        return (slice(begin, min(begin + together, models)) for begin in range(0, models, together))

    def fill(self, inputs: Sequence[Inputs], labels: Sequence[Outputs] = ()) -> None:
        """Copy the batches of one call into the arrays."""
        for k, x in enumerate(inputs):
            self.data.x[k, ..., :-1] = x
        for k, y in enumerate(labels):
            self.data.y[k] = y

    def run(
        self,
        kernel: Any,
        parameters: Inexact[np.ndarray, "models parameters"],
        gradients: Inexact[np.ndarray, "models parameters"],
        losses: Float[np.ndarray, "models"],
        schedule: Schedule,
        k: int = 0,
        norms: Norms | None = None,
    ) -> None:
        """Call the kernel for several models; the first uses row `k` of `data`."""
        data = self.data if k == 0 else Data(*(part[k:] for part in self.data))
        work = self.model, self.trace, self.gradient, self.plan.sizes, self.plan.offsets
        norms = norms or Norms(np.empty((0, 0, 0)), np.full(len(parameters), -1))
        try:
            kernel(parameters, gradients, losses, norms, data, *work, self.kind, schedule)
        except Exception:
            from memspan.engines.compiled.processor import denormals_back

            denormals_back()
            raise


def _offsets(cell: Cell, width: int) -> Offsets:
    def columns(names: Sequence[str]) -> Columns:
        return tuple(width * k for k in range(len(names)))

    early = cell.gates[: len(cell.gates) - len(cell.reset.gates)] if cell.reset else cell.gates
    return Offsets(
        gates=columns(cell.gates),
        early=columns(early),
        states=columns(cell.states),
        residuals=columns(cell.residuals),
        unit_weights=columns(cell.unit_weights),
        constants=tuple(range(len(cell.constants))),
    )
