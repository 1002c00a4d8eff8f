import math
import tracemalloc

import numpy as np
import pytest

from memspan import CELLS, Attribution, GradientFlow, InvalidArgument, MSELoss, Network
from memspan.diagnostics import StepShares, attribution

WEIGHTS = ("W", "R", "bs", "U")


def backward_pass(cell="rnn", dtype="float64", *, T=12, B=7, F=2, H=5, K=None, scale=1.0, rng=0):
    """The gradients of the mean squared error of a network for random input."""
    model = Network(cell, F, H, 2, dtype=dtype, output_steps=K, rng=rng)
    random = np.random.default_rng(1)
    x, y = random.normal(size=(T, B, F)), random.normal(size=(*([K] if K else []), B, 2))
    loss = MSELoss()
    loss.forward(model.forward(x.astype(dtype)), y.astype(dtype))
    return model.backpropagate(scale * loss.backward())


def contributions(gradients, names=WEIGHTS):
    """The contributions of each step to some weight gradients, in double precision, one row for each step."""
    wide = np.result_type(gradients.d_s.dtype, np.float64)
    parts = (np.asarray(getattr(gradients, f"d_{name}"), wide) for name in names)
    return np.concatenate([part.reshape(len(gradients.d_s), -1) for part in parts], axis=1)


def by_definition(rows):
    whole = rows.sum(axis=0)
    norm = np.linalg.norm(whole)
    return (rows.conj() @ whole).real / norm**2, np.linalg.norm(rows, axis=1), norm


def assert_is(found, rows, rtol=1e-12):
    shares, sizes, norm = by_definition(rows)
    np.testing.assert_allclose(found.shares, shares, rtol=0, atol=rtol * np.abs(shares).sum())
    np.testing.assert_allclose(found.sizes, sizes, rtol=rtol, atol=rtol * sizes.max())
    assert found.total == pytest.approx(norm, rel=rtol)
    assert found.shares.sum() == pytest.approx(1, abs=1e-13)
    assert 0 < found.cancellation <= 1
    assert found.cancellation == pytest.approx(norm / sizes.sum(), rel=rtol)


@pytest.mark.parametrize("K", [None, 4])
@pytest.mark.parametrize("dtype", ["float32", "float64", "complex128"])
@pytest.mark.parametrize("cell", CELLS)
def test_shares_and_sizes_are_those_of_the_contributions_of_each_step(cell, dtype, K):
    gradients = backward_pass(cell, dtype, K=K)
    found = Attribution.of(gradients)
    rtol = 1e-5 if dtype == "float32" else 1e-12  # `d_R` is a product in float32
    assert_is(found.W, contributions(gradients, ["W"]), rtol)
    assert_is(found.together, contributions(gradients), rtol)
    if CELLS[cell].recurrent_gates:
        assert_is(found.R, contributions(gradients, ["R"]), rtol)
        assert found.R.shares[0] == found.R.sizes[0] == 0
    else:
        assert_is_nothing(found.R)


def assert_is_nothing(found, T=12):
    for values in (found.shares, found.sizes):
        np.testing.assert_array_equal(values, np.zeros(T))
    assert (found.total, found.horizon, found.cancellation) == (0, 0, 1)


@pytest.mark.parametrize("cell", ["rnn", "gru", "lru", "slstm"])
def test_the_sizes_are_those_of_the_flow_and_the_total_that_of_the_gradient(cell):
    gradients = backward_pass(cell)
    found, flow = Attribution.of(gradients), GradientFlow.of(gradients)
    np.testing.assert_allclose(found.R.sizes, flow.d_R, rtol=1e-12)
    np.testing.assert_allclose(found.W.sizes, flow.d_W, rtol=1e-12)
    model = Network(cell, 2, 5, 2, rng=0)
    by_name = model.layout.by_name(gradients.total())
    together = math.hypot(*(np.linalg.norm(by_name[name]) for name in by_name if name not in ("V", "by")))
    assert found.together.total == pytest.approx(together, rel=1e-13)


def test_one_that_drops_or_swaps_a_step_is_noticed():
    """What the tests above would see."""
    gradients = backward_pass("gru")
    rows = contributions(gradients, ["R"])
    for wrong in (np.roll(rows, 1, axis=0), rows * (np.arange(12) > 1)[:, np.newaxis], rows[:, ::2]):
        with pytest.raises(AssertionError):
            assert_is(Attribution.of(gradients).R, wrong)


@pytest.mark.parametrize("block", [1, 200, 1 << 20])
def test_blocks_of_any_size_give_the_same(block, monkeypatch):
    gradients = backward_pass("lstm")
    whole = Attribution.of(gradients).together
    monkeypatch.setattr(attribution, "BLOCK", block)
    found = Attribution.of(gradients).together
    np.testing.assert_allclose(found.shares, whole.shares, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(found.sizes, whole.sizes, rtol=1e-12)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("scale", [1e-200, 1e150])
def test_very_small_and_large_gradients_have_the_same_shares(scale):
    plain, scaled = Attribution.of(backward_pass("gru")), Attribution.of(backward_pass("gru", scale=scale))
    for name in ("R", "W", "together"):
        one, other = getattr(plain, name), getattr(scaled, name)
        np.testing.assert_allclose(other.shares, one.shares, rtol=1e-11)
        np.testing.assert_allclose(other.sizes, scale * one.sizes, rtol=1e-12)
        assert other.horizon == one.horizon


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("cell", ["rnn", "gru", "lru"])
def test_a_gradient_of_zero_has_no_shares(cell):
    found = Attribution.of(backward_pass(cell, scale=0.0))
    for of in (found.R, found.W, found.together):
        assert_is_nothing(of)


@pytest.mark.filterwarnings("error")
def test_a_single_step_has_nothing_to_do_with_R():
    found = Attribution.of(backward_pass(T=1))
    assert_is_nothing(found.R, 1)
    assert (found.W.shares, found.W.horizon, found.W.cancellation) == (pytest.approx(1), 1, pytest.approx(1))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("value", [np.inf, np.nan])
def test_what_is_not_finite_stays_so(value):
    found = Attribution.of(backward_pass(scale=value)).W
    assert not np.isfinite(found.shares).any()
    assert found.horizon == 12


def peak(measure):
    """The most bytes that are allocated at a time."""
    tracemalloc.start()
    try:
        measure()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_no_step_takes_an_array_of_the_size_of_R():
    """`d_R` has T·H·4H numbers. The gradient itself and the temporary arrays do not grow with T."""
    shorter, longer = (backward_pass("lstm", T=T, B=4, H=128) for T in (60, 240))
    all_steps = 240 * 128 * 512 * 8
    assert peak(lambda: longer.d_R) >= all_steps
    assert peak(lambda: Attribution.of(longer)) < all_steps / 30
    assert peak(lambda: Attribution.of(longer)) < 1.2 * peak(lambda: Attribution.of(shorter))


def test_the_memory_of_a_step_is_that_of_the_products_of_its_samples(monkeypatch):
    """One step at a time, and R far larger than B²: what is left is the gradient itself, a few times."""
    monkeypatch.setattr(attribution, "BLOCK", 1)
    gradients = backward_pass(T=40, B=3, H=256)
    assert peak(lambda: Attribution.of(gradients)) < 5 * 256 * 256 * 8


def shares_of(shares, sizes):
    return StepShares(np.array(shares, float), np.array(sizes, float), 1.0)


@pytest.mark.parametrize(
    ("sizes", "horizon"),
    [([0, 0, 1], 1), ([1, 0, 0], 3), ([1] * 10, 9), ([1, 0, 9], 1), ([2, 0, 8], 3), ([0, 2, 8], 2), ([5], 1)],
)
def test_the_horizon_is_the_least_number_of_last_steps_that_hold_nine_tenths(sizes, horizon):
    assert shares_of([0] * len(sizes), sizes).horizon == horizon


def test_contributions_that_cancel_have_a_low_index_and_negative_shares():
    of = shares_of([3, -2], [3, 2])
    assert of.cancellation == pytest.approx(0.2)
    assert repr(of) == "<StepShares of 2 steps: horizon 2, cancellation index 0.2>"


@pytest.mark.parametrize("other", [None, {"d_R": np.ones((3, 2, 2))}, np.ones(3)])
def test_what_is_no_backward_pass_is_refused(other):
    with pytest.raises(InvalidArgument, match=r"gradients must be the grads of a network, after its backward"):
        Attribution.of(other)


def test_it_says_in_one_line_what_it_is():
    assert repr(Attribution.of(backward_pass())).startswith("<Attribution over 12 steps: horizon ")
