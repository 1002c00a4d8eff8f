"""What every cell in CELLS must keep, alone and inside a network."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memspan import CELLS, Network
from memspan.gradcheck import gradient_check

WEIGHTS = ("W", "R", "bs", "V", "by")

every_cell = pytest.mark.parametrize("cell", CELLS)
every_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])
sizes = st.tuples(*(st.integers(1, most) for most in (12, 5, 3, 6, 3)))
some_sizes = settings(max_examples=25)


def draw(cell, dtype, sizes, seed):
    """A network of these sizes, a batch and a gradient for it."""
    T, B, F, H, O = sizes
    rng = np.random.default_rng(seed)
    network = Network(cell, F, H, O, init="glorot", dtype=dtype, rng=rng)
    network.bs += rng.uniform(-0.5, 0.5, network.bs.shape).astype(dtype)
    network.by += rng.uniform(-0.5, 0.5, network.by.shape).astype(dtype)
    return network, rng.uniform(-1, 1, (T, B, F)).astype(dtype), rng.uniform(-1, 1, (B, O)).astype(dtype)


def run(network, x, d):
    """Forward, then the gradient of each weight by time step, and dL/da[t]."""
    y_hat = network.forward(x)
    gradients = {**network.backward(d), "d_s": network.gradients.d_s, "d_states": network.gradients.d_states}
    return y_hat, gradients


def assert_close(actual, expected, scale, steps):
    """Equal to the rounding of `steps` steps on numbers as large as `scale`."""
    assert actual.dtype == expected.dtype
    allowed = 64 * steps * np.finfo(actual.dtype).eps * np.abs(scale).max()
    assert np.abs(actual - expected).max() <= allowed


@every_cell
def test_names(cell):
    assert CELLS[cell].name == cell
    assert CELLS[cell].states[0] == "a"
    assert set(CELLS[cell].bias) <= set(CELLS[cell].gates)
    assert CELLS[cell].source


@every_cell
def test_backward_is_the_derivative_of_forward_unit_by_unit(cell):
    cell, h = CELLS[cell], 1e-20
    rng = np.random.default_rng(0)
    s, previous, d_state = (
        rng.standard_normal((count, 20, 30)) for count in (len(cell.gates), len(cell.states), len(cell.states))
    )
    state, gates = cell.forward(tuple(s), tuple(previous))
    d_s, d_previous = cell.backward(tuple(d_state), gates, tuple(previous), state)
    assert len(d_s) == len(cell.gates)
    assert len(d_previous) == len(cell.states)

    def derivative(s, previous):
        moved, _ = cell.forward(tuple(s), tuple(previous))
        return sum(d * np.imag(state) / h for d, state in zip(d_state, moved, strict=True))

    for k in range(len(s)):
        step = np.zeros_like(s, complex)
        step[k] = 1j * h
        np.testing.assert_allclose(d_s[k], derivative(s + step, previous + 0j), rtol=1e-12, atol=1e-15)
    for k in range(len(previous)):
        step = np.zeros_like(previous, complex)
        step[k] = 1j * h
        expected = derivative(s + 0j, previous + step)
        np.testing.assert_allclose(d_previous[k] + 0 * expected, expected, rtol=1e-12, atol=1e-15)


@every_cell
def test_a_unit_knows_nothing_of_its_neighbours(cell):
    cell = CELLS[cell]
    rng = np.random.default_rng(1)
    s, previous = rng.standard_normal((len(cell.gates), 4, 5)), rng.standard_normal((len(cell.states), 4, 5))
    together = cell.forward(tuple(s), tuple(previous))
    alone = cell.forward(tuple(s[:, 2:3, 3:4]), tuple(previous[:, 2:3, 3:4]))
    for whole, one in zip(together[0] + together[1], alone[0] + alone[1], strict=True):
        np.testing.assert_allclose(one[0, 0], whole[2, 3], rtol=1e-15)


@every_cell
def test_gradient_check_passes(cell):
    network, x, _ = draw(cell, np.float64, (5, 3, 2, 4, 2), seed=2)
    assert gradient_check(network, x)


@every_cell
@every_dtype
@given(sizes=sizes, seed=st.integers(0, 2**32))
@some_sizes
def test_repeating_is_bit_identical(cell, dtype, sizes, seed):
    (one, x, d), (other, *_) = draw(cell, dtype, sizes, seed), draw(cell, dtype, sizes, seed)
    y_hat, gradients = run(one, x, d)
    for network in (one, other):
        again, gradients_again = run(network, x, d)
        np.testing.assert_array_equal(again, y_hat)
        for name, gradient in gradients.items():
            np.testing.assert_array_equal(gradients_again[name], gradient)


@every_cell
@every_dtype
@given(sizes=sizes, seed=st.integers(0, 2**32))
@some_sizes
def test_a_batch_is_its_samples_one_by_one(cell, dtype, sizes, seed):
    network, x, d = draw(cell, dtype, sizes, seed)
    T, B = sizes[:2]
    y_hat, gradients = run(network, x, d)
    singles = [run(network, x[:, b : b + 1], d[b : b + 1]) for b in range(B)]
    assert_close(y_hat, np.concatenate([y for y, _ in singles]), np.maximum(1, np.abs(y_hat)), T)
    for name, gradient in gradients.items():
        if name in ("d_s", "d_states"):
            expected = np.concatenate([single[name] for _, single in singles], axis=-2)
            assert_close(gradient, expected, gradient, T)
        else:
            summands = [single[name] for _, single in singles]
            assert_close(gradient, np.sum(summands, axis=0), np.sum(np.abs(summands), axis=0), T)


@every_cell
@every_dtype
@given(sizes=sizes, seed=st.integers(0, 2**32))
@some_sizes
def test_total_is_the_sum_over_time(cell, dtype, sizes, seed):
    network, x, d = draw(cell, dtype, sizes, seed)
    T, B = sizes[:2]
    _, gradients = run(network, x, d)
    total = network.layout.views(network.gradients.total())
    for name in WEIGHTS:
        by_step = gradients[f"d_{name}"]
        summands = by_step if by_step.ndim == 3 else by_step[np.newaxis]
        scale = np.abs(total.bs).max() + np.abs(summands).sum(axis=0)
        assert_close(getattr(total, name), summands.sum(axis=0), scale, T * B)


@every_cell
@every_dtype
@given(sizes=sizes, seed=st.integers(0, 2**32))
@some_sizes
def test_dtype_is_kept_everywhere(cell, dtype, sizes, seed):
    network, x, d = draw(cell, dtype, sizes, seed)
    y_hat, gradients = run(network, x.astype(np.float64), d.astype(np.float64))
    trace, total = network.trace, network.gradients.total()
    network.update(0.1)
    arrays = [y_hat, *gradients.values(), trace.x, trace.states, trace.gates, total, network.parameters]
    assert {array.dtype for array in arrays} == {np.dtype(dtype)}


@every_cell
@given(sizes=sizes, seed=st.integers(0, 2**32))
@some_sizes
def test_complex_twin_computes_the_same(cell, sizes, seed):
    network, x, d = draw(cell, np.float64, sizes, seed)
    y_hat, gradients = run(network, x, d)
    twin_y_hat, twin_gradients = run(network.astype(np.complex128), x, d)
    assert not twin_y_hat.imag.any()
    assert_close(twin_y_hat.real, y_hat, np.maximum(1, np.abs(y_hat)), sizes[0])
    for name, gradient in gradients.items():
        assert_close(twin_gradients[name].real, gradient, gradient, sizes[0] * sizes[1])
