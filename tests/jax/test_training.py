"""The same trial with memspan's own cell and with a cell of equinox or flax of the same weights."""

import numpy as np
import pytest

jax = pytest.importorskip("jax", reason="JAX is not installed")
pytest.importorskip("flax", reason="flax is not installed")
pytest.importorskip("equinox", reason="equinox is not installed")

from jax_twins import twin_of  # noqa: E402

from memspan import Batches, Learner, Network, Recall  # noqa: E402
from memspan.training.optimizers import SGD, Chain, ClipByNorm  # noqa: E402

UPDATES = 50


def losses(model):
    batches = Batches(Recall(), 10, 32, 1, model.dtype)
    learner = Learner(model, Recall().make_loss(), batches, Chain(ClipByNorm(1.0), SGD(0.1)))
    learner.fit(UPDATES, progress=False, evaluate_every=UPDATES, final_batches=1, stop_when_solved=False)
    return np.array(learner.history.loss)


@pytest.mark.parametrize(("cell", "library"), [("lstm", "equinox"), ("lstm", "linen"), ("gru", "equinox")])
@pytest.mark.parametrize(("dtype", "most"), [("float32", 1e-6), ("float64", 1e-13)])
def test_the_losses_of_gradient_descent_are_the_same(cell, library, dtype, most):
    network = Network(cell, 1, 32, 1, dtype=dtype, rng=3)
    twin = twin_of(network, library)
    own, theirs = losses(network), losses(twin)
    assert own[-1] < 0.9 * own[0]
    assert np.abs(own - theirs).max() <= most
