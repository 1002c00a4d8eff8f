import math

import numpy as np
import pytest

from memspan import CELLS, RNN, GradientFlow, InvalidArgument, MSELoss, Network, Recall


def backward_pass(cell="rnn", dtype="float64", *, batch=5, tiles=1, scale=1.0):
    """The gradients of the mean squared error of a small network for four steps of random input."""
    model = Network(cell, 2, 3, 2, dtype=dtype, rng=0)
    rng = np.random.default_rng(1)
    x, y = rng.uniform(-1, 1, (4, batch, 2)), rng.uniform(-1, 1, (batch, 2))
    x, y = np.tile(x, (1, tiles, 1)), np.tile(y, (tiles, 1))
    loss = MSELoss()
    loss.forward(model.forward(x), y.astype(dtype))
    return model.backpropagate(scale * loss.backward())


def size(values):
    """‖values‖ one number at a time; `hypot` takes the root without overflow or underflow."""
    return math.hypot(*map(float, np.ravel(values)))


def outer(left, right):
    """Σ_b left[b] right[b]ᵀ."""
    return sum(np.outer(left[b], right[b]) for b in range(len(left)))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("cell", CELLS)
def test_flow_is_the_size_of_the_gradient_at_every_step(cell, dtype):
    gradients = backward_pass(cell, dtype)
    flow, trace, cell = GradientFlow.of(gradients), gradients.trace, CELLS[cell]
    d_s = {gate: gradients.d_s[..., 3 * k : 3 * k + 3] for k, gate in enumerate(cell.gates)}
    through_q = cell.reset.gates if cell.reset else ()
    for t in range(4):
        d_a = sum(size(gradients.d_a[t, b]) for b in range(5))
        d_W = [outer(trace.x[t], d_s[gate][t]) for gate in cell.input_gates]
        d_R = [outer(trace.gate("q")[t], d_s[gate][t]) for gate in through_q]
        for gate in set(cell.recurrent_gates) - set(through_q):
            d_R += [outer(trace.state(name)[t - 1], d_s[gate][t]) for name in cell.reads if t > 0]
        tolerance = 1e-5 if dtype == "float32" else 1e-13
        np.testing.assert_allclose(flow.d_a[t], d_a, rtol=tolerance)
        np.testing.assert_allclose(flow.d_W[t], size(d_W), rtol=tolerance)
        np.testing.assert_allclose(flow.d_R[t], size(d_R), rtol=tolerance)
    assert flow.d_R[0] == 0
    assert (flow.d_R[1:] > 0).all() == bool(cell.recurrent_gates)
    assert (flow.d_a > 0).all()
    assert {values.dtype for values in (flow.d_a, flow.d_R, flow.d_W)} == {np.dtype("float64")}


def test_for_a_mean_loss_the_size_of_the_batch_does_not_matter():
    once, often = GradientFlow.of(backward_pass()), GradientFlow.of(backward_pass(tiles=7))
    for name in ("d_a", "d_R", "d_W"):
        np.testing.assert_allclose(getattr(often, name), getattr(once, name), rtol=1e-13)


def test_what_is_exactly_zero_stays_zero():
    flow = GradientFlow.of(backward_pass(scale=0.0))
    for values in (flow.d_a, flow.d_R, flow.d_W):
        np.testing.assert_array_equal(values, np.zeros(4))


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_what_is_not_zero_and_not_infinite_is_not_made_so(scale):
    """A norm by squares would give an exact 0, or infinity, here."""
    plain, scaled = GradientFlow.of(backward_pass()), GradientFlow.of(backward_pass(scale=scale))
    for name in ("d_a", "d_R", "d_W"):
        np.testing.assert_allclose(getattr(scaled, name), scale * getattr(plain, name), rtol=1e-13)


@pytest.mark.parametrize("value", [np.inf, np.nan])
@pytest.mark.filterwarnings("ignore:invalid value")
def test_what_is_not_finite_stays_so(value):
    flow = GradientFlow.of(backward_pass(scale=value))
    for values in (flow.d_a, flow.d_R[1:], flow.d_W):
        assert not np.isfinite(values).any()


def test_the_first_input_of_a_relu_that_is_off_gets_no_gradient():
    """One unit, switched off for good at the second step: what came before has no way to the answer."""
    model = Network("rnn-relu", 1, 1, 1, init="identity", rng=0)
    model.W, model.V = np.ones((1, 1)), np.ones((1, 1))
    x = np.array([0.5, -2.0, 0.25]).reshape(3, 1, 1)
    y_hat = model.forward(x)
    flow = GradientFlow.of(model.backpropagate(np.ones_like(y_hat)))
    np.testing.assert_array_equal(flow.d_a, [0, 1, 1])
    np.testing.assert_array_equal(flow.d_W, [0, 0, 0.25])
    np.testing.assert_array_equal(flow.d_R, [0, 0, 0])
    assert Recall().accuracy(y_hat, x[2]) == 1


def test_the_flow_of_a_network_is_that_of_its_grads():
    """Of all steps at once, and each step is the norm of what that step alone contributes."""
    rnn = RNN(2, 3, 1, rng=0)
    x = np.random.default_rng(0).uniform(-1, 1, (4, 5, 2))
    returned = rnn.backward(np.ones_like(rnn.forward(x)))
    flow = GradientFlow.of(rnn.grads)
    for name in ("d_a", "d_R", "d_W"):
        np.testing.assert_array_equal(getattr(flow, name), getattr(GradientFlow.of(returned), name))
    for t in range(4):
        assert flow.d_R[t] == pytest.approx(size(rnn.grads["d_R"][t]))
        assert flow.d_W[t] == pytest.approx(size(rnn.grads["d_W"][t]))


@pytest.mark.parametrize("other", [None, {"d_R": np.ones((3, 2, 2))}, np.ones(3)])
def test_what_is_no_backward_pass_is_refused(other):
    with pytest.raises(InvalidArgument, match=r"gradients must be the grads of a network, after its backward"):
        GradientFlow.of(other)
    with pytest.raises(InvalidArgument, match=r"gradients must be the grads of a network"):
        GradientFlow.of(RNN(1, 2, 1).grads)


def test_a_flow_says_in_one_line_what_it_is():
    flow = GradientFlow(np.array([1e-6, 0.5, 2.0]), np.zeros(3), np.zeros(3))
    assert repr(flow) == "<GradientFlow over 3 steps: ‖dL/da‖ 2 at lag 0, 1e-06 at lag 2>"
