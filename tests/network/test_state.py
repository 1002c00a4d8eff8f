"""The initial and the last state of a network, and the gradient of the initial one."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memspan import CELLS, GRU, LSTM, RNN, Batches, InvalidArgument, MSELoss, Network, Recall
from memspan.training.engines import ReadableEngine

STEP = 1e-20
T, B, F, H, O = 7, 3, 2, 4, 2
every_cell = pytest.mark.parametrize("cell", CELLS)


def problem(cell, *, steps=T, output_steps=None, seed=0):
    """A network without a weight of 0, its inputs, and an initial state that it could have reached."""
    rng = np.random.default_rng(seed)
    network = Network(cell, F, H, O, output_steps=output_steps, rng=rng)
    network.parameters += rng.normal(0, 0.1, network.parameters.shape)
    network.forward(rng.standard_normal((T, B, F)))  # so that the sLSTM's sum of weights is positive
    return network, rng.standard_normal((steps, B, F)), network.state


@every_cell
@settings(max_examples=8, deadline=None)
@given(cut=st.integers(1, T - 1), from_zero=st.booleans(), seed=st.integers(0, 10))
def test_a_sequence_may_be_cut_and_resumed(cell, cut, from_zero, seed):
    """The outputs, the states and the gradients of the weights and of the initial state are those of the whole."""
    network, x, start = problem(cell, seed=seed)
    start = None if from_zero else start
    y_hat = network.forward(x, start)
    d = np.random.default_rng(seed).standard_normal(y_hat.shape)
    whole, end = network.backward(d), network.state
    begun = network.forward(x[:cut], start)
    middle = network.state
    np.testing.assert_allclose(network.forward(x[cut:], state=middle), y_hat, rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(network.state, end, rtol=1e-13, atol=1e-15)
    second = network.backward(d)
    network.forward(x[:cut], start)
    first = network.backward(np.zeros_like(begun), second.d_state)
    np.testing.assert_allclose(first.total() + second.total(), whole.total(), rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(first.d_state, whole.d_state, rtol=1e-11, atol=1e-14)
    np.testing.assert_allclose([*first.d_a, *second.d_a], whole.d_a, rtol=1e-11, atol=1e-14)


@every_cell
@pytest.mark.parametrize("output_steps", [None, 3])
def test_d_state_is_the_complex_step_derivative(cell, output_steps):
    network, x, start = problem(cell, output_steps=output_steps)
    y_hat = network.forward(x, start)
    d = np.random.default_rng(1).standard_normal(y_hat.shape)
    found, twin = network.backward(d).d_state, network.astype(np.complex128)
    assert found.shape == start.shape == (len(network.cell.states), B, H)
    expected = np.empty_like(start)
    for index in np.ndindex(start.shape):
        stepped = start.astype(complex)
        stepped[index] += 1j * STEP
        expected[index] = (twin.predict(x.astype(complex), stepped) * d).sum().imag / STEP
    np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-15)
    assert np.abs(found).max() > 1e-4


@every_cell
def test_d_state_passes_through_every_state(cell):
    """A gradient of the last state, given to `backward`, is that of a loss of the last state itself."""
    network, x, start = problem(cell)
    y_hat = network.forward(x, start)
    d_last = np.random.default_rng(2).standard_normal(start.shape)
    found, twin = network.backward(np.zeros_like(y_hat), d_last), network.astype(np.complex128)
    assert not found.d_V.any()
    direction = np.random.default_rng(3).standard_normal(network.parameters.shape)
    twin.parameters += 1j * STEP * direction
    twin.forward(x.astype(complex), start.astype(complex))
    assert found.total() @ direction == pytest.approx((twin.state * d_last).sum().imag / STEP, rel=1e-10)


@pytest.mark.parametrize("made", [RNN, LSTM, GRU])
def test_the_classes_of_the_assignment_take_a_state(made):
    network = made(1, 4, 1, rng=0)
    x = np.random.default_rng(0).standard_normal((6, 1))
    y_hat = network.forward(x)
    network.forward(x[:2])
    np.testing.assert_allclose(network.forward(x[2:], state=network.state), y_hat, rtol=1e-13)
    assert list(network.backward(np.ones(1))) == ["d_V", "d_W", "d_R", "d_bs", "d_by"]


def test_the_last_state_is_a_copy_of_that_of_the_trace_or_of_the_prediction():
    network, x, start = problem("lstm")
    assert Network("lstm", F, H, O, rng=0).state is None
    network.forward(x, start)
    np.testing.assert_array_equal(network.state, network.trace.states[:, -1])
    np.testing.assert_array_equal(network.trace.states[:, 0], start)
    network.state[:] = 7
    assert network.trace.a.max() < 1
    last = network.trace.states[:, -1].copy()
    network.predict(x[:2])
    assert (network.state != last).all()
    network.predict(x[2:], network.state)
    network.forward(x)
    kept = network.state
    network.backward(np.ones((B, O)))
    network.update(0.1)
    assert network.state is kept  # training goes on from it
    assert network.astype("float32").state is None


def test_zeros_are_the_usual_initial_state():
    network, x, start = problem("slstm")
    np.testing.assert_array_equal(network.forward(x), network.forward(x, np.zeros_like(start)))


def test_the_initial_state_is_copied():
    network, x, start = problem("gru")
    given = start.copy()
    network.forward(x, given)
    given[:] = 7
    np.testing.assert_array_equal(network.trace.states[:, 0], start)


def test_d_state_is_no_weight():
    """It can be read like the gradient of a weight, and `update` and loops over the gradients leave it out."""
    network, x, start = problem("lstm")
    network.forward(x, start)
    grads, before = network.backward(np.ones((B, O))), network.get_weights()
    assert grads["d_state"] is grads.d_state
    assert "d_state" in grads
    assert "d_state" not in [*grads]
    assert "d_state" not in dict(grads)
    assert len(grads) == len(before)
    with pytest.raises(InvalidArgument, match=r"the name of a gradient must be one of d_V, .*, got 'd_state'"):
        grads["d_state"] = np.zeros_like(start)
    network.update(0.1)
    assert set(network.get_weights()) == set(before)


@pytest.mark.parametrize(
    ("state", "got"),
    [
        (np.zeros((B, H)), rf"shape \({B}, {H}\)"),
        (np.zeros((1, B, H)), rf"shape \(1, {B}, {H}\)"),
        (np.zeros((2, 1, H)), rf"shape \(2, 1, {H}\)"),
    ],
)
def test_a_state_of_another_shape_is_refused(state, got):
    network, x, _ = problem("lstm")
    rule = rf"must be of shape \[2, {B}, {H}\]: states \(a, c\), samples and hidden units, got {got}"
    for read in (network.forward, network.predict):
        with pytest.raises(InvalidArgument, match=f"state {rule}"):
            read(x, state)
    network.forward(x)
    with pytest.raises(InvalidArgument, match=f"d_state {rule}"):
        network.backward(np.ones((B, O)), state)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.nan, "state must be finite in float64, got nan at index"),
        (1, "state must be an array of real floating"),
    ],
)
def test_a_state_of_other_values_is_refused(value, message):
    network, x, start = problem("lstm")
    with pytest.raises(InvalidArgument, match=message):
        network.forward(x, np.full(start.shape, value))


def test_a_gradient_of_the_last_state_cannot_be_truncated():
    network, x, start = problem("rnn")
    network.forward(x)
    with pytest.raises(InvalidArgument, match="d_state must be left out with truncate"):
        network.backward(np.ones((B, O)), start, truncate=2)


# --- truncation -----------------------------------------------------------------------------------------


def truncated(network, x, start, d, k):
    """The truncated gradient from its definition: each output alone, after k steps from a constant state.

    Returns the sums over the outputs of the gradients of the weights, of dL/da and of that of the initial state.
    """
    K = network.output_steps or 1
    network.forward(x, start)
    states, d = network.trace.states, d.reshape(K, B, O)
    one = network.with_output_steps(None)
    total, d_a, d_state = np.zeros(network.parameters.size), np.zeros((len(x), B, H)), np.zeros_like(start)
    for t in range(len(x) - K, len(x)):
        first = max(0, t - k + 1)
        one.forward(x[first : t + 1], states[:, first])
        grads = one.backward(d[t - len(x) + K])
        total += grads.total()
        d_a[first : t + 1] += grads.d_a
        if t - k + 1 < 0:  # the initial state lies inside the window
            d_state += grads.d_state
    return total, d_a, d_state


@pytest.mark.parametrize("output_steps", [None, 3, T])
@pytest.mark.parametrize("cell", ["rnn", "lstm-peephole", "gru-before", "slstm"])
def test_each_output_goes_back_k_steps(cell, output_steps):
    network, x, start = problem(cell, output_steps=output_steps)
    d = np.random.default_rng(1).standard_normal(network.forward(x, start).shape)
    for k in range(1, T + 2):
        total, d_a, d_state = truncated(network, x, start, d, k)
        network.forward(x, start)
        grads = network.backward(d, truncate=k)
        np.testing.assert_allclose(grads.total(), total, rtol=1e-11, atol=1e-14)
        np.testing.assert_allclose(grads.d_a, d_a, rtol=1e-11, atol=1e-15)
        np.testing.assert_allclose(grads.d_state, d_state, rtol=1e-11, atol=1e-15)
        before = max(0, T - (output_steps or 1) - k + 1)
        assert not grads.d_a[:before].any()
        assert not grads.d_s[:before].any()
        assert grads.d_a[before:].any(axis=(1, 2)).all()
    whole = network.backward(d)
    np.testing.assert_array_equal(grads.total(), whole.total())  # the last k is T + 1
    np.testing.assert_array_equal(grads.d_state, whole.d_state)


@pytest.mark.parametrize("k", [0, -1, 1.5, True, "many"])
def test_k_is_a_whole_number(k):
    network, x, _ = problem("rnn")
    network.forward(x)
    with pytest.raises(InvalidArgument, match="truncate must be a whole number of at least 1"):
        network.backward(np.ones((B, O)), truncate=k)


def test_steps_before_the_window_are_not_computed():
    """The cell's backward is called once for each step of the window."""
    calls = []

    def counting(*arguments):
        calls.append(arguments)
        return CELLS["rnn"].backward(*arguments)

    network = Network(replace(CELLS["rnn"], backward=counting), F, H, O, rng=0)
    network.forward(np.ones((100, B, F)))
    calls.clear()
    network.backward(np.ones((B, O)), truncate=6)
    assert len(calls) == 6


def test_a_network_with_its_own_backpropagate_trains_without_truncation():
    class Own(Network):
        def backpropagate(self, d_loss):
            return super().backpropagate(d_loss)

    network = Own("rnn", 1, H, 1, rng=0)
    batch = next(Batches(Recall(), 3, B, 0, "float64"))
    engine = ReadableEngine([network], MSELoss())
    assert np.isfinite(engine.differentiate(network.parameters[np.newaxis], [batch]).gradients).all()
