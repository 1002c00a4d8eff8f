"""Flat weights and padded matrices."""

import numpy as np
import pytest

from memspan import CELLS
from memspan.engines.compiled.packing import pack, padded, runs_of, unpack
from memspan.engines.compiled.workspace import PassPlan, Workspace
from memspan.engines.parameters import Layout

each_cell = pytest.mark.parametrize("cell", CELLS)


def workspace(cell):
    layout, dtype, shape = Layout(CELLS[cell], 2, 5, 3), np.dtype(np.float64), (4, 6, 2)
    return layout, Workspace(layout, dtype, shape, 1, PassPlan.of(layout, dtype, shape, 1, 2**30))


@each_cell
def test_every_weight_has_one_place(cell):
    layout, work = workspace(cell)
    runs = runs_of(layout, work.plan.sizes.width, work.plan.weights)
    flat = np.concatenate([np.arange(begin, begin + length) for begin, _, length in runs])
    wide = np.concatenate([np.arange(begin, begin + length) for _, begin, length in runs])
    np.testing.assert_array_equal(flat, np.arange(layout.size))
    assert len(np.unique(wide)) == layout.size


@each_cell
def test_weights_lie_where_the_kernel_looks_for_them(cell):
    layout, work = workspace(cell)
    its, H, width = layout.cell, layout.hidden, work.plan.sizes.width
    flat = np.random.default_rng(0).normal(size=layout.size)
    unpack(flat, work.model, work.plan.sizes)
    views = layout.views(flat)
    for k in range(len(its.input_gates)):
        part = work.model.W[:-1, k * width : (k + 1) * width]
        np.testing.assert_array_equal(part[:, :H], views.W[:, k * H : (k + 1) * H])
        assert not part[:, H:].any()
    for k in range(len(its.gates)):
        np.testing.assert_array_equal(
            work.model.W[-1, k * width : k * width + H], views.bs[k * H : (k + 1) * H, 0]
        )
    for read in range(len(its.reads)):
        for k in range(len(its.recurrent_gates)):
            part = work.model.R[read * width : (read + 1) * width, k * width : (k + 1) * width]
            expected = views.R[read * H : (read + 1) * H, k * H : (k + 1) * H]
            np.testing.assert_array_equal(part[:H, :H], expected)
            assert not part[H:].any()
            assert not part[:, H:].any()
    np.testing.assert_array_equal(work.model.V[:H], views.V)
    np.testing.assert_array_equal(work.model.by, views.by.T)
    for k in range(len(its.unit_weights)):
        part = work.model.U[0, k * width : (k + 1) * width]
        np.testing.assert_array_equal(part[:H], views.U[k])
        np.testing.assert_array_equal(part[H:], views.U[k, 0])  # a cell may divide by them


@each_cell
def test_pack_is_the_reverse(cell):
    layout, work = workspace(cell)
    flat, back = np.random.default_rng(0).normal(size=layout.size), np.zeros(layout.size)
    unpack(flat, work.model, work.plan.sizes)
    work.gradient.padded[:] = work.model.padded
    pack(work.gradient, work.model.runs, back)
    np.testing.assert_array_equal(back, flat)


def test_padded_matrices_are_views():
    vector = np.zeros(14)
    matrices = padded(vector, ((2, 2), (0, 3), (1, 2), (1, 3), (1, 5)))
    matrices.by[:] = 1
    matrices.W[0, 1] = 2
    np.testing.assert_array_equal(vector, [0, 2, *[0] * 7, *[1] * 5])
