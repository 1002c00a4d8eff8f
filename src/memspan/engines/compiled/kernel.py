"""The compiled engine's kernel: forward, loss and back-propagation through time of any cell, compiled.

`build` closes `kernel` over a cell's `forward` and `backward`, the same two that the readable engine calls; Numba
inlines them into the loops of `run` and `run_back`. All else is the linear map's and the same for every cell.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numba.extending import register_jitable

from memspan.cells import Cell
from memspan.engines.compiled import activations as _twins  # noqa: F401  (importing it registers them)
from memspan.engines.compiled.packs import add, load, load_own, new_rows, store, store_own
from memspan.engines.compiled.processor import FLUSH, control_word, prefer_widest_vectors, set_control_word
from memspan.engines.compiled.products import product, transposed_product
from memspan.losses.compiled import count_asked, sigmoid_cross_entropy, softmax_cross_entropy, squared_error
from memspan.shapes import Array

FORWARD, BACKWARD = 1, 2
"""What a kernel is to do; their sum for both."""

Offsets = tuple[int, ...]


class Sizes(NamedTuple):
    """Lengths of axes, and where the columns of gates and states begin.

    `width` is H padded, `segment` the steps that are traced, `block` those of a product. R feeds columns `first`
    to `last` of the pre-activations with the states, and from `last` on with q, which is column `q` of what is
    residuals. The rest are offsets, one for each gate, state and so on; `early` are the gates before `last`.
    """

    time: int
    batch: int
    features: int
    hidden: int
    outputs: int
    output_steps: int
    width: int
    segment: int
    block: int
    first: int
    last: int
    q: int
    input_gates: Offsets
    recurrent_gates: Offsets
    reads: Offsets
    gates: Offsets
    early: Offsets
    states: Offsets
    residuals: Offsets
    unit_weights: Offsets
    constants: Offsets


class Buffers(NamedTuple):
    """Where a kernel works: rows are steps times batch, columns gates or states side by side, `width` each."""

    states: Array  # [(segment + 1)·B, S·width]
    residuals: Array  # [segment·B, N·width]
    checkpoints: Array  # [segments·B, S·width]
    s: Array  # [B, G·width]
    q: Array  # [B, width]
    d_s: Array  # [block·B, G·width]
    d_state: Array  # [B, S·width]
    R_T: Array  # [recurrent·width, reads·width]
    V_T: Array  # [O, width]


class Matrices(NamedTuple):
    """The weights of one model, padded with zeros; or their gradient."""

    W: Array  # [F + 1, G·width]: the last row is the bias, the last column of every x is 1
    R: Array  # [reads·width, recurrent·width]
    V: Array  # [width, O]
    by: Array  # [1, O]
    U: Array  # [1, K·width]


class Data(NamedTuple):
    """Batches and answers of some models."""

    x: Array  # [M, T, B, F + 1]
    y: Array  # [M, K, B, O]
    y_hat: Array  # [M, K, B, O]
    d_y_hat: Array  # [M, K, B, O]


class Numbers(NamedTuple):
    """Numbers that BLAS and the cell want in the dtype of the kernel."""

    one: Array
    zero: Array
    constants: Array


def exchange(flat: Array, matrices: Matrices, sizes: Sizes, back: bool) -> None:
    """Copy the flat weights of a model into matrices with gates and states of `width`; or back."""
    F, H, O, width = sizes.features, sizes.hidden, sizes.outputs, sizes.width
    W, R, V, by, U = matrices
    p = exchange_rows(flat, 0, W, 0, F, len(sizes.input_gates), H, width, back)
    for read in sizes.reads:
        p = exchange_rows(flat, p, R, read, H, len(sizes.recurrent_gates), H, width, back)
    p = exchange_rows(flat, p, W, F, 1, len(sizes.gates), H, width, back)
    p = exchange_rows(flat, p, V, 0, H, 1, O, O, back)
    p = exchange_rows(flat, p, by, 0, 1, 1, O, O, back)
    exchange_rows(flat, p, U, 0, 1, len(sizes.unit_weights), H, width, back)
    if not back:
        for own in range(0, len(sizes.unit_weights) * width, width):
            U[0, own + H : own + width] = U[0, own]  # a cell may divide by them, and what is padded be NaN


def exchange_rows(
    flat: Array, p: int, matrix: Array, row: int, rows: int, parts: int, hidden: int, width: int, back: bool
) -> int:
    """`[rows, parts·hidden]` of the flat weights, from `p` on, and `[rows, parts·width]` of a matrix; the end."""
    for r in range(row, row + rows):
        for part in range(parts):
            narrow, wide = flat[p : p + hidden], matrix[r, part * width : part * width + hidden]
            if back:
                for h in range(hidden):
                    narrow[h] = wide[h]
            else:
                for h in range(hidden):
                    wide[h] = narrow[h]
            p += hidden
    return p


def copy_rows(rows: Array, into: Array) -> None:
    """`into[:] = rows`, for which Numba would compile the making of a message about shapes, and take seconds."""
    for i in range(rows.shape[0]):
        for j in range(rows.shape[1]):
            into[i, j] = rows[i, j]


def transpose(matrix: Array, into: Array) -> None:
    """Write the transpose."""
    for i in range(matrix.shape[0]):
        for j in range(matrix.shape[1]):
            into[j, i] = matrix[i, j]


def prepare_back(weights: Matrices, d_weights: Matrices, work: Buffers, sizes: Sizes) -> None:
    """Turn over what is multiplied on the way back, and begin with gradients of zero."""
    transpose(weights.R[:, : len(sizes.recurrent_gates) * sizes.width], work.R_T)
    transpose(weights.V, work.V_T)
    d_weights.W[:] = 0
    d_weights.R[:] = 0
    d_weights.V[:] = 0
    d_weights.by[:] = 0
    d_weights.U[:] = 0
    work.d_state[:] = 0


def start(states: Array, checkpoints: Array, at: int, sizes: Sizes, back: bool) -> None:
    """Write into the first rows the states before segment `at`, and on the way forward keep them."""
    B, segment = sizes.batch, sizes.segment
    before = checkpoints[at * B : (at + 1) * B]
    if at == 0:
        states[:B] = 0
    elif back:
        copy_rows(before, states)
    else:
        copy_rows(states[segment * B : (segment + 1) * B], states)
    if not back and checkpoints.shape[0] > 0:
        copy_rows(states[:B], before)


def run_reset(reset: Any, row: int, work: Buffers, weights: Matrices, numbers: Numbers, sizes: Sizes) -> None:
    """q of the step whose rows begin at `row`, and what it adds to the last pre-activations."""
    prefer_widest_vectors()
    s, q, states, one, own = work.s, work.q, work.states, numbers.one, weights.U[0]
    width, last, fed, columns = sizes.width, sizes.last, sizes.last - sizes.first, len(sizes.gates) * sizes.width
    constants = load(numbers.constants, 0, sizes.constants)
    for b in range(sizes.batch):
        new_rows()
        q_b, s_b, before = b * q.shape[1], b * s.shape[1], (row + b) * states.shape[1]
        for h in range(width):
            unit = load(own, h, sizes.unit_weights) + constants
            early, previous = load(s, s_b + h, sizes.early), load(states, before + h, sizes.states)
            store(q, q_b + h, (0,), (reset(early, previous, unit),))
    product(q[:, :width], weights.R[:, fed : fed + columns - last], one, one, s[:, last:columns])


def run(
    forward: Any, reset: Any, x: Array, work: Buffers, weights: Matrices, numbers: Numbers, sizes: Sizes
) -> None:
    """The steps of a segment, one after the other; x `[steps, B, F + 1]`."""
    prefer_widest_vectors()
    B, width, first, last = sizes.batch, sizes.width, sizes.first, sizes.last
    states, residuals, s, one, own = work.states, work.residuals, work.s, numbers.one, weights.U[0]
    to_s, to_state, to_saved = s.shape[1], states.shape[1], residuals.shape[1]  # from one row to the next
    constants = load(numbers.constants, 0, sizes.constants)
    fed = last - first
    for t in range(x.shape[0]):
        row = t * B
        product(x[t], weights.W, one, numbers.zero, s)
        if fed > 0:
            read = states[row : row + B, : len(sizes.reads) * width]
            product(read, weights.R[:, :fed], one, one, s[:, first:last])
        if reset is not None:
            run_reset(reset, row, work, weights, numbers, sizes)
        for b in range(B):
            new_rows()
            s_b, before, saved_b = b * to_s, (row + b) * to_state, (row + b) * to_saved
            after = before + B * to_state
            for h in range(width):
                unit = load(own, h, sizes.unit_weights) + constants
                gates, previous = load(s, s_b + h, sizes.gates), load(states, before + h, sizes.states)
                state, kept = forward(gates, previous, unit)
                store(states, after + h, sizes.states, state)
                store_own(residuals, saved_b + h, sizes.residuals, kept)


def read_out(
    y_hat: Array, begin: int, steps: int, states: Array, weights: Matrices, numbers: Numbers, sizes: Sizes
) -> None:
    """ŷ after those of a segment's steps that are among the last K."""
    B, unread = sizes.batch, sizes.time - sizes.output_steps
    for t in range(max(0, unread - begin), steps):
        answer = y_hat[begin + t - unread]
        for b in range(B):
            copy_rows(weights.by, answer[b : b + 1])
        product(states[(t + 1) * B : (t + 2) * B, : sizes.width], weights.V, numbers.one, numbers.one, answer)


def read_out_back(
    d_answer: Array, after: Array, d_state: Array, d_weights: Matrices, V_T: Array, one: Array
) -> None:
    """What ŷ of a step adds to dL/da of the step, and to the gradients of V and b_y."""
    product(d_answer, V_T, one, one, d_state)
    transposed_product(after, d_answer, one, one, d_weights.V)
    for b in range(d_answer.shape[0]):
        for o in range(d_answer.shape[1]):
            d_weights.by[0, o] += d_answer[b, o]


def run_reset_back(
    reset_back: Any, row: int, slot: int, work: Buffers, weights: Matrices, numbers: Numbers, sizes: Sizes
) -> None:
    """What q adds to dL/ds and dL/d(state) before the step, from dL/ds of the gates that it feeds."""
    prefer_widest_vectors()
    d_s, d_state, residuals, states, q, own = (
        work.d_s,
        work.d_state,
        work.residuals,
        work.states,
        work.q,
        weights.U[0],
    )
    B, width, last, fed = sizes.batch, sizes.width, sizes.last, sizes.last - sizes.first
    constants = load(numbers.constants, 0, sizes.constants)
    late = d_s[slot : slot + B, last : len(sizes.gates) * width]
    product(late, work.R_T[fed:], numbers.one, numbers.zero, q[:, :width])
    for b in range(B):
        new_rows()
        q_b, d_s_b, d_b = b * q.shape[1], (slot + b) * d_s.shape[1], b * d_state.shape[1]
        before, saved_b = (row + b) * states.shape[1], (row + b) * residuals.shape[1]
        for h in range(width):
            unit = load(own, h, sizes.unit_weights) + constants
            kept, previous = load(residuals, saved_b + h, sizes.residuals), load(states, before + h, sizes.states)
            (d_q,) = load(q, q_b + h, (0,))
            d_early, d_previous = reset_back(d_q, kept, previous, unit)
            add(d_s, d_s_b + h, sizes.early, d_early)
            add(d_state, d_b + h, sizes.states, d_previous)


def run_back(
    backward: Any,
    reset_back: Any,
    t: int,
    slot: int,
    work: Buffers,
    weights: Matrices,
    d_weights: Matrices,
    numbers: Numbers,
    sizes: Sizes,
) -> None:
    """Step t of a segment, from dL/d(state) after it to dL/ds in rows `slot`, and dL/d(state) before it."""
    prefer_widest_vectors()
    B, width, first, last = sizes.batch, sizes.width, sizes.first, sizes.last
    states, residuals, d_s, d_state, R_T, one = (
        work.states,
        work.residuals,
        work.d_s,
        work.d_state,
        work.R_T,
        numbers.one,
    )
    to_d_s, to_d_state, to_state, to_saved = d_s.shape[1], d_state.shape[1], states.shape[1], residuals.shape[1]
    constants, own, d_own = load(numbers.constants, 0, sizes.constants), weights.U[0], d_weights.U[0]
    row, fed = t * B, last - first
    for b in range(B):
        new_rows()
        d_s_b, d_b, before, saved_b = (
            (slot + b) * to_d_s,
            b * to_d_state,
            (row + b) * to_state,
            (row + b) * to_saved,
        )
        after = before + B * to_state
        for h in range(width):
            unit = load(own, h, sizes.unit_weights) + constants
            d_after, kept = load_own(d_state, d_b + h, sizes.states), load(residuals, saved_b + h, sizes.residuals)
            previous, state = load(states, before + h, sizes.states), load(states, after + h, sizes.states)
            d_gates, d_previous, d_unit = backward(d_after, kept, previous, state, unit)
            store(d_s, d_s_b + h, sizes.gates, d_gates)
            store_own(d_state, d_b + h, sizes.states, d_previous)
            add(d_own, h, sizes.unit_weights, d_unit)
    if reset_back is not None:
        run_reset_back(reset_back, row, slot, work, weights, numbers, sizes)
    if fed > 0:
        product(d_s[slot : slot + B, first:last], R_T[:fed], one, one, d_state[:, : len(sizes.reads) * width])


def add_products(
    x: Array, row: int, rows: int, work: Buffers, d_weights: Matrices, one: Array, sizes: Sizes
) -> None:
    """What a block of steps, from `row` on, adds to the gradients of W, the bias and R; x `[steps, B, F + 1]`."""
    width, first, last = sizes.width, sizes.first, sizes.last
    columns, fed = len(sizes.gates) * width, last - first
    d_s, d_R = work.d_s[:rows], d_weights.R
    transposed_product(x.reshape(rows, x.shape[2]), d_s, one, one, d_weights.W)
    if fed > 0:
        read = work.states[row : row + rows, : len(sizes.reads) * width]
        transposed_product(read, d_s[:, first:last], one, one, d_R[:, :fed])
    if last < columns:
        q = work.residuals[row : row + rows, sizes.q : sizes.q + width]
        transposed_product(q, d_s[:, last:columns], one, one, d_R[:, fed : fed + columns - last])


def summed_norms(values: Array) -> float:
    """Σ_b ‖row b‖ in float64, scaled so that no square underflows."""
    total = 0.0
    for b in range(values.shape[0]):
        largest = 0.0
        for h in range(values.shape[1]):
            largest = max(largest, abs(float(values[b, h])))
        if largest > 0.0 and largest < np.inf:
            squares = 0.0
            for h in range(values.shape[1]):
                part = float(values[b, h]) / largest
                squares += part * part
            total += largest * np.sqrt(squares)
        else:
            total += largest
    return total


def differentiate(
    backward: Any,
    reset_back: Any,
    x: Array,
    d_y_hat: Array,
    norms: Array,
    begin: int,
    work: Buffers,
    weights: Matrices,
    d_weights: Matrices,
    numbers: Numbers,
    sizes: Sizes,
) -> None:
    """The steps of the segment that begins at `begin` and has been run, last one first; x `[steps, B, F + 1]`."""
    prefer_widest_vectors()
    B, width, block, one, steps = sizes.batch, sizes.width, sizes.block, numbers.one, x.shape[0]
    d_a, unread = work.d_state[:, :width], sizes.time - sizes.output_steps
    for t in range(steps - 1, -1, -1):
        slot = t % block
        if begin + t >= unread:
            after = work.states[(t + 1) * B : (t + 2) * B, :width]
            read_out_back(d_y_hat[begin + t - unread], after, d_a, d_weights, work.V_T, one)
        if norms.shape[0] > 0:
            norms[begin + t] = summed_norms(d_a)
        run_back(backward, reset_back, t, slot * B, work, weights, d_weights, numbers, sizes)
        if slot == 0:
            rows = min(block, steps - t)
            add_products(x[t : t + rows], t * B, rows * B, work, d_weights, one, sizes)


# What depends on a cell leaves no symbol in the object code: it is made part of the kernel. For to symbols of one
# name and signature Numba adds a number only, counted anew in each process; and when a process loads kernels that
# several others have put on disk, the linker takes the first function of a name for all of them.
OF_A_CELL: tuple[Callable[..., Any], ...] = (run_reset, run, run_reset_back, run_back, differentiate)
OF_ALL: tuple[Callable[..., Any], ...] = (
    *(exchange, exchange_rows, copy_rows, transpose, prepare_back, start),
    *(read_out, read_out_back, add_products, summed_norms),
    *(count_asked, softmax_cross_entropy, sigmoid_cross_entropy, squared_error),
)
for function in OF_A_CELL:
    register_jitable(forceinline=True)(function)
for function in OF_ALL:
    register_jitable(function)


def build(cell: Cell, loss: Callable[[Array, Array, Array, int], float], fingerprint: str) -> Callable[..., Any]:
    """The kernel of a cell, not yet compiled.

    It may close over importable functions and numbers alone: then Numba finds it on disk in the next process.
    `fingerprint` must change whenever any of these functions does, since Numba looks at this file only. It is part
    of the kernel's name.
    """
    forward, backward = cell.forward, cell.backward
    reset, reset_back = (cell.reset.forward, cell.reset.backward) if cell.reset else (None, None)
    for function in (forward, backward, reset, reset_back):
        if function is not None:
            register_jitable(inline="always")(function)
    register_jitable(forceinline=True)(loss)

    def kernel(parameters, gradients, losses, norms, data, sizes, work, weights, d_weights, numbers, kind, what):  # type: ignore[no-untyped-def]
        """For each model; all but the last segment must be run again on the way back."""
        prefer_widest_vectors()
        segments = (sizes.time + sizes.segment - 1) // sizes.segment
        control = control_word()
        set_control_word(control | np.uint32(FLUSH))
        for model in range(parameters.shape[0]):
            x, y_hat, d_y_hat = data.x[model], data.y_hat[model], data.d_y_hat[model]
            exchange(parameters[model], weights, sizes, False)
            if what & BACKWARD:
                prepare_back(weights, d_weights, work, sizes)
            for i in range(0 if what & FORWARD else segments, 2 * segments if what & BACKWARD else segments):
                back = i >= segments
                at = 2 * segments - 1 - i if back else i
                begin = at * sizes.segment
                now = x[begin : begin + min(sizes.segment, sizes.time - begin)]
                if not back or at < segments - 1:
                    start(work.states, work.checkpoints, at, sizes, back)
                    run(forward, reset, now, work, weights, numbers, sizes)
                if back:
                    differentiate(
                        backward,
                        reset_back,
                        now,
                        d_y_hat,
                        norms[model],
                        begin,
                        work,
                        weights,
                        d_weights,
                        numbers,
                        sizes,
                    )
                else:
                    read_out(y_hat, begin, now.shape[0], work.states, weights, numbers, sizes)
                    if i == segments - 1 and what == FORWARD | BACKWARD:
                        losses[model] = loss(y_hat, data.y[model], d_y_hat, kind)
            if what & BACKWARD:
                exchange(gradients[model], d_weights, sizes, True)
        set_control_word(control)

    kernel.__qualname__ = f"kernel_{fingerprint}"
    return kernel
