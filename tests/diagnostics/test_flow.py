import math

import numpy as np
import pytest

from memspan import CELLS, RNN, GradientFlow, InvalidArgument, MSELoss, Network, Recall
from memspan.diagnostics import FlowSpread, gains


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
    spread = FlowSpread.of(np.array([[0.0, 0.0], [0.25, 0.25], [1.0, 1.0]]), np.float64)
    flow = GradientFlow(np.array([1e-6, 0.5, 2.0]), np.zeros(3), np.zeros(3), spread)
    assert repr(flow) == "<GradientFlow over 3 steps: ‖dL/da‖ 2 at lag 0, 1e-06 at lag 2>"
    assert repr(spread) == "<FlowSpread over 3 steps: median 0 at lag 2, 0 for 100% of the samples>"


# --- the spread over the batch --------------------------------------------------------------------------


def test_a_quantile_is_the_smallest_norm_that_this_share_of_the_samples_does_not_exceed():
    """For ten samples the first, the fifth and the ninth; for one sample, its own; and that times B."""
    norms = np.random.default_rng(0).permuted(np.arange(1.0, 11) * np.ones((4, 1)), axis=1)
    np.testing.assert_array_equal(FlowSpread.of(norms, np.float64).quantiles, [[10] * 4, [50] * 4, [90] * 4])
    np.testing.assert_array_equal(FlowSpread.of(norms[:, :1], np.float64).quantiles, [norms[:, 0]] * 3)
    for B in (2, 3, 7, 30, 64):
        ordered = np.arange(B)
        expected = [ordered[math.ceil(percent * B / 100) - 1] * B for percent in (10, 50, 90)]
        np.testing.assert_array_equal(
            FlowSpread.of(ordered[np.newaxis] + 0.0, np.float32).quantiles[:, 0], expected
        )


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_the_spread_is_that_of_the_samples_own_gradients(cell):
    """The samples one by one: the loss is a mean over the batch."""
    together = GradientFlow.of(backward_pass(cell))
    model, rng, loss = Network(cell, 2, 3, 2, rng=0), np.random.default_rng(1), MSELoss()
    x, y = rng.uniform(-1, 1, (4, 5, 2)), rng.uniform(-1, 1, (5, 2))
    alone = []
    for b in range(5):
        loss.forward(model.forward(x[:, b : b + 1]), y[b : b + 1])
        alone.append(GradientFlow.of(model.backpropagate(loss.backward())).d_a)
    np.testing.assert_allclose(together.d_a, np.mean(alone, axis=0), rtol=1e-12)
    np.testing.assert_allclose(together.spread.quantiles, np.sort(alone, axis=0)[[0, 2, 4]], rtol=1e-12)


def test_for_a_mean_loss_the_size_of_the_batch_does_not_matter_to_the_spread():
    once, often = GradientFlow.of(backward_pass()), GradientFlow.of(backward_pass(tiles=7))
    np.testing.assert_allclose(often.spread.quantiles, once.spread.quantiles, rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex128])
def test_what_is_zero_underflows_or_is_not_finite_is_counted(dtype):
    tiny = np.finfo(dtype).tiny
    norms = np.array([[0, 0, tiny / 8, tiny], [np.inf, 1, np.nan, 0], [1, 2, 3, 4.0]])
    spread = FlowSpread.of(norms, dtype)
    np.testing.assert_array_equal(spread.zero, [0.5, 0.25, 0])
    np.testing.assert_array_equal(spread.underflow, [0.25, 0, 0])
    np.testing.assert_array_equal(spread.not_finite, [0, 0.5, 0])
    np.testing.assert_array_equal(spread.quantiles[:, 1], [0, 4, np.nan])


def test_one_exception_in_the_whole_pass_is_found():
    for value, name in ((0.0, "zero"), (1e-310, "underflow"), (np.inf, "not_finite"), (np.nan, "not_finite")):
        norms = np.ones((50, 64))
        norms[31, 7] = value
        spread = FlowSpread.of(norms, np.float64)
        for share in ("zero", "underflow", "not_finite"):
            expected = np.zeros(50)
            expected[31] = (share == name) / 64
            np.testing.assert_array_equal(getattr(spread, share), expected)


def test_underflow_and_zero_are_told_apart_in_the_readable_engine():
    """A linear network whose gradient shrinks tenfold at every step: numbers of float32 end at 1e-45."""
    model = Network("rnn-linear", 1, 1, 1, dtype="float32", rng=0)
    model.set_weights({"W": [[1.0]], "R": [[0.1]], "bs": [[0.0]], "V": [[1.0]], "by": [[0.0]]})
    y_hat = model.forward(np.ones((60, 1, 1), np.float32))
    spread = GradientFlow.of(model.backpropagate(np.ones_like(y_hat))).spread
    lags = np.arange(60)[::-1]
    np.testing.assert_array_equal(spread.underflow, (lags >= 38) & (lags <= 45) & (spread.zero == 0))
    assert spread.underflow.sum() >= 7
    np.testing.assert_array_equal(spread.zero, lags > lags[spread.underflow > 0].max())
    assert not spread.not_finite.any()


def test_gains_lead_from_the_last_step_to_the_first():
    flow = GradientFlow.of(backward_pass())
    np.testing.assert_allclose(flow.gain, flow.d_a[:-1] / flow.d_a[1:], rtol=1e-15)
    assert np.prod(flow.gain) == pytest.approx(flow.d_a[0] / flow.d_a[-1], rel=1e-14)
    np.testing.assert_array_equal(
        gains(np.array([[0, 0, 1.0, 2], [1, 0, 1, 4]])), [[np.nan, 0, 0.5], [np.inf, 0, 0.25]]
    )


def test_a_linear_network_with_a_rotation_keeps_its_gain():
    model = Network("rnn-linear", 1, 8, 1, init="orthogonal", recurrent_gain=0.75, rng=0)
    y_hat = model.forward(np.random.default_rng(0).normal(size=(20, 6, 1)))
    np.testing.assert_allclose(GradientFlow.of(model.backpropagate(np.ones_like(y_hat))).gain, 0.75, rtol=1e-12)


@pytest.mark.filterwarnings("error")
def test_the_flow_of_a_complex_network_is_that_of_absolute_values():
    model = Network("rnn", 2, 3, 1, dtype="complex128", rng=0)
    x = np.random.default_rng(0).normal(size=(4, 5, 2)) + 0.1j
    gradients = model.backpropagate(np.ones_like(model.forward(x)))
    np.testing.assert_allclose(GradientFlow.of(gradients).d_a, np.linalg.norm(gradients.d_a, axis=2).sum(axis=1))
