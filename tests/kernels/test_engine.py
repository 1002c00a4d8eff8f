"""The contract of the two engines: the compiled one finds what the readable one finds, to rounding."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from memspan import CELLS, InvalidArgument, MSELoss, Network
from memspan.activations import one_minus, sigmoid_slope, tanh_slope
from memspan.diagnostics import GradientFlow
from memspan.kernels import FusedEngine
from memspan.kernels import engine as module
from memspan.kernels.engine import PRODUCT_ROWS, Plan

SHAPES = ((1, 5, 10, 3), (7, 1, 33, 1), (4, 5, 10, 1))
"""B, F, H and O; no H is a multiple of the padding."""
TIMES = (1, 2, 17, 200)
DTYPES = ("float32", "float64")


def problem(cell, T, B, F, H, O, dtype, read_out=None, rng=0):
    """A network whose weights are all different from 0, and a batch."""
    rng = np.random.default_rng(rng)
    network = Network(cell, F, H, O, dtype=dtype, read_out=read_out, rng=rng)
    network.parameters += rng.normal(0, 0.02, network.parameters.shape).astype(dtype)
    answers = (B, O) if read_out is None else (read_out, B, O)
    return network, rng.uniform(-1, 1, (T, B, F)).astype(dtype), rng.uniform(-1, 1, answers).astype(dtype)


def engine_of(network, loss=None, **options):
    return FusedEngine(network.layout, network.dtype, loss or MSELoss(), read_out=network.read_out, **options)


def readable(network, x, y):
    """Loss, gradient, norms of dL/da[t] and predictions."""
    loss = MSELoss()
    y_hat = network.forward(x)
    value = loss.forward(y_hat, y)
    gradients = network.backpropagate(loss.backward())
    return value, gradients.total(), GradientFlow.of(gradients).d_a, y_hat


def fused(engine, network, x, y):
    """The same of the engine."""
    weights = network.parameters[np.newaxis]
    (loss,), (gradient,), (norms,) = engine.differentiate(weights, [(x, y)], norms=True)
    return loss, gradient, norms, engine.predict(weights, [x])[0]


def assert_close(mine, theirs, tolerance, what):
    """Relative to the largest element."""
    assert mine.shape == theirs.shape
    assert mine.dtype == theirs.dtype
    assert np.isfinite(theirs).all()
    assert np.abs(mine - theirs).max() <= tolerance * np.abs(theirs).max(), what


def assert_agreement(engine, network, x, y, of=readable):
    """Everything within 64·eps·T; norms step by step, unless a step is so small that denormal numbers matter."""
    (loss, gradient, norms, y_hat), theirs = fused(engine, network, x, y), of(network, x, y)
    info = np.finfo(network.dtype)
    tolerance = 64 * info.eps * len(x)
    assert loss == pytest.approx(theirs[0], rel=tolerance)
    mine, expected = (network.layout.by_name(flat) for flat in (gradient, theirs[1]))
    for name in network.layout.shapes:
        assert_close(mine[name], expected[name], tolerance, f"d_{name}")
    assert_close(y_hat, theirs[3], tolerance, "y_hat")
    small = theirs[2] < 1e6 * float(info.tiny)
    np.testing.assert_allclose(norms[~small], theirs[2][~small], rtol=tolerance)
    assert (norms[small] < 2e6 * float(info.tiny)).all()


@pytest.mark.slow
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("cell", CELLS)
def test_the_engines_agree(cell, dtype):
    """One test a kernel, for compiling one takes far longer than all that it is asked here."""
    for T, shape, read_out in product(TIMES, SHAPES, (None, 3)):
        if T >= (read_out or 1):
            network, x, y = problem(cell, T, *shape, dtype, read_out)
            engine = engine_of(network)
            try:
                assert_agreement(engine, network, x, y)
            except AssertionError as error:
                raise AssertionError(f"T={T}, (B, F, H, O)={shape}, K={read_out}: {error}") from error
    assert len(engine._kernel.signatures) <= len(DTYPES)  # no shape, and nothing asked for, compiles it again
