"""The fast engine's kernel: forward, loss and back-propagation through time of any cell, compiled.

`build` closes one function over a cell's `forward` and `backward`, the same two that the readable engine calls;
Numba inlines them into the loops. All else is the linear map's and the same for every cell.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numba.extending import register_jitable

from memspan.axes import Array
from memspan.cells import Cell
from memspan.kernels import activations as _twins  # noqa: F401  (importing it registers them)
from memspan.kernels.packs import ADD, LOAD, LOAD_OWN, STORE, STORE_OWN
from memspan.kernels.processor import FLUSH, control_word, new_rows, prefer_widest_vectors, set_control_word
from memspan.kernels.products import product, transposed_product

FORWARD, BACKWARD = 1, 2
"""What a kernel is to do; their sum for both."""


class Sizes(NamedTuple):
    """Lengths of axes; `width` is H padded, `segment` the steps that are traced, `block` those of a product."""

    time: int
    batch: int
    features: int
    hidden: int
    outputs: int
    read_out: int
    width: int
    segment: int
    block: int


class Buffers(NamedTuple):
    """Where a kernel works: rows are steps times batch, columns gates or states side by side, `width` each."""

    states: Array  # [(segment + 1)·B, S·width]
    saved: Array  # [segment·B, N·width]
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


def spread(
    flat: Array, begin: int, rows: int, parts: int, hidden: int, matrix: Array, row: int, width: int
) -> int:
    """Copy `[rows, parts·hidden]` of the flat weights into a matrix with parts of `width`; return the end."""
    for r in range(row, row + rows):
        for part in range(parts):
            matrix[r, part * width : part * width + hidden] = flat[begin : begin + hidden]
            begin += hidden
    return begin


def gather(
    flat: Array, begin: int, rows: int, parts: int, hidden: int, matrix: Array, row: int, width: int
) -> int:
    """The way back of `spread`."""
    for r in range(row, row + rows):
        for part in range(parts):
            flat[begin : begin + hidden] = matrix[r, part * width : part * width + hidden]
            begin += hidden
    return begin


def transpose(matrix: Array, into: Array) -> None:
    """Write the transpose."""
    for i in range(matrix.shape[0]):
        for j in range(matrix.shape[1]):
            into[j, i] = matrix[i, j]


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


def no_reset(s: Any, previous: Any, unit: Any) -> Any:
    """Stands where a cell has no reset."""
    return previous[0]


def no_reset_back(d_q: Any, saved: Any, previous: Any, unit: Any) -> Any:
    """Stands where a cell has no reset."""
    return (), ()


for helper in (spread, gather, transpose, summed_norms):
    register_jitable(helper)
for inlined in (no_reset, no_reset_back, *LOAD, *LOAD_OWN, *STORE, *STORE_OWN, *ADD):
    register_jitable(inline="always")(inlined)


def build(cell: Cell, loss: Callable[[Array, Array, Array], float], fingerprint: str) -> Callable[..., Any]:
    """The kernel of a cell, not yet compiled.

    It may close over importable functions and numbers alone: then Numba finds it on disk in the next process.
    `fingerprint` must change whenever any of these functions does, since Numba looks at this file only.
    """
    forward, backward = cell.forward, cell.backward
    reset = cell.reset.forward if cell.reset else no_reset
    reset_back = cell.reset.backward if cell.reset else no_reset_back
    for function in (forward, backward, reset, reset_back):
        register_jitable(inline="always")(function)
    register_jitable(loss)
    gates, states_, kept, own = len(cell.gates), len(cell.states), len(cell.saved), len(cell.own)
    driven, recurrent, reads = len(cell.driven), len(cell.recurrent), len(cell.reads)
    late = len(cell.reset.gates) if cell.reset else 0
    early, main = gates - late, recurrent - late
    load_s, store_s, load_early, add_early = LOAD[gates], STORE[gates], LOAD[early], ADD[early]
    load_state, store_state, add_state = LOAD[states_], STORE[states_], ADD[states_]
    load_d_state, store_d_state = LOAD_OWN[states_], STORE_OWN[states_]  # in place
    load_saved, store_saved = LOAD[kept], STORE_OWN[kept]
    load_own, add_own, load_constants = LOAD[own], ADD[own], LOAD[len(cell.constants)]

    def kernel(parameters, gradients, losses, norms, data, sizes, work, weights, d_weights, numbers, what):  # type: ignore[no-untyped-def]
        T, B, F, H, O, K, width, segment, block = sizes
        x, y, y_hat, d_y_hat = data
        one, zero, R_T, V_T = numbers.one, numbers.zero, work.R_T, work.V_T
        states, saved, s, q, d_s, d_state = work.states, work.saved, work.s, work.q, work.d_s, work.d_state
        constants = load_constants(numbers.constants, 0, 1)
        own_weights, d_own = weights.U[0], d_weights.U[0]
        # How far it is from one row to the next.
        to_s, to_state, to_saved, to_d_s = s.shape[1], states.shape[1], saved.shape[1], d_s.shape[1]
        to_d_state = d_state.shape[1]
        first, last = (gates - recurrent) * width, early * width
        segments = (T + segment - 1) // segment
        prefer_widest_vectors()
        control = control_word()
        set_control_word(control | np.uint32(FLUSH))
        fingerprint  # noqa: B018  (kept in the closure: a part of the key of the cache)
        for model in range(parameters.shape[0]):
            flat = parameters[model]
            p = spread(flat, 0, F, driven, H, weights.W, 0, width)
            for read in range(reads):
                p = spread(flat, p, H, recurrent, H, weights.R, read * width, width)
            p = spread(flat, p, 1, gates, H, weights.W, F, width)
            p = spread(flat, p, H, 1, O, weights.V, 0, O)
            p = spread(flat, p, 1, 1, O, weights.by, 0, O)
            p = spread(flat, p, 1, own, H, weights.U, 0, width)
            if what & 2:
                transpose(weights.R[:, : recurrent * width], R_T)
                transpose(weights.V, V_T)
                d_weights.W[:] = 0
                d_weights.R[:] = 0
                d_weights.V[:] = 0
                d_weights.by[:] = 0
                d_weights.U[:] = 0
                d_state[:] = 0
            # The segments forward, then back; all but the last must be run again on the way back.
            for i in range(0 if what & 1 else segments, 2 * segments if what & 2 else segments):
                back = i >= segments
                at = 2 * segments - 1 - i if back else i
                begin = at * segment
                steps = min(segment, T - begin)
                if not back or at < segments - 1:
                    if at == 0:
                        states[:B] = 0
                    elif back:
                        states[:B] = work.checkpoints[at * B : (at + 1) * B]
                    else:
                        states[:B] = states[segment * B : (segment + 1) * B]
                    if not back and work.checkpoints.shape[0] > 0:
                        work.checkpoints[at * B : (at + 1) * B] = states[:B]
                    for t in range(steps):
                        row = t * B
                        product(x[model, begin + t], weights.W, one, zero, s)
                        if main > 0:
                            read_rows = states[row : row + B, : reads * width]
                            product(read_rows, weights.R[:, : main * width], one, one, s[:, first:last])
                        if late > 0:
                            for b in range(B):
                                new_rows()
                                q_row, s_b, before = q[b], b * to_s, (row + b) * to_state
                                for h in range(width):
                                    unit = load_own(own_weights, h, width) + constants
                                    q_row[h] = reset(
                                        load_early(s, s_b + h, width), load_state(states, before + h, width), unit
                                    )
                            product(
                                q[:, :width], weights.R[:, main * width :], one, one, s[:, last : gates * width]
                            )
                        for b in range(B):
                            new_rows()
                            s_b, before, saved_b = b * to_s, (row + b) * to_state, (row + b) * to_saved
                            after = before + B * to_state
                            for h in range(width):
                                state, keep = forward(
                                    load_s(s, s_b + h, width),
                                    load_state(states, before + h, width),
                                    load_own(own_weights, h, width) + constants,
                                )
                                store_state(states, after + h, width, state)
                                store_saved(saved, saved_b + h, width, keep)
                    if not back:
                        for t in range(max(0, T - K - begin), steps):
                            answer = y_hat[model, begin + t - (T - K)]
                            for b in range(B):
                                answer[b] = weights.by[0]
                            product(states[(t + 1) * B : (t + 2) * B, :width], weights.V, one, one, answer)
                if i == segments - 1 and what == 3:
                    losses[model] = loss(y_hat[model], y[model], d_y_hat[model])
                if back:
                    for t in range(steps - 1, -1, -1):
                        row, slot = t * B, (t % block) * B
                        if begin + t >= T - K:
                            d_answer = d_y_hat[model, begin + t - (T - K)]
                            product(d_answer, V_T, one, one, d_state[:, :width])
                            transposed_product(
                                states[row + B : row + 2 * B, :width], d_answer, one, one, d_weights.V
                            )
                            for b in range(B):
                                d_weights.by[0] += d_answer[b]
                        if norms.shape[1] > 0:
                            norms[model, begin + t] = summed_norms(d_state[:, :width])
                        for b in range(B):
                            new_rows()
                            d_s_b, before, saved_b = (
                                (slot + b) * to_d_s,
                                (row + b) * to_state,
                                (row + b) * to_saved,
                            )
                            after, d_b = before + B * to_state, b * to_d_state
                            for h in range(width):
                                d_gates, d_states, d_unit = backward(
                                    load_d_state(d_state, d_b + h, width),
                                    load_saved(saved, saved_b + h, width),
                                    load_state(states, before + h, width),
                                    load_state(states, after + h, width),
                                    load_own(own_weights, h, width) + constants,
                                )
                                store_s(d_s, d_s_b + h, width, d_gates)
                                store_d_state(d_state, d_b + h, width, d_states)
                                add_own(d_own, h, width, d_unit)
                        if late > 0:
                            d_late = d_s[slot : slot + B, last : gates * width]
                            product(d_late, R_T[main * width :], one, zero, q[:, :width])
                            for b in range(B):
                                new_rows()
                                q_row, d_s_b, before = q[b], d_s[slot + b], (row + b) * to_state
                                saved_b, d_row = (row + b) * to_saved, d_state[b]
                                for h in range(width):
                                    d_gates, d_states = reset_back(
                                        q_row[h],
                                        load_saved(saved, saved_b + h, width),
                                        load_state(states, before + h, width),
                                        load_own(own_weights, h, width) + constants,
                                    )
                                    add_early(d_s_b, h, width, d_gates)
                                    add_state(d_row, h, width, d_states)
                        if main > 0:
                            d_fed = d_s[slot : slot + B, first:last]
                            product(d_fed, R_T[: main * width], one, one, d_state[:, : reads * width])
                        if slot == 0:
                            rows = min(block, steps - t) * B
                            d_rows = d_s[:rows]
                            inputs = x[model, begin + t : begin + t + rows // B].reshape(rows, F + 1)
                            transposed_product(inputs, d_rows, one, one, d_weights.W)
                            if main > 0:
                                read_rows = states[row : row + rows, : reads * width]
                                d_R = d_weights.R[:, : main * width]
                                transposed_product(read_rows, d_rows[:, first:last], one, one, d_R)
                            if late > 0:
                                q_rows = saved[row : row + rows, q_at * width : (q_at + 1) * width]
                                d_R = d_weights.R[:, main * width :]
                                transposed_product(q_rows, d_rows[:, last:], one, one, d_R[:, : late * width])
            if what & 2:
                flat = gradients[model]
                p = gather(flat, 0, F, driven, H, d_weights.W, 0, width)
                for read in range(reads):
                    p = gather(flat, p, H, recurrent, H, d_weights.R, read * width, width)
                p = gather(flat, p, 1, gates, H, d_weights.W, F, width)
                p = gather(flat, p, H, 1, O, d_weights.V, 0, O)
                p = gather(flat, p, 1, 1, O, d_weights.by, 0, O)
                p = gather(flat, p, 1, own, H, d_weights.U, 0, width)

        set_control_word(control)

    q_at = cell.saved.index("q") if cell.reset else 0
    return kernel
