import numpy as np
import pytest

from memspan import Configuration
from memspan.study.group import untrained
from memspan.why.gradient_noise import SINGLES, GradientNoise

PLAIN = {"hidden": 4, "optimizer": "sgd", "learning_rate": 0.1, "batch": 4, "clip": 0}
RISK = 1 / 3


def measured(**fields):
    configuration = Configuration(**(PLAIN | fields))
    network, _, _ = untrained(configuration, 5, 0)
    return GradientNoise.of(network, configuration, configuration.make_task().sample(5, 500, rng=1), RISK)


def test_the_gradients_are_those_of_single_sequences():
    network, _, _ = untrained(Configuration(**PLAIN), 5, 0)
    network = network.astype(np.float64)
    x, y = Configuration(**PLAIN).make_task().sample(5, 500, rng=1)
    rows = []
    for k in range(SINGLES):
        y_hat = network.forward(x[:, [k]])
        gradients = network.backward(2 * (y_hat - y[[k]]))
        rows.append(np.concatenate([np.ravel(gradients[f"d_{name}"].sum(axis=0)) for name in ("W", "R", "bs")]))
        rows[-1] = np.concatenate([rows[-1], np.ravel(gradients["d_V"]), np.ravel(gradients["d_by"])])
    C = np.cov(np.array(rows).T)
    found = measured()
    assert found.misadjustment == pytest.approx(0.1 * np.trace(C) / (4 * 4 * RISK), rel=0.02)
    G = np.array(rows).mean(axis=0)
    unbiased = G @ G - np.trace(C) / SINGLES
    assert found.signal == pytest.approx(4 * unbiased / np.trace(C), rel=0.02)


def test_the_misadjustment_of_least_mean_squares_is_the_loss_that_noise_keeps_up():
    """One weight, labels that are noise: SGD keeps up η tr C / 4B of loss above the least one."""
    rng, rate, batch, variance = np.random.default_rng(0), 0.05, 4, 1 / 3
    w, excess = np.zeros(4000), []
    for n in range(400):
        x, y = rng.uniform(-1, 1, (2, batch, len(w)))
        w -= rate * (2 * (w * x - y) * x).mean(axis=0)
        if n > 200:
            excess.append(np.mean(w**2) * variance)
    C = 4 * variance * variance  # of 2 x y
    assert np.mean(excess) == pytest.approx(rate * C / (4 * batch), rel=0.05)


def test_noise_shrinks_with_the_batch_and_grows_with_the_step():
    one = measured()
    assert measured(batch=16).misadjustment == pytest.approx(one.misadjustment / 4)
    assert measured(batch=16).signal == pytest.approx(4 * one.signal)
    assert measured(learning_rate=0.3).misadjustment == pytest.approx(3 * one.misadjustment)
    assert measured(optimizer="momentum").misadjustment == pytest.approx(10 * one.misadjustment)  # 1 / (1 - 0.9)


def test_a_clip_shortens_the_steps():
    assert measured(clip=1e-3).misadjustment < 0.01 * measured().misadjustment


def test_adaptive_steps_do_not_depend_on_the_size_of_the_loss():
    """Adam divides by √v, so its η tr C / 4B follows the first power of the gradient."""
    adam = measured(optimizer="adam", batch=4)
    assert adam.misadjustment / measured(optimizer="adam", batch=16).misadjustment == pytest.approx(2, rel=0.3)
