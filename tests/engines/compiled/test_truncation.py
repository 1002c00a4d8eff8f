"""The truncated gradient of the compiled engine is that of the readable one, to rounding."""

import itertools

import numpy as np
import pytest

from memspan import MSELoss, Network
from memspan.diagnostics.flow import norms_of
from memspan.engines.compiled import CompiledEngine
from memspan.engines.compiled.structures import first_step
from memspan.engines.compiled.workspace import PassPlan

B, F, H, O = 4, 2, 5, 2


def problem(cell, T, K):
    rng = np.random.default_rng(0)
    network = Network(cell, F, H, O, output_steps=K, rng=rng)
    network.parameters += rng.normal(0, 0.1, network.parameters.shape)
    answers = (B, O) if K is None else (K, B, O)
    return network, rng.uniform(-1, 1, (T, B, F)), rng.uniform(1, 2, answers)


def readable(network, x, y, k):
    loss = MSELoss()
    loss.forward(network.forward(x), y)
    grads = network.backward(loss.backward(), truncate=k)
    return grads.total(), norms_of(grads.d_a)


def compiled(network, x, y, k, loss=None, **options):
    options = {"output_steps": network.output_steps, "truncate": k, **options}
    engine = CompiledEngine(network.layout, network.dtype, loss or MSELoss(), **options)
    found = engine.differentiate(network.parameters[np.newaxis], [(x, y)], norms=[0])
    return found.gradients[0], found.norms[0]


@pytest.mark.parametrize("cell", ["rnn", "gru-before", "lstm-peephole"])
def test_the_engines_agree_for_every_window_and_number_of_outputs(cell):
    """Also where windows begin and end inside a block of steps, overlap, or share their beginning."""
    for T, K, k in itertools.product((1, 80), (None, 1, 3, 50), (None, 1, 5, 33, 79, 81)):
        if K is None or K <= T:
            network, x, y = problem(cell, T, K)
            for found, expected in zip(compiled(network, x, y, k), readable(network, x, y, k), strict=True):
                close = {"rtol": 1e-9, "atol": 1e-13 * np.abs(expected).max()}
                np.testing.assert_allclose(found, expected, **close, err_msg=f"T={T}, K={K}, k={k}")
            reached = T - (K or 1) - (k or T) + 1
            assert not compiled(network, x, y, k)[1][: max(0, reached)].any()


@pytest.mark.parametrize("K", [None, 40])
@pytest.mark.parametrize("k", [1, 30, 200, 499, 500])
def test_segments_change_no_bit(K, k):
    network, x, y = problem("lstm", 500, K)
    options = {"output_steps": K or 1, "truncate": k}
    small = PassPlan.of(network.layout, network.dtype, x.shape, memory=1 << 40, **options).bytes // 2
    plan = PassPlan.of(network.layout, network.dtype, x.shape, memory=small, **options)
    assert plan.segments > 1
    for found, expected in zip(compiled(network, x, y, k, memory=small), compiled(network, x, y, k), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_a_window_of_all_steps_changes_no_bit():
    network, x, y = problem("rnn", 50, 7)
    for k in (50, 51, 10**6):
        for found, expected in zip(compiled(network, x, y, k), compiled(network, x, y, None), strict=True):
            np.testing.assert_array_equal(found, expected)


class Plain:
    """A loss without a compiled form: the kernel runs its forward and its backward pass in two calls."""

    def __init__(self):
        self.loss = MSELoss()

    def forward(self, y_hat, y):
        return self.loss.forward(y_hat, y)

    def backward(self):
        return self.loss.backward()


def test_a_loss_in_python_is_truncated_too():
    network, x, y = problem("rnn", 60, 3)
    found, expected = compiled(network, x, y, 9, Plain()), compiled(network, x, y, 9)
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-12, atol=1e-15)


def test_a_wrong_window_is_seen():
    network, x, y = problem("rnn", 60, 3)
    found, expected = compiled(network, x, y, 9)[0], readable(network, x, y, 10)[0]
    assert np.abs(found - expected).max() > 1e-6 * np.abs(expected).max()


@pytest.mark.parametrize(
    ("K", "k", "windows"), [(1, 5, 1), (1, 100, 1), (3, 5, 3), (50, 5, 5), (100, 5, 5), (100, 60, 41), (50, 99, 2)]
)
def test_the_plan_keeps_gradients_apart_that_end_at_different_steps(K, k, windows):
    """For T = 100 the windows begin at the steps 100 - K - k + 1, but not before 0, to 100 - k."""
    layout = Network("rnn", F, H, O, rng=0).layout
    plan = PassPlan.of(layout, np.dtype(float), (100, B, F), K, 1 << 40, truncate=k)
    begins = {max(0, t - k + 1) for t in range(100 - K, 100)}
    most = max(sum(begin <= t < begin + k for begin in begins) for t in range(100))
    assert plan.sizes.windows == most == windows
    assert plan.gradient[1][0] == windows * B
    assert first_step(100, K, k) == min(begins)
    whole = PassPlan.of(layout, np.dtype(float), (100, B, F), K, 1 << 40)
    assert (whole.sizes.windows, whole.sizes.truncate) == (1, 100)
    assert plan.bytes >= whole.bytes
