"""The compiled kernel: forward, loss and back-propagation through time of any cell.

`build` closes `kernel` over a cell's `forward` and `backward`, the same two that the readable engine calls; Numba
inlines them into the loops of `run` and `run_back`. Everything else is the linear map, the same for every cell.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numba.extending import register_jitable

from memspan.cells import Cell
from memspan.engines.compiled import activations as _twins  # noqa: F401  (importing it registers them)
from memspan.engines.compiled.losses import evaluate_any
from memspan.engines.compiled.packing import copy, pack, unpack
from memspan.engines.compiled.packs import add, load, load_updated, new_rows, store, store_updated
from memspan.engines.compiled.processor import FLUSH, control_word, prefer_widest_vectors, set_control_word
from memspan.engines.compiled.products import product, transposed_product
from memspan.engines.compiled.schedule import AGAIN, BACK, FORWARD, LOSS
from memspan.engines.compiled.structures import Gradient, Model, Offsets, Sizes, Tape, first_step
from memspan.losses.compiled import (
    Answers,
    count_asked,
    evaluate,
    sigmoid_cross_entropy,
    softmax_cross_entropy,
    squared_error,
)
from memspan.losses.product import mean_product
from memspan.shapes import Array

SMALL, LARGE = 1e-140, 1e140  # squares of numbers between them are far from the ends of float64


def copy_rows(rows: Array, into: Array) -> None:
    """`into[:] = rows`, in loops: for the assignment Numba would take seconds to compile an error message."""
    for i in range(rows.shape[0]):
        for j in range(rows.shape[1]):
            into[i, j] = rows[i, j]


def transpose(matrix: Array, into: Array) -> None:
    """Write the transpose of `matrix` into `into`."""
    for i in range(matrix.shape[0]):
        for j in range(matrix.shape[1]):
            into[j, i] = matrix[i, j]


def begin_segment(trace: Tape, segment: int, sizes: Sizes) -> None:
    """Copy the states before a segment into the first rows, and keep them if the segment will be run again."""
    B, states, checkpoints = sizes.batch, trace.states, trace.checkpoints
    if segment == 0:
        states[:B] = 0
    else:
        copy_rows(states[sizes.segment * B : (sizes.segment + 1) * B], states)
    if checkpoints.shape[0] > 0:
        copy_rows(states[:B], checkpoints[segment * B : (segment + 1) * B])


def begin_segment_again(trace: Tape, segment: int, sizes: Sizes) -> None:
    """Copy the kept states before a segment into the first rows."""
    B = sizes.batch
    copy_rows(trace.checkpoints[segment * B : (segment + 1) * B], trace.states)


def begin_back(model: Model, gradient: Gradient, sizes: Sizes) -> None:
    """Transpose R and V for the backward pass, and set the gradients to zero."""
    transpose(model.R[:, : sizes.recurrent], gradient.R_T)
    transpose(model.V, gradient.V_T)
    gradient.padded[:] = 0


def run_reset(reset: Any, row: int, model: Model, trace: Tape, sizes: Sizes, offsets: Offsets) -> None:
    """Compute q of the step whose rows begin at `row`, and add its part of the last pre-activations."""
    prefer_widest_vectors()
    s, q, states, one, R, U = trace.s, trace.q, trace.states, model.one, model.R, model.U[0]
    width, last, columns = sizes.width, sizes.last, sizes.columns
    from_states, from_q = last - sizes.first, columns - last  # the numbers of columns of R for either
    constants = load(model.constants, 0, offsets.constants)
    for b in range(sizes.batch):
        new_rows()
        q_b, s_b, before = b * q.shape[1], b * s.shape[1], (row + b) * states.shape[1]
        for h in range(width):
            unit = load(U, h, offsets.unit_weights) + constants
            early, previous = load(s, s_b + h, offsets.early), load(states, before + h, offsets.states)
            store(q, q_b + h, (0,), (reset(early, previous, unit),))
    product(q[:, :width], R[:, from_states : from_states + from_q], one, one, s[:, last:columns])


def run(forward: Any, reset: Any, x: Array, model: Model, trace: Tape, sizes: Sizes, offsets: Offsets) -> None:
    """Run the steps of a segment forward; x `[steps, B, F + 1]`."""
    prefer_widest_vectors()
    B, width, first, last = sizes.batch, sizes.width, sizes.first, sizes.last
    states, residuals, s, one, U = trace.states, trace.residuals, trace.s, model.one, model.U[0]
    to_s, to_state, to_residual = s.shape[1], states.shape[1], residuals.shape[1]  # distances between rows
    constants = load(model.constants, 0, offsets.constants)
    from_states = last - first
    for t in range(x.shape[0]):
        row = t * B
        product(x[t], model.W, one, model.zero, s)
        if from_states > 0:
            read = states[row : row + B, : sizes.read]
            product(read, model.R[:, :from_states], one, one, s[:, first:last])
        if reset is not None:
            run_reset(reset, row, model, trace, sizes, offsets)
        for b in range(B):
            new_rows()
            s_b, before, residual_b = b * to_s, (row + b) * to_state, (row + b) * to_residual
            after = before + B * to_state
            for h in range(width):
                unit = load(U, h, offsets.unit_weights) + constants
                gates, previous = load(s, s_b + h, offsets.gates), load(states, before + h, offsets.states)
                state, kept = forward(gates, previous, unit)
                store(states, after + h, offsets.states, state)
                store_updated(residuals, residual_b + h, offsets.residuals, kept)


def read_out(y_hat: Answers, begin: int, steps: int, model: Model, trace: Tape, sizes: Sizes) -> None:
    """Compute ŷ after each step of a segment that is among the last K."""
    B, unread = sizes.batch, sizes.time - sizes.output_steps
    for t in range(max(0, unread - begin), steps):
        answer = y_hat[begin + t - unread]
        for b in range(B):
            copy_rows(model.by, answer[b : b + 1])
        product(trace.states[(t + 1) * B : (t + 2) * B, : sizes.width], model.V, model.one, model.one, answer)


def read_out_back(d_answer: Array, after: Array, d_state: Array, gradient: Gradient, one: Array) -> None:
    """Add the gradient of one step's ŷ to dL/da of the step and to the gradients of V and b_y."""
    product(d_answer, gradient.V_T, one, one, d_state)
    transposed_product(after, d_answer, one, one, gradient.d_V)
    for b in range(d_answer.shape[0]):
        for o in range(d_answer.shape[1]):
            gradient.d_by[0, o] += d_answer[b, o]


def run_reset_back(
    reset_back: Any,
    row: int,
    d_s: Array,
    d_state: Array,
    model: Model,
    trace: Tape,
    gradient: Gradient,
    sizes: Sizes,
    offsets: Offsets,
) -> None:
    """Add the gradient through q to dL/ds and to dL/d(previous states), from dL/ds of the gates that q feeds."""
    prefer_widest_vectors()
    residuals, states = trace.residuals, trace.states
    q, U, B, width, last = trace.q, model.U[0], sizes.batch, sizes.width, sizes.last
    from_states = last - sizes.first
    constants = load(model.constants, 0, offsets.constants)
    late = d_s[:, last : sizes.columns]
    product(late, gradient.R_T[from_states:], model.one, model.zero, q[:, :width])
    for b in range(B):
        new_rows()
        q_b, d_s_b, d_b = b * q.shape[1], b * d_s.shape[1], b * d_state.shape[1]
        before, residual_b = (row + b) * states.shape[1], (row + b) * residuals.shape[1]
        for h in range(width):
            unit = load(U, h, offsets.unit_weights) + constants
            kept, previous = (
                load(residuals, residual_b + h, offsets.residuals),
                load(states, before + h, offsets.states),
            )
            (d_q,) = load(q, q_b + h, (0,))
            d_early, d_previous = reset_back(d_q, kept, previous, unit)
            add(d_s, d_s_b + h, offsets.early, d_early)
            add(d_state, d_b + h, offsets.states, d_previous)


def run_back(
    backward: Any,
    reset_back: Any,
    t: int,
    d_s: Array,
    d_state: Array,
    model: Model,
    trace: Tape,
    gradient: Gradient,
    sizes: Sizes,
    offsets: Offsets,
) -> None:
    """Back-propagate step t of a segment: write `d_s`, and turn dL/d(state) into dL/d(previous states)."""
    prefer_widest_vectors()
    B, width, first, last = sizes.batch, sizes.width, sizes.first, sizes.last
    states, residuals, one = trace.states, trace.residuals, model.one
    to_d_s, to_d_state, to_state, to_residual = d_s.shape[1], d_state.shape[1], states.shape[1], residuals.shape[1]
    constants, U, d_U = load(model.constants, 0, offsets.constants), model.U[0], gradient.d_U[0]
    row, from_states = t * B, last - first
    for b in range(B):
        new_rows()
        d_s_b, d_b = b * to_d_s, b * to_d_state
        before, residual_b = (row + b) * to_state, (row + b) * to_residual
        after = before + B * to_state
        for h in range(width):
            unit = load(U, h, offsets.unit_weights) + constants
            d_after = load_updated(d_state, d_b + h, offsets.states)
            kept = load(residuals, residual_b + h, offsets.residuals)
            previous, state = load(states, before + h, offsets.states), load(states, after + h, offsets.states)
            d_gates, d_previous, d_unit = backward(d_after, kept, previous, state, unit)
            store(d_s, d_s_b + h, offsets.gates, d_gates)
            store_updated(d_state, d_b + h, offsets.states, d_previous)
            add(d_U, h, offsets.unit_weights, d_unit)
    if reset_back is not None:
        run_reset_back(reset_back, row, d_s, d_state, model, trace, gradient, sizes, offsets)
    if from_states > 0:
        d_read = d_state[:, : sizes.read]
        product(d_s[:, first:last], gradient.R_T[:from_states], one, one, d_read)


def add_products(x: Array, row: int, slot: int, trace: Tape, gradient: Gradient, one: Array, sizes: Sizes) -> None:
    """Add a block of steps, from `row` of the trace and `slot` of d_s on, to the gradients of W, bias and R."""
    width, first, last, rows = sizes.width, sizes.first, sizes.last, x.shape[0] * sizes.batch
    columns, from_states = sizes.columns, last - first
    d_s, d_R = gradient.d_s[slot : slot + rows], gradient.d_R
    transposed_product(x.reshape(rows, x.shape[2]), d_s, one, one, gradient.d_W)
    if from_states > 0:
        read = trace.states[row : row + rows, : sizes.read]
        transposed_product(read, d_s[:, first:last], one, one, d_R[:, :from_states])
    if last < columns:
        q = trace.residuals[row : row + rows, sizes.q : sizes.q + width]
        transposed_product(q, d_s[:, last:columns], one, one, d_R[:, from_states : from_states + columns - last])


def window(d_state: Array, first: int, sizes: Sizes) -> Array:
    """The rows of dL/d(state) of the window that begins at step `first`."""
    place = first % sizes.windows * sizes.batch
    return d_state[place : place + sizes.batch]


def add_rows(rows: Array, into: Array) -> None:
    """`into += rows`, in loops, like `copy_rows`."""
    for i in range(rows.shape[0]):
        for j in range(rows.shape[1]):
            into[i, j] += rows[i, j]


def sum_windows(d_state: Array, earliest: int, latest: int, into: Array, sizes: Sizes) -> None:
    """Write the sum of dL/da over all windows from `earliest` to `latest` into the first columns of `into`."""
    for first in range(earliest, latest + 1):
        d_a = window(d_state, first, sizes)
        for b in range(sizes.batch):
            for h in range(sizes.width):
                into[b, h] = d_a[b, h] if first == earliest else into[b, h] + d_a[b, h]


def sum_squares(values: Array, width: int, sums: Array) -> None:
    """`sums[b] = Σ_h values[b, h]²` over the first `width` columns, in whichever order of the terms is fastest."""
    prefer_widest_vectors()
    for b in range(values.shape[0]):
        total = 0.0
        for h in range(width):
            value = np.float64(values[b, h])
            total += value * value
        sums[b] = total


def scaled_norm(values: Array, b: int, width: int) -> float:
    """‖row b‖ in float64, scaled so that no square underflows or overflows; NaN if there is a NaN."""
    largest = 0.0
    for h in range(width):
        size = abs(np.float64(values[b, h]))
        if size > largest or size != size:  # NaN stays, because nothing is larger
            largest = size
    if not 0.0 < largest < np.inf:
        return largest
    squares = 0.0
    for h in range(width):
        part = np.float64(values[b, h]) / largest
        squares += part * part
    return largest * np.sqrt(squares)


def measure_norms(values: Array, width: int, norms: Array) -> None:
    """`norms[b] = ‖row b‖` of the first `width` columns, scaled only if a square is near the ends of float64."""
    sum_squares(values, width, norms)
    for b in range(values.shape[0]):
        norms[b] = np.sqrt(norms[b])
    for b in range(values.shape[0]):
        if not SMALL < norms[b] < LARGE:
            norms[b] = scaled_norm(values, b, width)


def back_through_segment(
    backward: Any,
    reset_back: Any,
    begin: int,
    x: Array,
    d_y_hat: Answers,
    norms: Array,
    place: int,
    model: Model,
    trace: Tape,
    gradient: Gradient,
    sizes: Sizes,
    offsets: Offsets,
) -> None:
    """Back-propagate through the steps of the segment that begins at step `begin`; x `[steps, B, F + 1]`.

    `norms[place]` receives the norms of dL/da, unless `place` is negative. The gradient of each output goes back
    through `truncate` steps. Those that end at different steps are kept apart, in `d_state` by the first step of
    the window; the outputs of the first `truncate` steps share the window that begins at step 0.
    """
    prefer_widest_vectors()
    B, width, block, steps, reach = sizes.batch, sizes.width, sizes.block, x.shape[0], sizes.truncate
    unread = sizes.time - sizes.output_steps
    lowest = first_step(sizes.time, sizes.output_steps, reach)
    for t in range(steps - 1, max(0, lowest - begin) - 1, -1):
        now, slot = begin + t, t % block * B
        earliest, latest = max(lowest, now - reach + 1), min(now, sizes.time - reach)
        d_own = window(gradient.d_state, earliest, sizes)  # of the window that ends here, or at a later output
        if now == earliest + reach - 1:
            d_own[:] = 0
        if now >= unread:
            after = trace.states[(t + 1) * B : (t + 2) * B, :width]
            read_out_back(d_y_hat[now - unread], after, d_own[:, :width], gradient, model.one)
        if place >= 0:
            d_a = d_own
            if latest > earliest:
                sum_windows(gradient.d_state, earliest, latest, trace.q, sizes)
                d_a = trace.q
            measure_norms(d_a, width, norms[place, now])
        for first in range(earliest, latest + 1):
            d_s = gradient.d_s[slot : slot + B] if first == earliest else trace.s
            d_state = window(gradient.d_state, first, sizes)
            run_back(backward, reset_back, t, d_s, d_state, model, trace, gradient, sizes, offsets)
            if first > earliest:
                add_rows(trace.s, gradient.d_s[slot : slot + B])
        if slot == 0 or now == lowest:
            last = min(block - t % block, steps - t)
            add_products(x[t : t + last], t * B, slot, trace, gradient, model.one, sizes)


# Functions that depend on the cell are inlined into the kernel, so that they leave no symbol in the object code.
# Numba distinguishes symbols of one name and signature only by a number that starts anew in each process. If a
# process loads kernels that other processes cached, the linker would use the first function of a name for all.
OF_A_CELL: tuple[Callable[..., Any], ...] = (run_reset, run, run_reset_back, run_back, back_through_segment)
OF_ALL: tuple[Callable[..., Any], ...] = (
    *(unpack, pack, copy, copy_rows, transpose, begin_segment, begin_segment_again, begin_back),
    *(read_out, read_out_back, add_products, scaled_norm, measure_norms),
    *(first_step, window, add_rows, sum_windows),
    *(evaluate_any, count_asked, softmax_cross_entropy, sigmoid_cross_entropy, squared_error),
)
for function in OF_A_CELL:
    register_jitable(forceinline=True)(function)
for function in OF_ALL:  # otherwise they would be inlined like their callers, and optimised anew in each of them
    register_jitable(forceinline=False)(function)
for function in (evaluate, mean_product):
    register_jitable(forceinline=True)(function)
register_jitable(fastmath={"contract", "reassoc"}, forceinline=False)(sum_squares)


def build(cell: Cell, loss: Callable[..., float], fingerprint: str) -> Callable[..., Any]:
    """Return the kernel of a cell, not yet compiled.

    The kernel closes over importable functions and numbers only, so that Numba finds it in its cache in the next
    process. Numba's cache checks only this file, so the kernel's name contains `fingerprint`, which must change
    whenever one of these functions changes.
    """
    forward, backward = cell.forward, cell.backward
    reset, reset_back = (cell.reset.forward, cell.reset.backward) if cell.reset else (None, None)
    for function in (forward, backward, reset, reset_back):
        if function is not None:
            register_jitable(inline="always")(function)
    if loss is not evaluate_any:
        register_jitable(forceinline=True)(loss)

    def kernel(parameters, gradients, losses, norms, data, model, trace, gradient, sizes, offsets, kind, schedule):  # type: ignore[no-untyped-def]
        """Carry out the schedule for each model."""
        prefer_widest_vectors()
        control = control_word()
        set_control_word(control | np.uint32(FLUSH))
        lowest = first_step(sizes.time, sizes.output_steps, sizes.truncate)
        for m in range(parameters.shape[0]):
            x, y_hat, d_y_hat = data.x[m], data.y_hat[m], data.d_y_hat[m]
            unpack(parameters[m], model, sizes)
            for entry in range(schedule.shape[0]):
                phase, segment = schedule[entry, 0], schedule[entry, 1]
                begin = segment * sizes.segment
                steps = min(sizes.segment, sizes.time - begin)
                x_segment = x[begin : begin + steps]
                if phase == FORWARD:
                    begin_segment(trace, segment, sizes)
                elif phase == AGAIN:
                    begin_segment_again(trace, segment, sizes)
                if phase in (FORWARD, AGAIN):  # `run` is inlined, so one call compiles in half the time of two
                    run(forward, reset, x_segment, model, trace, sizes, offsets)
                if phase == FORWARD:
                    read_out(y_hat, begin, steps, model, trace, sizes)
                elif phase == LOSS:
                    losses[m] = loss(y_hat, data.y[m], d_y_hat, kind)
                elif phase == BACK:
                    if begin + steps == sizes.time:
                        begin_back(model, gradient, sizes)
                    place = norms.places[m]
                    back_through_segment(
                        *(backward, reset_back, begin, x_segment, d_y_hat, norms.values, place),
                        *(model, trace, gradient, sizes, offsets),
                    )
                    if begin <= lowest:
                        pack(gradient, model.runs, gradients[m])
        set_control_word(control)

    kernel.__qualname__ = f"kernel_{fingerprint}"
    return kernel
