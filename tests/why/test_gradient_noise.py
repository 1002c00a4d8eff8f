import numpy as np
import pytest

from memspan import Configuration
from memspan.study.group import untrained
from memspan.why.evidence import evidence_of, probe_of
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
    assert found.signal_to_noise == pytest.approx(4 * unbiased / np.trace(C), rel=0.02)


@pytest.mark.parametrize(("rate", "gain"), [(0.02, 5.0), (0.1, 2.0)])
def test_on_the_plateau_networks_keep_the_predicted_loss_above_the_trivial_risk(rate, gain):
    """Trained networks that cannot see the label: what they lose is what the noise keeps up."""
    fields = {"learning_rate": rate, "gain": gain, "recurrent_gain": 0.02, "batch": 1, "updates": 1500}
    configuration = Configuration(**(PLAIN | fields), evaluation_samples=50, final_batches=1)
    found = evidence_of(configuration, 6, range(32))
    assert not any(one.has_left for one in found)
    trivial = np.mean(probe_of(configuration, 6).y ** 2) / RISK
    kept_up = np.mean([one.end for one in found]) - trivial
    assert np.mean([one.misadjustment for one in found]) == pytest.approx(kept_up, rel=0.3)


def test_noise_shrinks_with_the_batch_and_grows_with_the_step():
    one = measured()
    assert measured(batch=16).misadjustment == pytest.approx(one.misadjustment / 4)
    assert measured(batch=16).signal_to_noise == pytest.approx(4 * one.signal_to_noise)
    assert measured(learning_rate=0.3).misadjustment == pytest.approx(3 * one.misadjustment)
    assert measured(optimizer="momentum").misadjustment == pytest.approx(10 * one.misadjustment)  # 1 / (1 - 0.9)


def test_a_clip_shortens_the_steps():
    assert measured(clip=1e-3).misadjustment < 0.01 * measured().misadjustment


def test_adaptive_steps_do_not_depend_on_the_size_of_the_loss():
    """Adam divides by √v, so its η tr C / 4B follows the first power of the gradient."""
    adam = measured(optimizer="adam", batch=4)
    assert adam.misadjustment / measured(optimizer="adam", batch=16).misadjustment == pytest.approx(2, rel=0.3)
