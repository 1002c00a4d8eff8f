"""What every cell in CELLS must keep, alone and inside a network."""

import ast
import importlib
import inspect
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import memspan
from memspan import CELLS, Network
from memspan.cells.base import Reset
from memspan.engines.parameters import split
from memspan.gradcheck import gradient_check

H_STEP = 1e-20

every_cell = pytest.mark.parametrize("cell", CELLS)
every_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])
sizes = st.tuples(*(st.integers(1, most) for most in (12, 5, 3, 6, 3)))
some_sizes = settings(max_examples=15)
with_reset = pytest.mark.parametrize("cell", [name for name, cell in CELLS.items() if cell.reset])


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
    gradients = {**network.backward(d), "d_s": network.grads.d_s, "d_states": network.grads.d_states}
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


def drawn_inputs(cell, rng):
    """Pre-activations, previous states and the unit's own weights, each `[., 20, 30]`."""
    return [rng.standard_normal((len(names), 20, 30)) for names in (cell.gates, cell.states, cell.unit_weights)]


def varied(groups, which, k):
    """Each group of inputs complex and as a tuple, with an imaginary step in input k of one of them."""
    groups = [group.astype(complex) for group in groups]
    groups[which][k] += 1j * H_STEP
    return tuple(map(tuple, groups))


@every_cell
def test_backward_is_the_derivative_of_forward_unit_by_unit(cell):
    cell, rng = CELLS[cell], np.random.default_rng(0)
    s, previous, own = groups = drawn_inputs(cell, rng)
    d_state, constants = rng.standard_normal((len(cell.states), 20, 30)), tuple(cell.constants.values())
    unit = (*own, *constants)
    state, residuals = cell.forward(tuple(s), tuple(previous), unit)
    assert (len(state), len(residuals)) == (len(cell.states), len(cell.residuals))
    derivatives = cell.backward(tuple(d_state), residuals, tuple(previous), state, unit)
    for which, (group, stated) in enumerate(zip(groups, derivatives, strict=True)):
        assert len(stated) == len(group)
        for k, derivative in enumerate(stated):
            s_, previous_, own_ = varied(groups, which, k)
            moved, _ = cell.forward(s_, previous_, (*own_, *constants))
            expected = sum(d * np.imag(after) / H_STEP for d, after in zip(d_state, moved, strict=True))
            scale = np.abs(expected).max() or 1.0
            np.testing.assert_allclose(derivative + 0 * expected, expected, rtol=1e-11, atol=1e-14 * scale)


@every_cell
def test_functions_are_made_of_activations_and_arithmetic_alone(cell):
    """So that they compile, and no float64 creeps into a float32 kernel: only 0.0 and indices are written."""
    cell = CELLS[cell]
    functions = [cell.forward, cell.backward, *([cell.reset.forward, cell.reset.backward] if cell.reset else [])]
    for function in functions:
        assert getattr(importlib.import_module(function.__module__), function.__name__) is function
        (tree,) = ast.parse(inspect.getsource(function)).body
        indices = {id(node.slice) for node in ast.walk(tree) if isinstance(node, ast.Subscript)}
        for node in ast.walk(ast.Module(tree.body[1:])):  # without the docstring
            if isinstance(node, ast.Constant) and id(node) not in indices:
                assert node.value == 0.0
                assert isinstance(node.value, float)
            if isinstance(node, ast.Call):
                assert getattr(memspan.cells.activations, node.func.id) is function.__globals__[node.func.id]
            assert not isinstance(node, ast.Attribute | ast.Compare | ast.IfExp | ast.Pow | ast.Lambda)


@with_reset
def test_backward_of_the_reset_is_its_derivative_and_q_is_saved(cell):
    cell, rng = CELLS[cell], np.random.default_rng(0)
    s, previous, own = drawn_inputs(cell, rng)
    d_q, constants = rng.standard_normal((20, 30)), tuple(cell.constants.values())
    first = s[: len(cell.gates) - len(cell.reset.gates)]
    _, residuals = cell.forward(tuple(s), tuple(previous), (*own, *constants))
    q = cell.reset.forward(tuple(first), tuple(previous), (*own, *constants))
    np.testing.assert_array_equal(residuals[cell.residuals.index("q")], q)
    derivatives = cell.reset.backward(d_q, residuals, tuple(previous), (*own, *constants))
    for which, (group, stated) in enumerate(zip((first, previous), derivatives, strict=True)):
        assert len(stated) == len(group)
        for k, derivative in enumerate(stated):
            s_, previous_, own_ = varied((first, previous, own), which, k)
            expected = d_q * cell.reset.forward(s_, previous_, (*own_, *constants)).imag / H_STEP
            np.testing.assert_allclose(derivative + 0 * expected, expected, rtol=1e-12, atol=1e-15)


@every_cell
def test_a_unit_knows_nothing_of_its_neighbours(cell):
    cell = CELLS[cell]
    s, previous, own = drawn_inputs(cell, np.random.default_rng(1))
    constants = tuple(cell.constants.values())
    together = cell.forward(tuple(s), tuple(previous), (*own, *constants))
    s, previous, own = (tuple(group[:, 2:3, 3:4]) for group in (s, previous, own))
    alone = cell.forward(s, previous, (*own, *constants))
    for whole, one in zip(together[0] + together[1], alone[0] + alone[1], strict=True):
        np.testing.assert_allclose(one[0, 0], whole[2, 3], rtol=1e-14)


@every_cell
def test_each_gate_is_fed_by_what_the_cell_says(cell):
    """`s` built gate by gate, from the columns of W and R counted by name, gives the states of the network."""
    network, x, _ = draw(cell, np.float64, (6, 3, 2, 4, 1), seed=3)
    network.parameters += np.random.default_rng(4).uniform(-0.3, 0.3, network.layout.size)
    cell, network_bs = network.cell, split(network.bs.T, 4)
    network.forward(x)
    W = dict(zip(cell.input_gates, split(network.W, 4), strict=True))
    R = dict(zip(cell.recurrent_gates, split(network.R, 4), strict=True))
    unit = (*network.U, *cell.constants.values())
    states = [np.zeros((3, 4)) for _ in cell.states]
    for t in range(6):
        read = np.hstack([states[cell.states.index(name)] for name in cell.reads])
        s = {}
        for gate, bias in zip(cell.gates, network_bs, strict=True):
            s[gate] = bias + 0.0 * states[0]
            if gate in W:
                s[gate] = s[gate] + x[t] @ W[gate]
            if cell.reset is not None and gate in cell.reset.gates:
                read = cell.reset.forward(tuple(s.values()), tuple(states), unit)
            if gate in R:
                s[gate] = s[gate] + read @ R[gate]
        states, residuals = cell.forward(tuple(s.values()), tuple(states), unit)
        np.testing.assert_allclose(network.trace.states[:, t + 1], states, rtol=1e-11, atol=1e-13)
        for name, value in zip(cell.residuals, residuals, strict=True):
            np.testing.assert_allclose(network.trace.gate(name)[t], value, rtol=1e-11, atol=1e-13)


@every_cell
def test_own_weights_start_as_the_cell_says(cell):
    network = Network(cell, 1, 7, 1, rng=5)
    shape = (len(CELLS[cell].unit_weights), 7)
    assert network.U.shape == shape
    assert ("U" in network.get_weights()) == bool(CELLS[cell].unit_weights)
    assert np.unique(network.U).size == network.U.size  # each drawn for itself
    # They are drawn last, so that the other weights are those of a cell without them.
    bare = Network(replace(CELLS[cell], unit_init=None), 1, 7, 1, rng=5)
    np.testing.assert_array_equal(bare.U, np.zeros(shape))
    np.testing.assert_array_equal(bare.V, network.V)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"input_gates": ("f", "i")}, "W feeds the first gates"),
        ({"recurrent_gates": ("i", "f")}, "W feeds the first gates"),
        ({"reads": ("c",)}, "R reads the first states"),
        ({"reset": Reset(("i",), None, None), "residuals": ("q",)}, "q feeds the last gates"),
        ({"reset": Reset(("o",), None, None)}, "q feeds the last gates"),
        ({"bias": {"F": 1.0}}, "bias must name gates"),
    ],
)
def test_a_cell_whose_names_are_out_of_order_is_refused(change, complaint):
    with pytest.raises(ValueError, match=f"lstm: {complaint}"):
        replace(CELLS["lstm"], **change)


def test_a_cell_whose_start_is_unknown_is_refused():
    with pytest.raises(ValueError, match="init must be"):
        replace(CELLS["lstm"], init="nowhere")


def choosing(s, previous, unit):
    return ((s[0] if s[0] > 0 else 0 * s[0]),), ()


def lacking(s, previous, unit):
    return (unit[0] * s[0],), ()


@pytest.mark.parametrize(("forward", "error"), [(choosing, "truth value"), (lacking, "index out of range")])
def test_a_cell_that_does_not_take_arrays_is_refused(forward, error):
    with pytest.raises(ValueError, match=f"rnn: forward must take arrays, got .*{error}"):
        replace(CELLS["rnn"], forward=forward)


def returns(found):
    return lambda *arguments: found


@pytest.mark.parametrize(
    ("cell", "change", "got"),
    [
        ("lstm", {"forward": returns(((0, 0), (0, 0, 0)))}, r"forward must return .*, got \[2, 3\]"),
        ("rnn", {"forward": returns(np.zeros((1, 1)))}, r"forward must return .*, got ndarray"),
        ("rnn", {"forward": returns((0, 0))}, r"forward must return .*, got tuple"),
        ("lstm", {"backward": returns(((0,) * 4, (0, 0)))}, r"backward must return .*, got \[4, 2\]"),
        ("lstm", {"backward": returns(((0,) * 4, (0, 0), (0,)))}, r"backward must return .*, got \[4, 2, 1\]"),
        ("lru", {"backward": returns(((0, 0), (0, 0), ()))}, r"backward must return .*'nu'.*, got \[2, 2, 0\]"),
        (
            "mgu",
            {"reset": replace(CELLS["mgu"].reset, backward=returns(((0, 0), (0,))))},
            r"the reset's backward must return .*, got \[2, 1\]",
        ),
    ],
)
def test_a_cell_that_returns_more_or_fewer_values_than_it_names_is_refused(cell, change, got):
    with pytest.raises(ValueError, match=f"{cell}: {got}"):
        replace(CELLS[cell], **change)


@every_cell
@every_dtype
@pytest.mark.parametrize(("T", "output_steps"), [(1, None), (5, None), (30, None), (5, 3), (30, 3)])
def test_gradient_check_passes(cell, dtype, T, output_steps):
    network, x, _ = draw(cell, dtype, (T, 3, 2, 4, 2), seed=2)
    network.output_steps = output_steps
    report = gradient_check(network, x)
    assert report, str(report)


@every_cell
@every_dtype
def test_reading_out_the_last_steps_is_reading_out_each_prefix(cell, dtype):
    T, K, B = 7, 3, 2
    network, x, _ = draw(cell, dtype, (T, B, 2, 4, 2), seed=6)
    d = np.random.default_rng(7).standard_normal((K, B, 2)).astype(dtype)
    prefixes = [run(network, x[: T - K + 1 + k], d[k]) for k in range(K)]
    network.output_steps = K
    y_hat, gradients = run(network, x, d)
    assert_close(y_hat, np.array([y for y, _ in prefixes]), np.maximum(1, np.abs(y_hat)), T)
    for name in network.layout.shapes:
        name = f"d_{name}"
        expected = np.zeros_like(gradients[name])
        for _, prefix in prefixes:
            if name in ("d_V", "d_by"):
                expected += prefix[name]
            else:
                expected[: len(prefix[name])] += prefix[name]
        assert_close(gradients[name], expected, np.maximum(1, np.abs(expected)), T)


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
    total = network.layout.views(network.grads.total())
    for name in network.layout.shapes:
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
    trace, total = network.trace, network.grads.total()
    network.update(0.1)
    arrays = [y_hat, *gradients.values(), trace.x, trace.states, trace.residuals, total, network.parameters]
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
