"""The losses inside a kernel are those of NumPy, with and without a mask; and all of them share one kernel."""

import numpy as np
import pytest

from memspan import InvalidArgument, Network
from memspan.engines.compiled import CompiledEngine
from memspan.losses import LOSSES, MeanProduct, SoftmaxCrossEntropy

EVERY = (*LOSSES.values(), MeanProduct)


def labels_for(loss, shape, rng, mask):
    y = rng.random(shape)
    y = y / y.sum(axis=-1, keepdims=True) if loss is SoftmaxCrossEntropy else y
    if mask:
        y[..., rng.random(shape[-2]) < 0.5, :] = np.nan
        y[..., 0, :] = 1 / shape[-1]
    return y


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("loss", EVERY)
@pytest.mark.parametrize("mask", [False, True])
@pytest.mark.parametrize("output_steps", [None, 1, 4, 12])
@pytest.mark.parametrize("outputs", [2, 4])
@pytest.mark.parametrize("scale", [1, 8])
def test_engines_agree_on_every_loss(dtype, loss, mask, output_steps, outputs, scale):
    rng = np.random.default_rng(3)
    network = Network("lstm", 3, 20, outputs, dtype=dtype, output_steps=output_steps, rng=rng)
    network.V = network.V * scale
    x = rng.normal(size=(12, 6, 3)).astype(dtype)
    y = labels_for(loss, (6, outputs) if output_steps is None else (output_steps, 6, outputs), rng, mask).astype(
        dtype
    )
    its = loss(masked=mask)
    engine = CompiledEngine(network.layout, network.dtype, its, output_steps=output_steps)
    (value,), (gradient,), _ = engine.differentiate(network.parameters[np.newaxis], [(x, y)])
    expected = its.forward(network.forward(x), y)
    total = network.backpropagate(its.backward()).total()
    tolerance = 64 * float(np.finfo(dtype).eps) * 12
    assert value == pytest.approx(expected, rel=tolerance, abs=1e-7 if dtype == "float32" else 1e-15)
    assert np.abs(gradient - total).max() <= tolerance * max(np.abs(total).max(), np.finfo(dtype).eps)


def test_all_losses_share_a_kernel():
    network = Network("rnn", 1, 4, 2, dtype="float32", rng=0)
    kernels = {
        id(CompiledEngine(network.layout, network.dtype, loss(masked=mask))._kernel)
        for loss in EVERY
        for mask in (False, True)
    }
    assert len(kernels) == 1


@pytest.mark.parametrize("loss", EVERY)
def test_the_labels_of_the_first_batch_are_looked_at(loss):
    network = Network("rnn", 1, 4, 2, dtype="float32", rng=0)
    engine = CompiledEngine(network.layout, network.dtype, loss(masked=True))
    x, weights = np.ones((3, 2, 1), np.float32), network.parameters[np.newaxis]
    with pytest.raises(InvalidArgument, match="y must be an array with a label that is not NaN"):
        engine.differentiate(weights, [(x, np.full((2, 2), np.nan, np.float32))])
    if loss is SoftmaxCrossEntropy:
        with pytest.raises(InvalidArgument, match="y must be rows of probabilities"):
            engine.differentiate(weights, [(x, np.full((2, 2), 3, np.float32))])
    good = np.full((2, 2), 0.5, np.float32)
    assert np.isfinite(engine.differentiate(weights, [(x, good)]).losses).all()
    with pytest.raises(InvalidArgument, match="y must be an array with a label that is not NaN"):
        engine.differentiate(weights, [(x, np.full((2, 2), np.nan, np.float32))])


@pytest.mark.parametrize("hole", [0, 1])
def test_a_row_that_is_partly_masked_is_refused_in_every_batch_and_of_every_model(hole):
    network = Network("rnn", 1, 4, 2, dtype="float32", rng=0)
    engine = CompiledEngine(network.layout, network.dtype, SoftmaxCrossEntropy(masked=True))
    x, weights = np.ones((3, 2, 1), np.float32), np.stack([network.parameters] * 2)
    good = np.full((2, 2), 0.5, np.float32)
    partly = good.copy()
    partly[1, hole] = np.nan
    assert np.isfinite(engine.differentiate(weights, [(x, good)] * 2).losses).all()
    with pytest.raises(InvalidArgument, match="y must be rows that are all NaN or free of NaN"):
        engine.differentiate(weights, [(x, good), (x, partly)])
