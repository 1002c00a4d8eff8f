from dataclasses import replace

import numpy as np
import pytest

from memspan.cells import CELLS, lstm
from memspan.cells.initializers import INITIALIZERS
from memspan.engines.parameters import Layout, initial_weights

LAYOUT = Layout(CELLS["lstm"], features=2, hidden=3, outputs=5)
SQUARE = Layout(CELLS["rnn"], features=6, hidden=6, outputs=6)


def by_gate(matrix, hidden):
    return [matrix[:, begin : begin + hidden] for begin in range(0, matrix.shape[1], hidden)]


def test_layout_has_the_assignments_shapes():
    assert LAYOUT.shapes == {"W": (2, 12), "R": (3, 12), "bs": (12, 1), "V": (3, 5), "by": (5, 1)}
    assert LAYOUT.size == 24 + 36 + 12 + 15 + 5


def test_layout_has_a_column_for_each_gate_that_is_fed_and_a_row_for_each_state_that_is_read():
    gru, lru, cornn = (Layout(CELLS[name], features=2, hidden=3, outputs=5) for name in ("gru", "lru", "cornn"))
    assert gru.shapes == {"W": (2, 9), "R": (3, 9), "bs": (12, 1), "V": (3, 5), "by": (5, 1)}
    assert lru.shapes == {"W": (2, 6), "bs": (6, 1), "V": (3, 5), "by": (5, 1), "U": (3, 3)}
    assert cornn.shapes == {"W": (2, 3), "R": (6, 3), "bs": (3, 1), "V": (3, 5), "by": (5, 1)}
    assert (gru.size, lru.size, cornn.size) == (77, 47, 47)


@pytest.mark.parametrize("cell", CELLS)
def test_views_lie_end_to_end_in_the_order_of_weights(cell):
    layout = Layout(CELLS[cell], features=2, hidden=3, outputs=5)
    weights = layout.views(np.arange(layout.size, dtype=float))
    shapes = {name: weight.shape for name, weight in weights._asdict().items() if weight.size}
    assert shapes == layout.shapes
    assert list(shapes) == list(layout.by_name(np.zeros(layout.size)))
    np.testing.assert_array_equal(np.concatenate([w.ravel() for w in weights]), np.arange(layout.size))


def test_writing_to_a_view_writes_to_the_vector():
    flat = np.zeros(LAYOUT.size)
    LAYOUT.views(flat).R[1, 2] = 7
    assert np.flatnonzero(flat).tolist() == [24 + 12 + 2]


@pytest.mark.parametrize("start", INITIALIZERS)
def test_weights_are_a_function_of_the_stream(start):
    draws = [initial_weights(LAYOUT, start, 1.0, np.random.default_rng(s)) for s in (8, 8, 9)]
    np.testing.assert_array_equal(draws[0], draws[1])
    assert draws[0].dtype == np.float64
    assert (LAYOUT.views(draws[0]).W != LAYOUT.views(draws[2]).W).all()


@pytest.mark.parametrize("start", INITIALIZERS)
@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
def test_biases_are_zero_but_for_those_the_cell_names(cell, start):
    layout = Layout(cell, 2, 3, 1)
    weights = layout.views(initial_weights(layout, start, 1.0, np.random.default_rng(0)))
    for gate, block in zip(cell.gates, weights.bs.reshape(-1, 3), strict=True):
        np.testing.assert_array_equal(block, cell.bias.get(gate, 0.0))
    np.testing.assert_array_equal(weights.by, 0)


def test_forget_bias_sets_its_gate_and_changes_nothing_else():
    drawn = [
        LAYOUT.views(initial_weights(replace(LAYOUT, cell=lstm(bias)), "glorot", 1.0, np.random.default_rng(0)))
        for bias in (0.0, 2.5)
    ]
    np.testing.assert_array_equal(drawn[0].bs, 0)
    np.testing.assert_array_equal(drawn[1].bs[:, 0], [0] * 3 + [2.5] * 3 + [0] * 6)
    for name in ("W", "R", "V", "by"):
        np.testing.assert_array_equal(getattr(drawn[0], name), getattr(drawn[1], name))


def test_every_gate_has_an_orthogonal_block_of_its_own():
    weights = LAYOUT.views(initial_weights(LAYOUT, "orthogonal", 3.0, np.random.default_rng(0)))
    blocks = by_gate(weights.R, 3)
    for block in blocks:
        np.testing.assert_allclose(block.T @ block, 9 * np.eye(3), atol=1e-13)
    assert all(not np.allclose(blocks[0], block) for block in blocks[1:])


def test_identity_start_is_the_identity_times_the_gain_in_every_gate():
    weights = LAYOUT.views(initial_weights(LAYOUT, "identity", 0.9, np.random.default_rng(0)))
    np.testing.assert_array_equal(weights.R, np.hstack([0.9 * np.eye(3)] * 4))


def test_every_state_that_r_reads_has_an_orthogonal_block_of_its_own():
    layout = replace(LAYOUT, cell=CELLS["cornn"])
    R = layout.views(initial_weights(layout, "orthogonal", 1.0, np.random.default_rng(0))).R
    for block in (R[:3], R[3:]):
        np.testing.assert_allclose(block.T @ block, np.eye(3), atol=1e-13)
    assert not np.allclose(R[:3], R[3:])


def test_own_weights_come_last_from_the_same_stream():
    layout = replace(LAYOUT, cell=CELLS["lstm-peephole"])
    plain = initial_weights(LAYOUT, "glorot", 1.0, np.random.default_rng(0))
    weights = initial_weights(layout, "glorot", 1.0, rng := np.random.default_rng(0))
    np.testing.assert_array_equal(weights[: LAYOUT.size], plain)
    again = np.random.default_rng(0)
    initial_weights(LAYOUT, "glorot", 1.0, again)
    np.testing.assert_array_equal(weights[LAYOUT.size :].reshape(3, 3), again.uniform(-0.2, 0.2, (3, 3)))
    assert rng.random() == again.random()


def test_fan_out_of_a_gate_is_its_hidden_size():
    layout = Layout(lstm(), features=80, hidden=120, outputs=40)
    weights = layout.views(initial_weights(layout, "glorot", 1.0, np.random.default_rng(0)))
    for matrix, limit in ((weights.W, 6 / 200), (weights.R, 6 / 240), (weights.V, 6 / 160)):
        assert 0.99 * np.sqrt(limit) < np.abs(matrix).max() < np.sqrt(limit)


@pytest.mark.parametrize("start", ["uniform", "glorot", "lecun"])
def test_gain_multiplies_all_three_matrices_of_a_plain_start(start):
    once, thrice = (
        SQUARE.views(initial_weights(SQUARE, start, gain, np.random.default_rng(0))) for gain in (1.0, 3.0)
    )
    for name in ("W", "R", "V"):
        np.testing.assert_allclose(getattr(thrice, name), 3 * getattr(once, name), rtol=1e-15)


@pytest.mark.parametrize("start", INITIALIZERS)
def test_the_recurrent_gain_multiplies_r_alone_whatever_the_start(start):
    once, thrice = (
        SQUARE.views(initial_weights(SQUARE, start, 2.0, np.random.default_rng(0), recurrent))
        for recurrent in (1.0, 3.0)
    )
    plain = SQUARE.views(initial_weights(SQUARE, start, 2.0, np.random.default_rng(0)))
    np.testing.assert_array_equal(once.R, plain.R)
    np.testing.assert_allclose(thrice.R, 3 * once.R, rtol=1e-15)
    for name in ("W", "V", "bs", "by", "U"):
        np.testing.assert_array_equal(getattr(thrice, name), getattr(once, name))


@pytest.mark.parametrize("start", ["orthogonal", "identity"])
def test_gain_multiplies_r_alone_where_the_start_is_about_r(start):
    once, thrice = (
        SQUARE.views(initial_weights(SQUARE, start, gain, np.random.default_rng(0))) for gain in (1.0, 3.0)
    )
    np.testing.assert_allclose(thrice.R, 3 * once.R, rtol=1e-15)
    for name in ("W", "V"):
        np.testing.assert_array_equal(getattr(thrice, name), getattr(once, name))
        assert 0.1 < np.abs(getattr(once, name)).max() < 0.2
